"""Crystals to start from, by composition alone."""

import math
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii, reference_states
from ase.spacegroup import crystal
from pymatgen.core import Composition, Element, Species

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation.alloys import quasi_random
from mlip_autopipec.numerics import isotropic_repeat

_IONIC_DIFFERENCE = 1.5  # Pauling electronegativity
_HINT = "give crystal structures instead: 'structures: path/to/*.cif'."


@dataclass(frozen=True)
class Prototype:
    """A crystal and why it was chosen."""

    atoms: Atoms
    reason: str


def prototypes(composition: str | dict[str, float], *, n_atoms: int, seed: int) -> list[Prototype]:
    """Choose crystals for a composition.

    Parameters
    ----------
    composition
        A formula (``"Si"``, ``"NaCl"``, ``"Cu3Au"``), or fractions by element for a solid solution.
    n_atoms
        Size of the cell of a solid solution.
    seed
        Seed of its random occupation.

    Returns
    -------
    list[Prototype]
        Conventional cells.

    Raises
    ------
    ConfigError
        No prototype is known for the composition.
    """
    if isinstance(composition, dict):
        return [_solid_solution(composition, n_atoms, seed)]
    try:
        reduced = Composition(composition).reduced_composition
    except ValueError as error:
        raise ConfigError(f"{composition!r} is not a composition: {error}.") from error
    if not reduced or any(e.symbol not in atomic_numbers for e in reduced.elements):
        raise ConfigError(f"{composition!r} is not a composition of chemical elements.")
    symbols = sorted((e.symbol for e in reduced.elements), key=lambda s: (-reduced[s], s))
    counts = [int(reduced[s]) for s in symbols]
    if len(symbols) == 1:
        return [_element(symbols[0])]
    if len(symbols) == 2 and counts == [1, 1]:
        return _one_to_one(*symbols)
    if len(symbols) == 2 and counts == [3, 1]:
        return [_l12(*symbols)]
    raise ConfigError(f"no prototype crystal is known for composition {composition!r}.", hint=_HINT)


def atomic_volume(symbol: str) -> float:
    """Volume per atom of an element's reference crystal.

    Parameters
    ----------
    symbol
        Chemical symbol.

    Returns
    -------
    float
        In Å^3.

    Raises
    ------
    ConfigError
        ASE knows no reference crystal of the element.
    """
    atoms = _element(symbol).atoms
    return float(atoms.get_volume() / len(atoms))


def _element(symbol: str) -> Prototype:
    state = reference_states[atomic_numbers[symbol]]
    if state is None or state["symmetry"] in ("atom", "diatom"):
        raise ConfigError(f"{symbol} has no reference crystal.", hint=_HINT)
    try:
        cubic = state["symmetry"] in ("fcc", "bcc", "diamond", "sc")
        atoms = bulk(symbol, cubic=cubic)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ConfigError(
            f"the reference crystal of {symbol} cannot be built: {error}.", hint=_HINT
        ) from error
    return Prototype(
        atoms, f"{state['symmetry']} is the reference crystal of {symbol} (ASE reference states)"
    )


def _one_to_one(first: str, second: str) -> list[Prototype]:
    difference = abs(Element(first).X - Element(second).X)
    if difference > _IONIC_DIFFERENCE:
        a = 2.0 * _ionic_distance(first, second)
        atoms = bulk(f"{first}{second}", "rocksalt", a=a, cubic=True)
        return [
            Prototype(
                atoms, f"rocksalt: the electronegativities differ by {difference:.2f}; a from ionic radii"
            )
        ]
    if Element(first).is_metal and Element(second).is_metal:
        volume = atomic_volume(first) + atomic_volume(second)
        b2 = bulk(f"{first}{second}", "cesiumchloride", a=volume ** (1 / 3))
        a = (2.0 * volume) ** (1 / 3)
        l10 = crystal(
            [first, second],
            [(0, 0, 0), (0.5, 0.5, 0.5)],
            spacegroup=123,
            cellpar=[a / 2**0.5, a / 2**0.5, a, 90, 90, 90],
        )
        reason = "both elements are metals; volume by Vegard's rule"
        return [Prototype(b2, f"B2: {reason}"), Prototype(l10, f"L1_0: {reason}")]
    bond = float(sum(covalent_radii[atomic_numbers[symbol]] for symbol in (first, second)))
    atoms = bulk(f"{first}{second}", "zincblende", a=4.0 / 3**0.5 * bond, cubic=True)
    return [
        Prototype(
            atoms,
            f"zincblende: the electronegativities differ by only {difference:.2f}; a from covalent radii",
        )
    ]


def _l12(major: str, minor: str) -> Prototype:
    if not (Element(major).is_metal and Element(minor).is_metal):
        raise ConfigError(f"no prototype crystal is known for {major}3{minor}.", hint=_HINT)
    a = (3.0 * atomic_volume(major) + atomic_volume(minor)) ** (1 / 3)
    atoms = crystal([minor, major], [(0, 0, 0), (0, 0.5, 0.5)], spacegroup=221, cellpar=[a, a, a, 90, 90, 90])
    return Prototype(atoms, "L1_2: the common order of A3B metals; volume by Vegard's rule")


def _solid_solution(fractions: dict[str, float], n_atoms: int, seed: int) -> Prototype:
    _check_fractions(fractions)
    total = sum(fractions.values())
    major = max(fractions, key=lambda s: fractions[s])
    host = _element(major)
    atoms = host.atoms.repeat(isotropic_repeat(host.atoms.cell.lengths(), len(host.atoms), n_atoms))
    volume = sum(x / total * atomic_volume(s) for s, x in fractions.items())
    atoms.set_cell(atoms.cell.array * (volume * len(atoms) / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
    counts = {s: round(x / total * len(atoms)) for s, x in fractions.items() if s != major}
    absent = [s for s, count in counts.items() if count == 0]
    if absent:
        needed = math.ceil(max(0.5 * total / fractions[s] for s in absent))
        raise ConfigError(
            f"{', '.join(absent)} would have no atom in a cell of {len(atoms)}.",
            hint=f"take cells of at least {needed} atoms (generation: n_atoms), or a larger fraction.",
        )
    symbols = [s for s, count in counts.items() for _ in range(count)]
    symbols += [major] * (len(atoms) - len(symbols))
    atoms, rest = quasi_random(atoms, symbols, np.random.default_rng(seed))
    return Prototype(
        atoms,
        f"quasi-random solid solution {atoms.symbols.get_chemical_formula()} on the lattice of {major}, pair "
        f"correlations within {rest:.2f}",
    )


def _check_fractions(fractions: dict[str, float]) -> None:
    wrong = {s: x for s, x in fractions.items() if s not in atomic_numbers or s == "X" or not x > 0.0}
    if wrong or not fractions:
        raise ConfigError(f"a composition needs elements with positive fractions, got {fractions}.")


def _ionic_distance(first: str, second: str) -> float:
    guesses = Composition({first: 1, second: 1}).oxi_state_guesses()
    if not guesses:
        raise ConfigError(f"no oxidation states are known for {first}{second}.", hint=_HINT)
    found = (Species(s, guesses[0][s]).ionic_radius for s in (first, second))
    radii = [float(radius) for radius in found if radius is not None]
    if len(radii) < 2:
        raise ConfigError(f"no ionic radii are known for {first}{second}.", hint=_HINT)
    return sum(radii)
