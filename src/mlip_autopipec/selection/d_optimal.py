"""D-optimal selection on energy, force and stress rows of the linear model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace import (
    BasisSpec,
    DesignMatrix,
    RowScales,
    bonds,
    build_basis,
    default_prior,
    load_potential,
)
from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.numerics import (
    Budget,
    DesignChoice,
    atomic_fractions,
    greedy_d_optimal,
    hull_energies,
    posterior_precision,
)
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    LabelBatchDoc,
    LabelledStructure,
    LabelWeights,
    LinearFitReport,
    Origin,
    PotentialDoc,
    SelectionDoc,
)
from mlip_autopipec.selection.base import SelectionMaker

Array = NDArray[np.float64]


@dataclass
class DOptimalSelectionMaker(SelectionMaker):
    """Choose the structures that shrink the posterior of a linear ACE most.

    Energies count as well as forces: a choice by forces alone degrades the energies. A structure teaches no
    more than the fit will believe of it, so rows are as loose here as they will be there, by the energy that
    the potential expects of what has no label yet.

    Parameters
    ----------
    name
        Name of the job.
    cutoff
        Cut-off radius of the criterion's basis in Å.
    n_functions
        About how many functions per element it has.
    energy_sigma
        Standard deviation of an energy per atom, in eV/atom.
    force_sigma
        Standard deviation of a force component, in eV/Å.
    stress_sigma
        Standard deviation of a stress component, in eV/Å^3.
    energy_scale
        Energy above the convex hull, in eV/atom, at which all standard deviations double, as in the fit.
    cost_exponent
        A label costs its number of atoms to this power, and information per cost is chosen; 0 to choose by
        information alone, 3 for the cubic cost of plane-wave DFT. Not 0 by default: what a model cannot
        describe is wrong in all rows of a cell alike, so they are worth less than as many of several cells.
    quotas
        Largest share of a batch by origin, dimensionless; at least one structure of each is allowed.
    control_share
        Share of a batch that is drawn at random instead, dimensionless, to be compared with the chosen ones.
    seed
        Seed of that.
    """

    name: str = "select d-optimal"
    cutoff: float = 5.0
    n_functions: int = 200
    energy_sigma: float = 0.001
    force_sigma: float = 0.05
    stress_sigma: float = 0.001
    energy_scale: float = 0.3
    cost_exponent: float = 0.5
    quotas: dict[str, float] = field(default_factory=dict)
    control_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.energy_scale > 0.0:
            raise ConfigError(f"'energy_scale' must be positive, got {self.energy_scale} eV/atom.")
        if self.cost_exponent < 0.0:
            raise ConfigError(f"'cost_exponent' must not be negative, got {self.cost_exponent}.")
        unknown = sorted(set(self.quotas) - set(get_args(Origin)))
        if unknown:
            known = ", ".join(get_args(Origin))
            raise ConfigError(f"'quotas' knows no origin {', '.join(unknown)}; known: {known}.")
        for key, share in {**self.quotas, "control_share": self.control_share}.items():
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"{key!r} must lie between 0 and 1, got {share}.")

    def select(
        self,
        candidates: list[CandidateStructure],
        n_choose: int,
        batches: list[LabelBatchDoc],
        potential: PotentialDoc | None,
    ) -> SelectionDoc:
        """Choose; see :class:`SelectionMaker`."""
        items = [item for batch in batches for item in batch.labels]
        labelled = [item.label.structure for item in items]
        failed = {item.structure.digest for batch in batches for item in batch.failed}
        fresh = _distinct(candidates, failed | {structure.digest for structure in labelled})
        if not fresh and not failed.isdisjoint(c.structure.digest for c in candidates):
            return SelectionDoc.of([])
        if not fresh:
            raise FitError(f"nothing is left to label: all {len(candidates)} candidates have labels already.")
        elements = {s for c in fresh for s in c.structure.symbols} | {
            s for structure in labelled for s in structure.symbols
        }
        report = potential.fit if potential is not None else None
        fitted = report if isinstance(report, LinearFitReport) else None
        basis = build_basis(self._spec(tuple(elements), fitted))
        design = DesignMatrix(basis)
        prior = default_prior(basis)
        theta = prior.guess if fitted is None else np.array(list(fitted.prior.values()))
        # In units of the noise, as the prior is, the noise itself drops out of the information.
        gram = np.zeros((design.n_functions, design.n_functions))
        fresh = self._controls(fresh, n_choose, len(labelled))
        known, expected = np.ones(len(items)), np.ones(len(fresh))
        if potential is not None and items:
            known, expected = self._looseness(potential, items, [c.structure for c in fresh])
        for item, loose in zip(items, known, strict=True):
            rows = self._rows(design, item.label.structure.to_ase(), item.weights, loose)
            gram += rows.T @ rows
        budget = Budget(
            costs=[c.structure.n_atoms**self.cost_exponent for c in fresh],
            groups=[c.origin for c in fresh],
            most={origin: max(1, round(share * n_choose)) for origin, share in self.quotas.items()},
        )
        blocks = [
            self._rows(design, c.structure.to_ase(), c.weights, loose)
            for c, loose in zip(fresh, expected, strict=True)
        ]
        required = self._required(fresh)
        precision = posterior_precision(gram, prior.log_precision(theta))
        n_first = max(n_choose, len(required))
        # The order does not depend on how many are chosen. A first batch of which too much fails has no
        # need of others: its oracle does not work.
        n_asked = n_first if potential is None else n_first + n_choose
        choice = self._choose(fresh, blocks, precision, n_asked, required, budget)
        ranked = [fresh[index] for index in choice.indices]
        return SelectionDoc(
            candidates=ranked[:n_first],
            spare=ranked[n_first:],
            n_considered=len(candidates),
            n_duplicates=len(candidates) - len(fresh),
            gain=choice.gains[:n_first],
            n_functions=design.n_functions,
        )

    def _required(self, fresh: list[CandidateStructure]) -> list[int]:
        return [index for index, c in enumerate(fresh) if c.required or c.control]

    def _choose(
        self,
        fresh: list[CandidateStructure],  # noqa: ARG002 - for criteria that know who found what
        blocks: list[Array],
        precision: Array,
        n_choose: int,
        required: list[int],
        budget: Budget,
    ) -> DesignChoice:
        return greedy_d_optimal(blocks, precision, n_choose, required, budget)

    def _controls(
        self, fresh: list[CandidateStructure], n_choose: int, n_labelled: int
    ) -> list[CandidateStructure]:
        """Mark the structures that are drawn at random."""
        free = [index for index, c in enumerate(fresh) if not c.required]
        n_drawn = min(round(self.control_share * n_choose), len(free))
        drawn = np.random.default_rng([self.seed, n_labelled]).choice(free, n_drawn, replace=False)
        marked = set(drawn.tolist())
        return [c.model_copy(update={"control": True}) if i in marked else c for i, c in enumerate(fresh)]

    def _spec(self, elements: tuple[str, ...], fitted: LinearFitReport | None) -> BasisSpec:
        """Take the basis of the current linear potential, or the one given."""
        if fitted is None:
            return BasisSpec(elements, self.cutoff, self.n_functions)
        basis = fitted.basis
        return BasisSpec(
            elements,
            basis.cutoff,
            basis.n_functions,
            basis.radial,
            basis.radial_parameter,
            basis.l_weight,
        )

    def _looseness(
        self,
        potential: PotentialDoc,
        items: Sequence[LabelledStructure],
        fresh: Sequence[AtomicStructure],
    ) -> tuple[Array, Array]:
        """Factors on standard deviations of labels, and of candidates: at most that of the loosest label."""
        structures = [item.label.structure for item in items]
        reference = np.array([sum(potential.e0[s] for s in structure.symbols) for structure in structures])
        energies = (np.array([item.label.energy for item in items]) - reference) / [
            structure.n_atoms for structure in structures
        ]
        with TemporaryDirectory() as folder:
            ace = load_potential(potential, Path(folder))
            expected = [ace.evaluate(s.to_ase(), gamma=False).energies.mean() for s in fresh]
        fractions = atomic_fractions([s.symbols for s in (*structures, *fresh)])
        labels = fractions[: len(items)]
        hull = hull_energies(fractions, labels, energies)
        # Beyond the compositions with labels there is no hull to be above, and nothing is loose.
        above = np.maximum(np.concatenate([energies, expected]) - hull, 0.0)
        factors = 1.0 + above / self.energy_scale
        known = factors[: len(items)]
        return known, np.minimum(factors[len(items) :], known.max())

    def _rows(
        self, design: DesignMatrix, atoms: Atoms, weights: LabelWeights | None, looseness: float
    ) -> Array:
        """Rows over their standard deviations; atoms out of each other's reach have none."""
        if not len(bonds(atoms, design.cutoff).i):
            return np.zeros((1, design.n_functions))
        scales = RowScales(self.energy_sigma, self.force_sigma, self.stress_sigma)
        return design.block(atoms).weighted(scales, looseness, weights)


def _distinct(candidates: list[CandidateStructure], known: set[str]) -> list[CandidateStructure]:
    """Drop what has a label or equals an earlier one; of equal ones a required one stays."""
    found: dict[str, CandidateStructure] = {}
    for candidate in candidates:
        digest = candidate.structure.digest
        if digest not in known and not (digest in found and found[digest].required):
            found[digest] = candidate
    return list(found.values())
