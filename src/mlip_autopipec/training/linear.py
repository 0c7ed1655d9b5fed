"""The linear fit itself: labels in, coefficients and active set out."""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from mlip_autopipec.ace import (
    BasisSpec,
    DesignMatrix,
    PairBaseline,
    RowScales,
    RowWeights,
    active_set_inverse,
    apply_weights,
    build_basis,
    default_prior,
    function_counts,
    row_weights,
    unseen_distance,
)
from mlip_autopipec.numerics import EvidenceFit, Moments, evidence_fit, maxvol
from mlip_autopipec.training.dataset import TrainingSet

Array = NDArray[np.float64]

_MOST_ENVIRONMENTS = 30_000  # kept at once while the active set is chosen
_EXPECTED_AT = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)  # of the shortest distance
_EXPECTED_WITHIN = 0.25


@dataclass(frozen=True)
class Target:
    """What the ACE has to give for one structure: the label without E0 and baseline.

    Parameters
    ----------
    energy
        In eV/atom.
    forces
        In eV/Å, shape ``(3 n_atoms,)``.
    stress
        In eV/Å^3, Voigt order xx yy zz yz xz xy, shape ``(6,)``; none where there is no label of it.
    weights
        How much each of these counts in the sum of squares; none if all count in full.
    """

    energy: float
    forces: Array
    stress: Array | None
    weights: RowWeights | None = None

    @property
    def n_counted(self) -> float:
        """Sum of the weights of its rows, dimensionless: the number of observations that they amount to."""
        return float(row_weights(self.weights, len(self.forces) // 3, stress=self.stress is not None).sum())

    def weighted(self, scales: RowScales, factor: float) -> Array:
        """Order and weight the numbers as ``DesignBlock.weighted`` does the rows.

        Parameters
        ----------
        scales
            Standard deviations by kind.
        factor
            Multiplies all of them, dimensionless.

        Returns
        -------
        numpy.ndarray
            Shape ``(1 + 3 n_atoms (+ 6),)``; fewer where rows do not count.
        """
        parts = [np.array([self.energy / scales.energy]), self.forces / scales.force]
        if self.stress is not None:
            parts.append(self.stress / scales.stress)
        return apply_weights(np.concatenate(parts) / factor, self.weights, len(self.forces) // 3)


class Expectation(NamedTuple):
    """What is known without a label: the energy of a structure over that of another.

    Parameters
    ----------
    atoms
        The structure.
    over
        The other, of as many atoms; none for free atoms.
    energy
        Expected energy without E0 in eV/atom.
    sigma
        Its standard deviation in eV/atom.
    """

    atoms: Atoms
    over: Atoms | None
    energy: float
    sigma: float


@dataclass(frozen=True)
class LinearProblem:
    """A weighted linear regression on labelled structures.

    Parameters
    ----------
    structures
        The structures.
    targets
        What is fitted, one for each.
    factors
        Looseness of each structure, dimensionless, shape ``(n_structures,)``.
    groups
        What each structure is correlated with; equal names are left out together.
    scales
        Standard deviations by kind.
    noise_floor
        Smallest noise that is believed, in units of ``scales``.
    expected
        What is known of energies without a label; for :func:`tightened` alone.
    """

    structures: list[Atoms]
    targets: list[Target]
    factors: Array
    groups: list[str]
    scales: RowScales
    noise_floor: float = 0.0
    expected: list[Expectation] = field(default_factory=list)

    @property
    def with_stress(self) -> list[bool]:
        """Whether each structure has a stress label."""
        return [target.stress is not None for target in self.targets]

    def part(self, indices: Sequence[int]) -> "LinearProblem":
        """Take some of the structures.

        Parameters
        ----------
        indices
            Which.

        Returns
        -------
        LinearProblem
            The smaller problem.
        """
        return replace(
            self,
            structures=[self.structures[i] for i in indices],
            targets=[self.targets[i] for i in indices],
            factors=self.factors[list(indices)],
            groups=[self.groups[i] for i in indices],
        )


@dataclass(frozen=True)
class LinearFit:
    """A basis, its rows and the solution.

    Parameters
    ----------
    spec
        The basis in numbers.
    basis
        The ``ACEBBasisSet``.
    design
        Computes its rows.
    moments
        Normal equations of the labels.
    solution
        Coefficients in eV and diagnostics.
    """

    spec: BasisSpec
    basis: Any
    design: DesignMatrix
    moments: Moments
    solution: EvidenceFit


def targets_of(training: TrainingSet, baseline: PairBaseline | None) -> list[Target]:
    """Subtract E0 and baseline from the labels.

    Parameters
    ----------
    training
        The training set.
    baseline
        A pair potential under the ACE; none if it has to give everything.

    Returns
    -------
    list[Target]
        One for each structure.
    """
    found = []
    for item, atoms, energy in zip(
        training.labels, training.structures, training.cohesive_energies(), strict=True
    ):
        forces = np.ravel(item.label.forces).astype(float)
        stress = None if item.label.stress is None else full_3x3_to_voigt_6_stress(item.label.stress)
        if baseline is not None:
            base_energies, base_forces, virial = baseline.evaluate(atoms)
            energy -= base_energies.mean()
            forces = forces - base_forces.ravel()
            if stress is not None:
                stress = stress + full_3x3_to_voigt_6_stress(virial) / atoms.get_volume()
        found.append(Target(float(energy), forces, stress, item.weights))
    return found


def expected_repulsion(
    shortest: Mapping[str, float], pairs: Sequence[str], baseline: PairBaseline | None
) -> list[Expectation]:
    """Say roughly what a dimer's energy is where there are no data: nuclei repel each other.

    Crystals alone leave the two-atom energy open by thousands of eV, and no core can mend that. At the
    shortest distance of a pair it is expected to be small against the nuclear repulsion there, and to rise
    from there inwards as ZBL does (or not at all, over a baseline that does it already), give or take a
    quarter. This decides what no label does, and nothing else.

    Parameters
    ----------
    shortest
        Shortest training distance in Å by pair ``'A-B'``.
    pairs
        All pairs.
    baseline
        The pair potential under the ACE.

    Returns
    -------
    list[Expectation]
        Dimers from 0.6 to 1 of the shortest distance of each pair.
    """
    found = []
    for pair in pairs:
        ends = shortest.get(pair, unseen_distance(pair)) * np.array(_EXPECTED_AT)
        energies = PairBaseline("zbl", {pair: 10.0}, {pair: 20.0}).pair_energy(pair, ends)[0] / 2.0
        nearest, *others = (Atoms(pair.split("-"), positions=[[0, 0, 0], [0, 0, r]]) for r in ends)
        found.append(Expectation(nearest, None, 0.0, float(energies[0]) + 1.0))
        for dimer, rise in zip(others, energies[1:] - energies[0], strict=True):
            mean = float(rise) if baseline is None else 0.0
            found.append(Expectation(dimer, nearest, mean, _EXPECTED_WITHIN * float(rise)))
    return found


def fit_linear(problem: LinearProblem, spec: BasisSpec) -> LinearFit:
    """Fit energies, forces and stresses at once; rows are summed as they come and never held together.

    Parameters
    ----------
    problem
        What to fit.
    spec
        The basis.

    Returns
    -------
    LinearFit
        The solution; its noise is in units of the problem's scales.
    """
    basis = build_basis(spec)
    design = DesignMatrix(basis)
    moments = Moments(design.n_functions)
    blocks = design.blocks(problem.structures, problem.with_stress)
    for block, target, factor in zip(blocks, problem.targets, problem.factors, strict=True):
        rows = block.weighted(problem.scales, factor, target.weights)
        moments.add(rows, target.weighted(problem.scales, factor), target.n_counted)
    return _solved(problem, spec, basis, design, moments, tightness=0.0)


def tightened(fit: LinearFit, problem: LinearProblem, tightness: float) -> LinearFit:
    """Solve again with what is expected of the short range; the labels' rows are not computed again.

    Parameters
    ----------
    fit
        The fit to labels alone; the evidence scales all rows by its noise, so expectations are given in it.
    problem
        What was fitted.
    tightness
        Divides the standard deviations of what is expected, dimensionless; 0 to expect nothing.

    Returns
    -------
    LinearFit
        The new solution.
    """
    return _solved(problem, fit.spec, fit.basis, fit.design, fit.moments, tightness * fit.solution.noise)


def _solved(
    problem: LinearProblem,
    spec: BasisSpec,
    basis: Any,
    design: DesignMatrix,
    moments: Moments,
    tightness: float,
) -> LinearFit:
    """Add what is expected to what was labelled, and solve."""
    every = copy.deepcopy(moments)
    for item in problem.expected if tightness else ():
        row = design.block(item.atoms, stress=False).energy
        if item.over is not None:
            row = row - design.block(item.over, stress=False).energy
        sigma = item.sigma / tightness
        every.add(row[None, :] / sigma, np.array([item.energy / sigma]))
    solution = evidence_fit(every, default_prior(basis), noise_floor=problem.noise_floor)
    return LinearFit(spec, basis, design, moments, solution)


def linear_active_set(fit: LinearFit, structures: Sequence[Atoms], energy_scale: float) -> dict[str, Array]:
    """Choose the active set of each element among the training environments.

    Beyond some ten thousand environments MaxVol chooses among what it has kept and what is new, again and
    again, so that memory stays bounded.

    Parameters
    ----------
    fit
        The fit; gives noise and prior: a function is resolved where it outgrows the noise over its prior
        spread.
    structures
        The training structures.
    energy_scale
        Standard deviation of an energy per atom at unit noise, eV/atom.

    Returns
    -------
    dict
        Inverse of the active set by element, shape ``(n_functions, n_functions)``.
    """
    floors = fit.solution.noise * energy_scale * np.sqrt(fit.solution.precision)
    counts = function_counts(fit.basis)
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]), strict=False))
    floor = {e: floors[starts[e] : starts[e] + n] for e, n in counts.items()}
    waiting: dict[str, list[Array]] = defaultdict(list)
    for atoms in structures:
        for element, rows in fit.design.projections(atoms).items():
            waiting[element].append(rows)
            if sum(map(len, waiting[element])) > _MOST_ENVIRONMENTS:
                waiting[element] = [_spanning(np.vstack(waiting[element]), floor[element])]
    return {e: active_set_inverse(np.vstack(waiting[e]), floor[e]) for e in counts}


def _spanning(rows: Array, floor: Array) -> Array:
    """Keep the environments that MaxVol would choose."""
    candidates = np.vstack([rows, np.diag(floor)])
    chosen = maxvol(candidates / np.abs(candidates).max(axis=0))
    return rows[np.sort(chosen[chosen < len(rows)])]
