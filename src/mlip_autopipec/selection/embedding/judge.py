"""Judge a small cell: it must still be the surroundings that were uncertain, and nothing worse."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from monty.json import MSONable
from numpy.typing import NDArray

from mlip_autopipec.ace import AcePotential, DesignMatrix
from mlip_autopipec.errors import CalculationError, ConfigError
from mlip_autopipec.selection.embedding.cut import CellKind, Cut

Array = NDArray[np.float64]

_CORE_GROWTH = 1.1  # of gamma: atoms at the rim of the core see the relaxed buffer


@dataclass
class EmbeddingRule(MSONable):
    """How small cells are made, and which of them are good enough.

    Parameters
    ----------
    buffer
        Least width in Å of the buffer between the core and half the way to its next image.
    frozen
        Width in Å of the part of the buffer, next to the core, that is not relaxed either.
    relax_steps
        Most steps of the relaxation of the rest; it ends where the cell is accepted.
    force_tolerance
        Largest force in eV/Å at which it ends.
    exchanges
        Most exchanges of elements that are tried in the buffer of a cell that is refused for its gamma.
    largest_share
        Atoms of a small cell over those of the whole at the most, dimensionless.
    descriptor_tolerance
        Largest relative change of the uncertain atom's basis functions and of its gamma, dimensionless.
    buffer_gamma
        Gamma up to which the other atoms count as known, MaxVol scale. Above it the buffer may not be more
        uncertain than the same atoms were in the whole cell, nor the core by more than a tenth.
    smallest_distance
        Shortest distance as a fraction of the distance below which the potential's core begins,
        dimensionless; where the whole cell has shorter ones, its own counts.
    """

    buffer: float = 0.5
    frozen: float = 0.25
    relax_steps: int = 40
    force_tolerance: float = 0.05
    exchanges: int = 100
    largest_share: float = 0.5
    descriptor_tolerance: float = 1.0e-3
    buffer_gamma: float = 2.0
    smallest_distance: float = 0.95

    def __post_init__(self) -> None:
        if not 0.0 <= self.frozen <= self.buffer:
            raise ConfigError(
                f"'frozen' must lie between 0 and 'buffer' ({self.buffer} Å), got {self.frozen} Å."
            )
        if not 0.0 < self.largest_share < 1.0:
            raise ConfigError(f"'largest_share' must lie between 0 and 1, got {self.largest_share}.")
        if self.exchanges < 0:
            raise ConfigError(f"'exchanges' must not be negative, got {self.exchanges}.")
        if self.buffer_gamma < 1.0:
            raise ConfigError(
                f"'buffer_gamma' must be at least 1, the edge of the active set, got {self.buffer_gamma}."
            )


@dataclass(frozen=True)
class Embedding:
    """A small periodic cell, all that was measured of it, and the verdict.

    Parameters
    ----------
    atoms
        The small cell, the uncertain atom first.
    kind
        ``"crystal"`` or ``"box"``.
    distance
        Of each atom from the uncertain one when it was cut, in Å, shape ``(n_atoms,)``.
    n_core
        Number of atoms within the core.
    separation
        Distance of the uncertain atom from its nearest image in Å.
    descriptor_difference
        Relative change of the uncertain atom's basis functions, dimensionless.
    gamma
        Of the uncertain atom in the small cell, MaxVol scale.
    gamma_host
        Of the same atom in the whole cell.
    gamma_core
        Largest of the core's atoms in the small cell.
    gamma_core_host
        Largest of the same atoms in the whole cell.
    gamma_buffer
        Largest of the buffer's atoms in the small cell.
    gamma_buffer_host
        Largest of the same atoms in the whole cell.
    smallest_distance
        Shortest distance over where the potential's core begins, dimensionless; infinite beyond the cut-off.
    smallest_distance_host
        The same of the whole cell.
    refusal
        Why it is not good enough; empty if it is.
    """

    atoms: Atoms
    kind: CellKind
    distance: Array
    n_core: int
    separation: float
    descriptor_difference: float
    gamma: float
    gamma_host: float
    gamma_core: float
    gamma_core_host: float
    gamma_buffer: float
    gamma_buffer_host: float
    smallest_distance: float
    smallest_distance_host: float
    refusal: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it may take the place of the whole cell."""
        return not self.refusal


@dataclass(frozen=True)
class Judged:
    """The whole cell by the potential that walked in it.

    Parameters
    ----------
    atoms
        The whole cell.
    gamma
        Of its atoms, MaxVol scale, shape ``(n_atoms,)``.
    distance_ratio
        Its shortest distance over where the potential's core begins, dimensionless.
    """

    atoms: Atoms
    gamma: Array
    distance_ratio: float


def judged(atoms: Atoms, potential: AcePotential, r_in: Mapping[str, float]) -> Judged:
    """Evaluate a whole cell.

    Parameters
    ----------
    atoms
        The cell.
    potential
        The potential, with its active set.
    r_in
        Distance in Å where the core begins, by pair ``'A-B'``.

    Returns
    -------
    Judged
        What an embedding is compared with.

    Raises
    ------
    CalculationError
        The potential has no active set.
    """
    found = potential.evaluate(atoms)
    if found.gamma is None:
        raise CalculationError(
            "the potential gives no gamma, so no atom can be called uncertain.",
            hint="load it with its active set (.asi).",
        )
    return Judged(atoms, found.gamma, _ratio(found.shortest, r_in))


def judge(
    cut: Cut, whole: Judged, potential: AcePotential, r_in: Mapping[str, float], rule: EmbeddingRule
) -> Embedding:
    """Measure a small cell against the whole one, and refuse it where they differ.

    Parameters
    ----------
    cut
        The small cell.
    whole
        The whole cell.
    potential
        The potential, with its active set.
    r_in
        Distance in Å where the core begins, by pair ``'A-B'``.
    rule
        What is good enough.

    Returns
    -------
    Embedding
        All numbers and the verdict.
    """
    core = float(potential.basis.cutoffmax)
    small = judged(cut.atoms, potential, r_in)
    inside = cut.distance < core
    before = whole.gamma[cut.index]
    n = 2 if not cut.atoms.pbc.all() else 3
    periods = cut.atoms.cell.array[cut.atoms.pbc][:n]
    found = Embedding(
        atoms=cut.atoms,
        kind=cut.kind,
        distance=cut.distance,
        n_core=int(inside.sum()),
        separation=float(np.linalg.norm(periods, axis=1).min()),
        descriptor_difference=_descriptor_difference(cut, whole.atoms, potential),
        gamma=float(small.gamma[0]),
        gamma_host=float(before[0]),
        gamma_core=float(small.gamma[inside].max()),
        gamma_core_host=float(before[inside].max()),
        gamma_buffer=float(small.gamma[~inside].max(initial=0.0)),
        gamma_buffer_host=float(before[~inside].max(initial=0.0)),
        smallest_distance=small.distance_ratio,
        smallest_distance_host=whole.distance_ratio,
    )
    return replace(found, refusal=refusal(found, len(whole.atoms), rule))


def refusal(found: Embedding, n_whole: int, rule: EmbeddingRule) -> str:
    """Say why a small cell is not good enough.

    Parameters
    ----------
    found
        What was measured.
    n_whole
        Number of atoms of the whole cell.
    rule
        What is good enough.

    Returns
    -------
    str
        The first reason; empty if there is none.
    """
    change = max(found.descriptor_difference, abs(found.gamma / found.gamma_host - 1.0))
    core_most, buffer_most = _allowed(found.gamma_core_host, found.gamma_buffer_host, rule)
    closest = min(rule.smallest_distance, found.smallest_distance_host)
    n_atoms = len(found.atoms)
    reasons = (
        (
            n_atoms > rule.largest_share * n_whole,
            f"{n_atoms} atoms are more than {rule.largest_share:g} of {n_whole}",
        ),
        (
            not change <= rule.descriptor_tolerance,
            f"the uncertain atom's surroundings changed by {change:.1e} (relative)",
        ),
        (
            found.smallest_distance < closest * (1.0 - 1.0e-6),
            f"two atoms are {found.smallest_distance:.2f} of the closest known distance apart",
        ),
        (
            found.gamma_buffer > buffer_most,
            f"gamma in the buffer is {found.gamma_buffer:.1f}, was {found.gamma_buffer_host:.1f}",
        ),
        (
            found.gamma_core > core_most,
            f"gamma in the core is {found.gamma_core:.1f}, was {found.gamma_core_host:.1f}",
        ),
    )
    return next((reason for broken, reason in reasons if broken), "")


def allowed_gamma(before: Array, inside: NDArray[np.bool_], rule: EmbeddingRule) -> tuple[float, float]:
    """Say up to which gamma a small cell is good enough.

    Parameters
    ----------
    before
        Gamma of its atoms in the whole cell, MaxVol scale, shape ``(n_atoms,)``.
    inside
        Which of them are the core, shape ``(n_atoms,)``.
    rule
        What is good enough.

    Returns
    -------
    core
        Largest gamma in the core.
    buffer
        Largest gamma outside of it.
    """
    return _allowed(float(before[inside].max()), float(before[~inside].max(initial=0.0)), rule)


def _allowed(core: float, buffer: float, rule: EmbeddingRule) -> tuple[float, float]:
    return max(rule.buffer_gamma, _CORE_GROWTH * core), max(rule.buffer_gamma, buffer)


def gamma_excess(found: Embedding, n_whole: int, rule: EmbeddingRule) -> float:
    """Say by how much gamma is too large in a small cell.

    Parameters
    ----------
    found
        What was measured.
    n_whole
        Number of atoms of the whole cell.
    rule
        What is good enough.

    Returns
    -------
    float
        Largest gamma over what is allowed, dimensionless; infinite if more than gamma is wrong with the cell.
    """
    core, buffer = _allowed(found.gamma_core_host, found.gamma_buffer_host, rule)
    tame = replace(found, gamma_core=0.0, gamma_buffer=0.0)
    if refusal(tame, n_whole, rule):
        return np.inf
    return max(found.gamma_core / core, found.gamma_buffer / buffer)


def core_weights(distance: Array, core: float) -> Array:
    r"""Weigh the forces of a small cell by where their atoms are.

    .. math:: w(r) = \cos^2\left(\frac{\pi}{2}\,\frac{r - r_\mathrm{core}}{r_\mathrm{end} - r_\mathrm{core}}
              \right), \quad r > r_\mathrm{core}

    and 1 inside; the end is the outermost atom, whose surroundings are the most artificial.

    Parameters
    ----------
    distance
        From the uncertain atom in Å, shape ``(n_atoms,)``.
    core
        Radius of the core in Å.

    Returns
    -------
    numpy.ndarray
        From 0 to 1, dimensionless, shape ``(n_atoms,)``.
    """
    end = max(float(distance.max()), core + 1.0e-9)
    outside = np.clip((distance - core) / (end - core), 0.0, 1.0)
    return np.asarray(np.cos(0.5 * np.pi * outside) ** 2)


def _descriptor_difference(cut: Cut, whole: Atoms, potential: AcePotential) -> float:
    """Relative change of the basis functions of the atom in the middle."""
    design = DesignMatrix(potential.basis)
    symbol = cut.atoms.symbols[0]
    mine = design.projections(cut.atoms)[symbol][0]
    rank = int(np.sum(np.array(whole.get_chemical_symbols())[: cut.index[0]] == symbol))
    other = design.projections(whole)[symbol][rank]
    return float(np.linalg.norm(mine - other) / np.linalg.norm(other))


def _ratio(shortest: Mapping[str, float], r_in: Mapping[str, float]) -> float:
    # A pair beyond the cut-off has no distance; it is far enough.
    return min((d / r_in[pair] for pair, d in shortest.items()), default=np.inf)
