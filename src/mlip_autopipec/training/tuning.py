"""Choose the basis by what the data say of it: the evidence, within a ceiling on the cost."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from monty.json import MSONable

from mlip_autopipec.ace import BasisSpec, bonds, build_basis, evaluation_cost
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.schemas import BasisChoice, BasisTrial
from mlip_autopipec.training.linear import LinearFit, LinearProblem, fit_linear

Stage = Literal["given", "radial", "cutoff", "l_weight", "growth", "size"]

_LIGHTER = 0.7  # of the angular weight: the larger a basis, the more angular functions serve it


@dataclass
class BasisTuner(MSONable):
    """Search one axis of the basis after the other, each for the largest evidence.

    The evidence (marginal likelihood) weighs misfit against freedom on the training labels alone; no label
    is held back. All trials see the same rows, so their evidences compare.

    Parameters
    ----------
    radial
        Radial families with their parameter.
    cutoffs
        Cut-off radii over the given one, dimensionless.
    l_weights
        What an angular momentum counts against a radial index, dimensionless.
    sizes
        Numbers of functions of each element.
    max_cost
        Ceiling on an evaluation of energy and forces, µs/atom by the cost model on one core.
    probe_size
        Functions of each element while families, cut-offs and weights are compared.
    max_atoms
        Atoms of the random part of the labels on which they are compared; sizes see all labels.
    seed
        Seed of that choice.
    """

    radial: tuple[tuple[str, float], ...] = (("SBessel", 1.0), ("ChebExpCos", 3.0), ("ChebPow", 2.0))
    cutoffs: tuple[float, ...] = (0.85, 1.0, 1.15, 1.3)
    l_weights: tuple[float, ...] = (0.7, 1.0, 1.5, 2.0)
    sizes: tuple[int, ...] = (60, 120, 200, 350, 550, 800, 1100)
    max_cost: float = 150.0
    probe_size: int = 200
    max_atoms: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_cost <= 0.0:
            raise ConfigError(f"'max_cost' must be positive, got {self.max_cost} µs/atom.")
        for name in ("radial", "cutoffs", "l_weights", "sizes"):
            if not getattr(self, name):
                raise ConfigError(f"{name!r} must hold at least one value, got none.")

    def tune(self, problem: LinearProblem, spec: BasisSpec) -> tuple[LinearFit, list[BasisTrial]]:
        """Choose a basis.

        Parameters
        ----------
        problem
            What to fit.
        spec
            Where to start; its size is not used.

        Returns
        -------
        fit
            The fit of the chosen basis to all labels.
        trials
            Every basis that was tried, in order.
        """
        trials: list[BasisTrial] = []
        part = problem.part(self._some(problem))
        probe = replace(spec, n_functions=min(self.probe_size, max(self.sizes)))
        axes: list[tuple[Stage, Iterable[BasisSpec]]] = [
            ("radial", [replace(probe, radial=r, radial_parameter=p) for r, p in self.radial]),
            ("cutoff", [replace(probe, cutoff=round(f * spec.cutoff, 2)) for f in self.cutoffs]),
            ("l_weight", [replace(probe, l_weight=w) for w in self.l_weights]),
        ]
        best = probe
        varied = {"radial": ("radial", "radial_parameter"), "cutoff": ("cutoff",), "l_weight": ("l_weight",)}
        for stage, specs in axes:
            found = [replace(best, **{k: getattr(s, k) for k in varied[stage]}) for s in specs]
            best = self._compare(part, stage, found, trials)
        return self._grow(problem, part, best, trials)

    def _some(self, problem: LinearProblem) -> list[int]:
        """Choose structures at random until there are enough atoms."""
        order = np.random.default_rng(self.seed).permutation(len(problem.structures))
        sizes = np.cumsum([len(problem.structures[i]) for i in order])
        n_kept = int(np.searchsorted(sizes, self.max_atoms)) + 1
        return sorted(int(i) for i in order[:n_kept])

    def _compare(
        self, problem: LinearProblem, stage: Stage, specs: list[BasisSpec], trials: list[BasisTrial]
    ) -> BasisSpec:
        """Try all values of one axis and keep the one of largest evidence."""
        fits = [fit_linear(problem, spec) for spec in specs]
        evidence = [fit.solution.log_evidence for fit in fits]
        winner = int(np.argmax(evidence))
        for index, fit in enumerate(fits):
            behind = evidence[winner] - evidence[index]
            reason = "largest evidence" if index == winner else f"{behind:.0f} nat behind"
            trials.append(_trial(stage, fit, problem, chosen=index == winner, reason=reason))
        return specs[winner]

    def _grow(
        self, problem: LinearProblem, part: LinearProblem, spec: BasisSpec, trials: list[BasisTrial]
    ) -> tuple[LinearFit, list[BasisTrial]]:
        """Add functions while the evidence grows and the cost allows; with each size, weigh l anew."""
        sizes = sorted(set(self.sizes))
        best = fit_linear(problem, replace(spec, n_functions=sizes[0]))
        grown = [_trial("size", best, problem, chosen=False, reason="fewer functions")]
        end = "largest evidence of all sizes"
        for size in sizes[1:]:
            same = replace(best.spec, n_functions=size)
            weights = [round(f * same.l_weight, 2) for f in (1.0 / _LIGHTER, 1.0, _LIGHTER)]
            affordable = [
                s for s in (replace(same, l_weight=w) for w in weights) if self._affords(s, problem)
            ]
            if not affordable:
                end = f"largest evidence within the cost; {size} functions exceed {self.max_cost:g} µs/atom"
                break
            fit = fit_linear(problem, self._compare(part, "growth", affordable, trials))
            better = fit.solution.log_evidence > best.solution.log_evidence
            reason = "fewer functions" if better else "no more evidence than the smaller one"
            grown.append(_trial("size", fit, problem, chosen=False, reason=reason))
            if not better:
                end = "largest evidence"
                break
            best = fit
        taken = basis_choice(best.spec)
        update = {"chosen": True, "reason": end}
        trials += [t.model_copy(update=update) if t.basis == taken else t for t in grown]
        return best, trials

    def _affords(self, spec: BasisSpec, problem: LinearProblem) -> bool:
        return _cost(build_basis(spec), problem, spec.cutoff) <= self.max_cost


def basis_choice(spec: BasisSpec) -> BasisChoice:
    """Describe a basis in a document.

    Parameters
    ----------
    spec
        The basis.

    Returns
    -------
    BasisChoice
        Its numbers.
    """
    return BasisChoice(
        radial=spec.radial,
        radial_parameter=spec.radial_parameter,
        cutoff=spec.cutoff,
        n_functions=spec.n_functions,
        l_weight=spec.l_weight,
    )


def mean_neighbours(problem: LinearProblem, cutoff: float) -> float:
    """Count the neighbours of an atom, on average over some structures.

    Parameters
    ----------
    problem
        Gives the structures; at most fifty are looked at.
    cutoff
        Cut-off radius in Å.

    Returns
    -------
    float
        Dimensionless.
    """
    some = problem.structures[:: max(1, len(problem.structures) // 50)]
    n_bonds = sum(len(bonds(atoms, cutoff).i) for atoms in some)
    return float(n_bonds / sum(map(len, some)))


def _trial(stage: Stage, fit: LinearFit, problem: LinearProblem, *, chosen: bool, reason: str) -> BasisTrial:
    return BasisTrial(
        stage=stage,
        basis=basis_choice(fit.spec),
        log_evidence=fit.solution.log_evidence,
        cost=_cost(fit.basis, problem, fit.spec.cutoff),
        chosen=chosen,
        reason=reason,
    )


def _cost(basis: Any, problem: LinearProblem, cutoff: float) -> float:
    """Cost of an evaluation in µs/atom."""
    return evaluation_cost(basis, mean_neighbours(problem, cutoff))
