"""Gamma is the alarm, the estimated error in eV/Å the judge: whether a halt is worth a label."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path

from ase import Atoms

from mlip_autopipec.ace import load_error_model
from mlip_autopipec.dynamics.observer import distance_ratio
from mlip_autopipec.schemas import (
    ErrorLimit,
    ExplorationDoc,
    LiftedHalt,
    PotentialDoc,
    ThermoTable,
)

Estimate = Callable[[Atoms], float]
Walk = Callable[[float | None, ExplorationDoc | None], ExplorationDoc]

_CEILING = 100.0  # of the limit of gamma: no estimate is believed beyond
_STEP = (1.25, 2.0)  # by which the limit is raised at least and at most


def error_estimate(potential: PotentialDoc, limit: ErrorLimit, directory: Path) -> Estimate | None:
    """Prepare the estimate of a structure's largest force error.

    Parameters
    ----------
    potential
        The potential.
    limit
        What the latest labels taught.
    directory
        Where its files are written; it must exist.

    Returns
    -------
    callable or None
        Gives the estimate in eV/Å at the level of the calibration, of atoms; infinite where atoms are so near
        that the core counts, of which the posterior knows nothing. None if the potential has no posterior.
    """
    model = load_error_model(potential, directory)
    if model is None:
        return None
    scale = max(limit.scale, model.posterior.scale)

    def estimate(atoms: Atoms) -> float:
        if distance_ratio(atoms, potential.core.r_in) < 1.0:
            return float("inf")
        return scale * float(model.force_deviations(atoms).max())

    return estimate


def walk_on(walk: Walk, estimate: Estimate, tolerated: float) -> ExplorationDoc:
    """Walk, and go on after each halt by gamma at which all forces are estimated to be good enough.

    The error of a linear model grows with gamma at most in proportion, so the limit is raised to where the
    estimate would meet the tolerated error, but no more than twofold at once and a hundredfold in all.

    Parameters
    ----------
    walk
        Walks up to a limit of gamma, none for the rule's own, from the end of a run, none for the beginning.
    estimate
        Estimates the largest force error of a structure in eV/Å.
    tolerated
        Force error that is still good enough, in eV/Å.

    Returns
    -------
    ExplorationDoc
        All runs as one.
    """
    run = walk(None, None)
    ceiling = _CEILING * run.gamma_limit
    while run.end_reason == "gamma" and (gamma := run.end_value) is not None and run.restart is not None:
        error = estimate(run.final.to_ase())
        run = run.model_copy(update={"force_error": error if isfinite(error) else None})
        if not error <= tolerated or gamma >= ceiling:  # what is no number is not good enough
            break
        halt = LiftedHalt(step=run.end_step, gamma=gamma, force_error=error)
        raised = min(max(tolerated / error, _STEP[0]), _STEP[1]) if error > 0.0 else _STEP[1]
        more = walk(min(raised * gamma, ceiling), run.model_copy(update={"frames": []}))
        run = joined(run, more).model_copy(update={"lifted": [*run.lifted, halt]})
    return run


def joined(run: ExplorationDoc, more: ExplorationDoc) -> ExplorationDoc:
    """Make one document of a run and its continuation with the same potential.

    Parameters
    ----------
    run
        The run.
    more
        What followed.

    Returns
    -------
    ExplorationDoc
        Both; of the frames those of the largest grades, as many as the run that kept more.
    """
    fresh = [i for i, step in enumerate(more.thermo.step) if step > run.thermo.step[-1]]
    table = {
        name: [*column, *(getattr(more.thermo, name)[i] for i in fresh)]
        for name, column in run.thermo.model_dump().items()
    }
    earlier = [frame.model_copy(update={"required": False}) for frame in run.frames]
    frames = [*earlier, *more.frames]
    most = max(len(run.frames), len(more.frames))
    kept = sorted(range(len(frames)), key=lambda i: (not frames[i].required, -(frames[i].gamma or 0.0)))[
        :most
    ]
    return more.model_copy(
        update={
            "walker": run.walker,
            "start_step": run.start_step,
            "gamma_start": run.gamma_start,
            "gamma_max": max(run.gamma_max, more.gamma_max),
            "thermo": ThermoTable(**table),
            "frames": [frames[i] for i in sorted(kept)],
            "replayed": run.replayed,
            "wall_time": run.wall_time + more.wall_time,
        }
    )
