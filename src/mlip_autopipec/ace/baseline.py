"""A pair potential under the ACE (delta learning): the fit sees labels minus it, every user adds it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal, Protocol

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from mlip_autopipec.ace.neighbours import bonds
from mlip_autopipec.errors import CalculationError, ConfigError, StructureError

Array = NDArray[np.float64]
Kind = Literal["zbl", "lj"]

# Constants of LAMMPS, so that its native pair_style zbl gives the same digits: force->qqr2e in metal units
# (update.cpp) and src/pair_zbl_const.h.
_COULOMB = 14.399645  # e^2 / (4 pi epsilon_0) in eV Å; the CODATA value is larger by 2.4e-8
_SCREENING = ((0.02817, 0.20162), (0.28022, 0.40290), (0.50986, 0.94229), (0.18175, 3.19980))
_SCREENING_LENGTH = 0.46850  # Å
_SCREENING_POWER = 0.23

_WCA = 2.0 ** (1.0 / 6.0)  # minimum of Lennard-Jones over sigma
_INNER = 0.6  # of outer: a wide switch leaves the ACE something smooth to learn
_UNSEEN_PAIR = 0.7  # of the sum of covalent radii
_DECIMALS = 4  # of Å and eV: the numbers are typed into LAMMPS inputs


class BaselineRecord(Protocol):
    """What a document says of a baseline; see :class:`PairBaseline`."""

    @property
    def kind(self) -> Kind:
        """Form of the pair potential."""

    @property
    def inner(self) -> Mapping[str, float]:
        """Inner distance by pair in Å."""

    @property
    def outer(self) -> Mapping[str, float]:
        """Outer distance by pair in Å."""

    @property
    def epsilon(self) -> Mapping[str, float] | None:
        """Depth by pair in eV."""


@dataclass(frozen=True)
class PairBaseline:
    r"""A repulsive pair potential of finite range, in one of two forms that LAMMPS has too.

    ``"zbl"`` is ``pair_style zbl inner outer`` with distances of its own for each pair:

    .. math:: E(r) = \frac{K Z_i Z_j}{r} \phi(r/a) + S(r), \quad a = \frac{0.4685}{Z_i^{0.23} + Z_j^{0.23}}

    with the universal screening function :math:`\phi` of Ziegler, Biersack and Littmark and LAMMPS' S: a
    constant below ``inner``, a polynomial above, such that energy, force and its slope vanish at ``outer``.

    ``"lj"`` is the WCA form, ``pair_style lj/cut`` with ``pair_modify shift yes``, cut at its minimum:

    .. math:: E(r) = 4 \epsilon [(\sigma/r)^{12} - (\sigma/r)^6] + \epsilon, \quad r < 2^{1/6} \sigma

    Parameters
    ----------
    kind
        ``"zbl"`` or ``"lj"``.
    inner
        By pair ``'A-B'`` (sorted symbols), in Å: where the switch of ZBL begins, or sigma of LJ.
    outer
        By pair, in Å: zero from there on; 2^(1/6) sigma for LJ.
    epsilon
        By pair, in eV: the depth of LJ, which is its energy at sigma; none for ZBL.

    Raises
    ------
    ConfigError
        The numbers do not describe such a potential.
    """

    kind: Kind
    inner: dict[str, float]
    outer: dict[str, float]
    epsilon: dict[str, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("zbl", "lj"):
            raise ConfigError(f"the baseline must be 'zbl' or 'lj', got {self.kind!r}.")
        if (self.epsilon is None) != (self.kind == "zbl"):
            raise ConfigError(f"'epsilon' goes with a baseline of kind 'lj' only, got {self.kind!r}.")
        for pair, outer in self.outer.items():
            if pair != "-".join(sorted(pair.split("-"))):
                raise ConfigError(f"pairs of a baseline must be 'A-B' with sorted symbols, got {pair!r}.")
            inner = self.inner.get(pair, np.nan)
            if not 0.0 < inner < outer < np.inf:
                raise ConfigError(
                    f"the baseline of {pair} needs 0 < inner < outer, got {inner} and {outer} Å."
                )
            if self.epsilon is not None:
                self._check_lj(pair, self.epsilon.get(pair, np.nan))

    def _check_lj(self, pair: str, epsilon: float) -> None:
        if not 0.0 < epsilon < np.inf:
            raise ConfigError(f"'epsilon' of {pair} must be positive, got {epsilon} eV.")
        minimum = _WCA * self.inner[pair]
        if not np.isclose(self.outer[pair], minimum, rtol=1e-9):
            raise ConfigError(
                f"the baseline of {pair} must end at 2^(1/6) sigma = {minimum} Å, got {self.outer[pair]} Å."
            )

    @classmethod
    def from_record(cls, record: BaselineRecord) -> "PairBaseline":
        """Read a baseline from a document.

        Parameters
        ----------
        record
            A ``BaselineDoc``, or anything with its fields. The way back is
            ``BaselineDoc(**asdict(baseline), lammps=lammps_lines(baseline, elements))``.

        Returns
        -------
        PairBaseline
            The baseline.
        """
        epsilon = None if record.epsilon is None else dict(record.epsilon)
        return cls(record.kind, dict(record.inner), dict(record.outer), epsilon)

    def pair_energy(self, pair: str, r: Array) -> tuple[Array, Array]:
        """Evaluate one pair of atoms over distance.

        Parameters
        ----------
        pair
            Chemical symbols as ``'A-B'``, sorted.
        r
            Distances in Å, shape ``(n,)``.

        Returns
        -------
        energy
            In eV, shape ``(n,)``.
        derivative
            Its derivative by distance in eV/Å, shape ``(n,)``.
        """
        inner, outer = self.inner[pair], self.outer[pair]
        with np.errstate(all="ignore"):  # atoms in one place give infinity, which `evaluate` refuses
            if self.epsilon is None:
                energy, derivative = _switched_zbl(r, pair, inner, outer)
            else:
                energy, derivative = _wca(r, inner, self.epsilon[pair])
        inside = r < outer
        return np.where(inside, energy, 0.0), np.where(inside, derivative, 0.0)

    def evaluate(self, atoms: Atoms) -> tuple[Array, Array, Array]:
        """Evaluate a structure of any periodicity.

        Parameters
        ----------
        atoms
            The structure.

        Returns
        -------
        energies
            Atomic energies in eV, half of each pair to either atom, shape ``(n_atoms,)``.
        forces
            In eV/Å, shape ``(n_atoms, 3)``.
        virial
            Sum of ``r (x) F`` with sign such that stress = -virial / V, in eV, shape ``(3, 3)``.

        Raises
        ------
        StructureError
            A pair of elements is not in the baseline, or a position is not finite.
        CalculationError
            The result is not finite, as for two atoms in one place.
        """
        elements, kinds = np.unique(atoms.get_chemical_symbols(), return_inverse=True)
        pairs = _pairs(self, elements.tolist())
        i, j, r, vectors = bonds(atoms, max(self.outer[pair] for pair in pairs))
        energy, derivative = np.zeros(len(r)), np.zeros(len(r))
        low, high = np.minimum(kinds[i], kinds[j]), np.maximum(kinds[i], kinds[j])
        for pair, (a, b) in zip(pairs, combinations_with_replacement(range(len(elements)), 2), strict=True):
            those = (low == a) & (high == b)
            energy[those], derivative[those] = self.pair_energy(pair, r[those])
        if not (np.isfinite(energy).all() and np.isfinite(derivative).all()):
            raise CalculationError(f"the baseline gives numbers that are not finite for {atoms!r}.")
        # Every bond is listed from both of its ends, hence the halves.
        pull = (derivative / r)[:, None] * vectors
        energies, forces = np.zeros(len(atoms)), np.zeros((len(atoms), 3))
        np.add.at(energies, i, 0.5 * energy)
        np.add.at(forces, i, pull)
        return energies, forces, -0.5 * vectors.T @ pull


def choose_baseline(
    kind: Kind, elements: list[str], shortest: Mapping[str, float], reach: float, energy: float = 1.0
) -> PairBaseline:
    """Choose the ranges of a baseline from the training set.

    It ends at ``reach`` times the shortest training distance of each pair. With ``reach`` above 1 it acts
    within the training range, and the ACE learns the difference; below 1 it only holds atoms apart where
    there are no data. The switch of ZBL begins at 0.6 of its end. LJ ends at its minimum, so sigma is 0.89 of
    that. Its depth is ``energy``, or less, such that it has no more than that at the shortest distance: what
    ZBL has there for metals at a reach of 1.3. Steep as it is, it has 8 to 21 times that at 0.8 of it.

    Parameters
    ----------
    kind
        ``"zbl"`` or ``"lj"``.
    elements
        Chemical symbols.
    shortest
        Shortest training distance in Å by pair ``'A-B'``; for pairs that never met, 0.7 of the sum of the
        covalent radii is taken.
    reach
        End of the baseline over the shortest distance, dimensionless.
    energy
        Largest energy of LJ at the shortest distance, and its largest depth, in eV; ZBL has no such choice.

    Returns
    -------
    PairBaseline
        All pairs of the elements.

    Raises
    ------
    ConfigError
        A value is not positive, or there is no such kind.
    """
    if not 0.0 < reach < np.inf:
        raise ConfigError(f"'reach' of the baseline must be positive, got {reach}.")
    pairs = ["-".join(pair) for pair in combinations_with_replacement(sorted(set(elements)), 2)]
    closest = {pair: shortest.get(pair, unseen_distance(pair)) for pair in pairs}
    if kind != "lj":
        outer = {pair: round(reach * closest[pair], _DECIMALS) for pair in pairs}
        return PairBaseline(kind, {p: round(_INNER * end, _DECIMALS) for p, end in outer.items()}, outer)
    sigma = {pair: round(reach * closest[pair] / _WCA, _DECIMALS) for pair in pairs}
    outer = {pair: _WCA * sigma[pair] for pair in pairs}
    unit = PairBaseline(kind, sigma, outer, dict.fromkeys(pairs, 1.0))
    there = {pair: float(unit.pair_energy(pair, np.array([closest[pair]]))[0][0]) for pair in pairs}
    epsilon = {pair: round(energy / max(1.0, there[pair]), _DECIMALS) for pair in pairs}
    return PairBaseline(kind, sigma, outer, epsilon)


def unseen_distance(pair: str) -> float:
    """Guess how close two elements come that never met.

    Parameters
    ----------
    pair
        Chemical symbols as ``'A-B'``.

    Returns
    -------
    float
        0.7 of the sum of their covalent radii, in Å.
    """
    return _UNSEEN_PAIR * float(sum(covalent_radii[atomic_numbers[s]] for s in pair.split("-")))


def lammps_lines(
    baseline: PairBaseline | None,
    elements: list[str],
    pace_file: str = "potential.yace",
    pace_style: str = "pace product",
) -> list[str]:
    """Say in LAMMPS' words how the potential is used.

    Parameters
    ----------
    baseline
        The baseline; none for a potential file that is whole.
    elements
        Chemical symbols in the order of the atom types.
    pace_file
        The ACE, relative to the input that holds these lines.
    pace_style
        Pair style of the ACE with its options.

    Returns
    -------
    list[str]
        ``pair_style``, ``pair_coeff`` and, for LJ, ``pair_modify``, for metal units.

    Raises
    ------
    StructureError
        A pair of elements is not in the baseline.
    """
    names = " ".join(elements)
    if baseline is None:
        return [f"pair_style {pace_style}", f"pair_coeff * * {pace_file} {names}"]
    types = {element: index for index, element in enumerate(elements, start=1)}
    pairs = _pairs(baseline, elements)
    ends = [sorted(pair.split("-"), key=types.__getitem__) for pair in pairs]
    both = [f"{types[a]} {types[b]}" for a, b in ends]
    pace = f"pair_coeff * * {pace_style.split()[0]} {pace_file} {names}"
    if baseline.epsilon is not None:
        return [
            f"pair_style hybrid/overlay {pace_style} lj/cut {max(baseline.outer[p] for p in pairs)!r}",
            "pair_modify pair lj/cut shift yes",
            pace,
            *(
                f"pair_coeff {who} lj/cut {baseline.epsilon[p]!r} {baseline.inner[p]!r} {baseline.outer[p]!r}"
                for who, p in zip(both, pairs, strict=True)
            ),
        ]
    # One cut-off for all pairs of a zbl: each pair needs its own, numbered if there are several.
    numbers = [f" {n}" for n in range(1, len(pairs) + 1)] if len(pairs) > 1 else [""]
    styles = " ".join(f"zbl {baseline.inner[p]!r} {baseline.outer[p]!r}" for p in pairs)
    return [
        f"pair_style hybrid/overlay {pace_style} {styles}",
        pace,
        *(
            f"pair_coeff {who} zbl{number} {atomic_numbers[a]} {atomic_numbers[b]}"
            for who, number, (a, b) in zip(both, numbers, ends, strict=True)
        ),
    ]


def _pairs(baseline: PairBaseline, elements: list[str]) -> list[str]:
    """List the pairs of some elements, all of which the baseline must have."""
    pairs = ["-".join(pair) for pair in combinations_with_replacement(sorted(elements), 2)]
    missing = [pair for pair in pairs if pair not in baseline.outer]
    if missing:
        raise StructureError(
            f"the baseline has no pair {', '.join(missing)}; it has {', '.join(baseline.outer)}."
        )
    return pairs


def _zbl(r: Array, pair: str) -> tuple[Array, Array, Array]:
    """Screened nuclear repulsion [eV] and its first and second derivative [eV/Å, eV/Å^2]."""
    first, second = (float(atomic_numbers[symbol]) for symbol in pair.split("-"))
    length = _SCREENING_LENGTH / (first**_SCREENING_POWER + second**_SCREENING_POWER)
    terms = [(c * np.exp(-d * r / length), d / length) for c, d in _SCREENING]
    phi, slope, curvature = (sum(term * k**order for term, k in terms) for order in range(3))
    charge = _COULOMB * first * second
    energy = charge * phi / r
    derivative = -charge * (slope + phi / r) / r
    return energy, derivative, charge * (curvature + 2.0 * (slope + phi / r) / r) / r


def _switched_zbl(r: Array, pair: str, inner: float, outer: float) -> tuple[Array, Array]:
    """ZBL with the switching polynomial of LAMMPS (src/pair_zbl.cpp), energy [eV] and derivative [eV/Å]."""
    end, end1, end2 = (float(value) for value in _zbl(np.array(outer), pair))
    width = outer - inner
    cubic = (-3.0 * end1 + width * end2) / width**2
    quartic = (2.0 * end1 - width * end2) / width**3
    shift = -end + width * end1 / 2.0 - width**2 * end2 / 12.0
    t = np.maximum(r - inner, 0.0)
    energy, derivative, _ = _zbl(r, pair)
    return energy + shift + t**3 * (cubic / 3.0 + quartic / 4.0 * t), derivative + t**2 * (
        cubic + quartic * t
    )


def _wca(r: Array, sigma: float, epsilon: float) -> tuple[Array, Array]:
    """Lennard-Jones raised by its depth, energy [eV] and derivative [eV/Å]."""
    six = (sigma / r) ** 6
    return 4.0 * epsilon * (six**2 - six) + epsilon, -24.0 * epsilon * (2.0 * six**2 - six) / r
