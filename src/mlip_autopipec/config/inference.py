"""What follows from the material where the user said nothing: each value with its reason."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from pymatgen.core import Element

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.config.models import MLIPConfig

_CUTOFF_IN_NEIGHBOURS = 2.2
_HOTTEST = 0.7  # of the melting point; small periodic cells melt early
_FUNCTIONS = 200
_SMALLEST_STRAIN, _LARGEST_STRAIN = 0.03, 0.1


@dataclass(frozen=True)
class Inferred:
    """A value that follows from the material.

    Parameters
    ----------
    path
        Key of the configuration, e.g. ``"training.cutoff"``.
    value
        The value, in the unit of the key.
    reason
        Why, for a reader.
    """

    path: str
    value: Any
    reason: str


def infer(config: MLIPConfig, crystals: Sequence[Atoms], n_required: int) -> dict[str, Inferred]:
    """Infer what the user left open.

    Parameters
    ----------
    config
        What the user said.
    crystals
        The material.
    n_required
        Number of structures that are labelled before any is chosen [1].

    Returns
    -------
    dict
        Inferred values by key, also for keys that the user set (these are to be ignored).
    """
    engine = config.oracle.engine or "qe"
    costly = engine in ("qe", "vasp")
    n_atoms = config.generation.n_atoms or (8 if costly else 32)
    n_functions = config.training.n_functions or _FUNCTIONS
    elements = sorted({symbol for atoms in crystals for symbol in atoms.get_chemical_symbols()})
    values = [
        Inferred(
            "oracle.engine",
            "qe",
            "no oracle was stated; labels are DFT unless something else is asked for",
        ),
        Inferred(
            "generation.n_atoms",
            8 if costly else 32,
            "small cells: a DFT label costs the cube of their size"
            if costly
            else "this oracle is cheap, so cells may hold several shells of neighbours",
        ),
        _cutoff(crystals),
        Inferred(
            "training.n_functions",
            _FUNCTIONS,
            "a middling size: some 60 µs per atom and step in the evaluator",
        ),
        _temperatures(elements),
        _gamma_halt(elements),
        _arms(config, elements, crystals),
        _arm_strain(crystals),
        _timestep(crystals),
        _n_initial(n_required, n_atoms, n_functions, len(elements)),
        _checks(config),
        *_check_costs(n_atoms, costly=costly),
    ]
    return {value.path: value for value in values}


def _cutoff(crystals: Sequence[Atoms]) -> Inferred:
    nearest = min(nearest_distance(atoms) for atoms in crystals)
    value = round(float(np.clip(_CUTOFF_IN_NEIGHBOURS * nearest, 4.5, 7.0)), 1)
    return Inferred(
        "training.cutoff",
        value,
        f"{_CUTOFF_IN_NEIGHBOURS} times the shortest neighbour ({nearest:.2f} Å), within 4.5 to 7 Å",
    )


def _temperatures(elements: Sequence[str]) -> Inferred:
    melting = {symbol: Element(symbol).melting_point for symbol in elements}
    known = {s: float(t) for s, t in melting.items() if t is not None and float(t) > 300.0}
    if len(known) < len(elements):
        missing = ", ".join(s for s in elements if s not in known)
        return Inferred(
            "exploration.temperatures",
            [300.0, 600.0, 900.0],
            f"no melting point can be estimated: {missing} melts below 300 K or is unknown",
        )
    lowest = min(known, key=lambda s: known[s])
    hottest = _HOTTEST * known[lowest]
    values = [round(f * hottest, -1) for f in (1 / 3, 2 / 3, 1.0)]
    return Inferred(
        "exploration.temperatures",
        values,
        f"up to {_HOTTEST} of the melting point of {lowest} ({known[lowest]:.0f} K), in three steps",
    )


def _gamma_halt(elements: Sequence[str]) -> Inferred:
    """Halt walks of compounds sooner: at 10 those of Cu3Au met nothing, energies off by 1.5 meV/atom."""
    if len(elements) == 1:
        return Inferred(
            "exploration.gamma_halt", 10.0, "one element: on copper and silicon no force was far off below"
        )
    return Inferred(
        "exploration.gamma_halt", 5.0, "several elements: below 10 energies can still be off by 1 meV/atom"
    )


def _arms(config: MLIPConfig, elements: Sequence[str], crystals: Sequence[Atoms]) -> Inferred:
    """Choose the explorers that an adaptive policy begins with; a fixed one has MD alone."""
    path = "exploration.arms"
    if config.exploration.policy != "adaptive":
        return Inferred(path, {}, "a fixed policy without shares explores by MD alone")
    arms = dict.fromkeys(("md", "strain", "rattle", "vacancy"), 1.0)
    metal = all(Element(symbol).is_metal for symbol in elements)
    mixed = any(len(set(atoms.get_chemical_symbols())) > 1 for atoms in crystals)
    if metal:
        arms["stacking_fault"] = 1.0
    if metal and mixed:
        arms |= {"antisite": 1.0, "alloy": 1.0}
    kind = "metals only: planes glide" if metal else "not metals only: no gliding planes"
    order = ", and sites can be exchanged" if metal and mixed else ""
    return Inferred(
        path, arms, f"{kind}{order}; slabs, interstitials and melts are for those who ask for them"
    )


def _arm_strain(crystals: Sequence[Atoms]) -> Inferred:
    """Strain at which a change of volume costs the thermal energy of the hottest walk."""
    path, atoms = "exploration.arm_strain", crystals[0]
    elements = set(atoms.get_chemical_symbols())
    known = [Element(s) for s in elements if Element(s).bulk_modulus and Element(s).melting_point]
    alike = len(elements) == 1 or all(Element(s).is_metal for s in elements)
    if len(known) < len(elements) or not alike:
        return Inferred(path, 0.05, "the bulk modulus does not follow from those of the elements")
    stiffness = float(np.mean([float(e.bulk_modulus) for e in known]))
    energy = units.kB * _HOTTEST * min(float(e.melting_point) for e in known)
    volume = atoms.get_volume() / len(atoms)
    # Energy per atom of a linear strain e in all directions: 9/2 B V e^2.
    strain = 2.0 * math.sqrt(2.0 * energy / (9.0 * stiffness * units.GPa * volume))
    value = round(float(np.clip(strain, _SMALLEST_STRAIN, _LARGEST_STRAIN)), 3)
    return Inferred(
        path,
        value,
        "twice the strain that costs the thermal energy of the hottest walk, "
        f"{1000 * energy:.0f} meV/atom, at a bulk modulus of {stiffness:.0f} GPa (pymatgen's elements)",
    )


def _timestep(crystals: Sequence[Atoms]) -> Inferred:
    atoms = min(crystals, key=lambda a: a.get_masses().min())
    mass = float(atoms.get_masses().min())
    symbol = atoms.symbols[int(np.argmin(atoms.get_masses()))]
    value = float(np.clip(round(2.0 * math.sqrt(mass / 10.0)) / 2.0, 0.5, 3.0))
    return Inferred("exploration.timestep", value, f"the lightest atom, {symbol}, has {mass:.1f} amu")


def _n_initial(n_required: int, n_atoms: int, n_functions: int, n_elements: int) -> Inferred:
    filling = math.ceil(0.5 * n_elements * n_functions / n_atoms)
    return Inferred(
        "active_learning.n_initial",
        n_required + filling,
        f"{n_required} required ones (crystals, volumes, strains, dimers, free atoms) and {filling} cells of "
        f"about {n_atoms} atoms, for half as many environments as basis functions: the walks bring the rest",
    )


def _checks(config: MLIPConfig) -> Inferred:
    """Judge surfaces only where surfaces are learned."""
    arms = config.exploration.arms or {}
    surfaces = bool(config.generation.n_surfaces) or arms.get("surface", 0.0) > 0.0
    names = ["elastic", "phonon", "vacancy", "stacking_fault"] + (["surface"] if surfaces else [])
    reason = "surfaces are asked for" if surfaces else "no surfaces: none are explored"
    return Inferred("validation.checks", names, f"properties of the bulk; {reason}")


def _check_costs(n_atoms: int, *, costly: bool) -> list[Inferred]:
    """Ask an oracle that is costly about small cells only."""
    why = "a DFT label costs the square to the cube of its atoms" if costly else "this oracle is cheap"
    values = {"max_cost": 150, "phonon_length": 7.0, "vacancy_atoms": max(8, n_atoms)}
    if not costly:
        values = {"max_cost": 5000, "phonon_length": 10.0, "vacancy_atoms": max(32, n_atoms)}
    return [Inferred(f"validation.{key}", value, why) for key, value in values.items()]
