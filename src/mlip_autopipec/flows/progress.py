"""What the loop does next: plain functions from one state to the next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monty.json import MSONable

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.numerics import rate_limit
from mlip_autopipec.schemas import (
    ErrorStatistics,
    ExplorationDoc,
    GenerationRecord,
    StopReason,
    Walker,
    WorkflowState,
)
from mlip_autopipec.units import FS_TO_PS, PS_TO_NS

_COOLER = 0.8  # of its temperature, for a walker that keeps halting


@dataclass
class LoopLimits(MSONable):
    """When the loop ends.

    Parameters
    ----------
    quiet_rounds
        Rounds of walks in a row without any halt after which the potential is taken to be certain.
    max_labels
        Labels that may be spent on training.
    max_generations
        Generations after which the loop ends whatever happens.
    max_halt_rate
        Halts per ns below which the rate must lie, with 95 % confidence, before the loop ends as certain;
        none to be content with the quiet rounds.
    cool_after
        Halts in a row without progress after which a walker goes on at 0.8 of its temperature; every so many
        again.
    max_stuck
        Halts in a row without progress after which a walker is given up.
    min_progress
        Steps between two halts below which the second counts as no progress.
    max_repairs
        Times that the loop goes on with structures of a failed check, if labels are left.
    repair_labels
        Labels of each failed check then.
    max_failed_batches
        Batches in a row of which too many labels failed, spare ones included, that end the campaign.
    """

    quiet_rounds: int = 2
    max_labels: int = 200
    max_generations: int = 40
    max_halt_rate: float | None = None
    cool_after: int = 4
    max_stuck: int = 8
    min_progress: int = 20
    max_repairs: int = 2
    repair_labels: int = 6
    max_failed_batches: int = 3

    def __post_init__(self) -> None:
        if self.cool_after < 1:
            raise ConfigError(f"'cool_after' must be at least 1, got {self.cool_after}.")
        if self.max_failed_batches < 1:
            raise ConfigError(f"'max_failed_batches' must be at least 1, got {self.max_failed_batches}.")
        if self.max_halt_rate is not None and not self.max_halt_rate > 0.0:
            raise ConfigError(f"'max_halt_rate' must be positive, got {self.max_halt_rate} 1/ns.")


def new_round(
    n_starts: int, temperatures: Sequence[float], n_steps: int, number: int, seed: int
) -> list[Walker]:
    """Make the walkers of a round: every crystal at every temperature, with velocities of its own.

    Parameters
    ----------
    n_starts
        Number of crystals to start from.
    temperatures
        In K.
    n_steps
        Steps of each walk.
    number
        Number of the round; other rounds have other velocities.
    seed
        Seed of the campaign.

    Returns
    -------
    list[Walker]
        The walkers.
    """
    pairs = [(start, t) for start in range(n_starts) for t in temperatures]
    return [
        Walker(
            index=index,
            round=number,
            start=start,
            temperature=temperature,
            n_steps=n_steps,
            seed=_seed(seed, number, index),
        )
        for index, (start, temperature) in enumerate(pairs)
    ]


def moved(
    walker: Walker, run: ExplorationDoc, run_id: str, limits: LoopLimits, *, stranded: bool = False
) -> Walker:
    """Say what a walker does after a run.

    Parameters
    ----------
    walker
        The walker as the run began.
    run
        What happened.
    run_id
        Id of the exploration job.
    limits
        When it is given up.
    stranded
        Whether what it was halted at could not be labelled.

    Returns
    -------
    Walker
        Finished if it walked to its end; else to be resumed where it was halted, or, if the end is broken or
        it is stranded, to start again with other velocities. Without progress it is cooled, and given up in
        the end.
    """
    if not run.halted:
        return walker.model_copy(
            update={"finished": True, "steps_done": run.end_step, "n_stuck": 0, "resume_from": run_id}
        )
    sane = run.end_reason == "gamma" and not stranded
    progress = sane and run.end_step - run.start_step >= limits.min_progress
    stuck = 0 if progress else walker.n_stuck + 1
    update: dict[str, object] = {"n_halts": walker.n_halts + 1, "n_stuck": stuck}
    if stuck > limits.max_stuck:
        update |= {
            "finished": True,
            "given_up": f"{stuck} halts in a row without progress ({run.end_reason})",
        }
    elif sane:
        update |= {"steps_done": run.end_step, "resume_from": run_id}
        if stuck and stuck % limits.cool_after == 0:
            cooled_from = walker.cooled_from or walker.temperature
            update |= {"temperature": _COOLER * walker.temperature, "cooled_from": cooled_from}
    else:
        update |= {"steps_done": 0, "resume_from": None, "seed": _seed(walker.seed, walker.n_halts + 1)}
    return walker.model_copy(update=update)


@dataclass(frozen=True)
class Outcome:
    """What a generation brought, for :func:`advanced`.

    ``asked`` says whether there was a batch, ``tolerated`` which fraction of it may fail (dimensionless).
    """

    runs: Sequence[ExplorationDoc]
    run_ids: Sequence[str]
    errors: ErrorStatistics
    n_labels: int
    n_failed: int
    asked: bool = False
    tolerated: float = 1.0

    @property
    def stranded(self) -> bool:
        """Whether labels were asked for and none came: the walks met what they had met before."""
        return self.asked and not self.n_labels

    @property
    def batch_failed(self) -> bool:
        """Whether more of the labels failed than is tolerated."""
        return self.stranded or self.n_failed > self.tolerated * (self.n_labels + self.n_failed)


def audits(state: WorkflowState, outcome: Outcome, share: float, seed: int) -> list[str]:
    """Choose the walks whose certain ends are labelled to see whether they are.

    Parameters
    ----------
    state
        The state after the generation.
    outcome
        What the generation brought.
    share
        Audits over all labels of the loop, dimensionless.
    seed
        Seed of the campaign.

    Returns
    -------
    list[str]
        Ids of explorations that walked to their end; as many as are due, if there are as many.
    """
    ids = [uuid for run, uuid in zip(outcome.runs, outcome.run_ids, strict=True) if run.certain is not None]
    due = math.ceil(share * state.n_labels) - state.n_audited
    order = np.random.default_rng([seed, state.generation]).permutation(len(ids))
    return [ids[i] for i in order[: max(due, 0)]]


def advanced(state: WorkflowState, outcome: Outcome, limits: LoopLimits) -> WorkflowState:
    """Move the state on by one generation.

    Parameters
    ----------
    state
        The state before.
    outcome
        What the generation brought.
    limits
        When the loop ends.

    Returns
    -------
    WorkflowState
        The state after; walkers of a complete round are all finished.
    """
    runs = dict(
        zip(
            (run.walker.index for run in outcome.runs),
            zip(outcome.runs, outcome.run_ids, strict=True),
            strict=True,
        )
    )
    walkers = [
        moved(walker, *runs[walker.index], limits, stranded=outcome.stranded)
        if walker.index in runs
        else walker
        for walker in state.walkers
    ]
    halts = sum(run.halted for run in outcome.runs)
    record = GenerationRecord(
        generation=state.generation,
        n_labels=state.n_labels + outcome.n_labels,
        n_failed=outcome.n_failed,
        n_explorations=len(outcome.runs),
        n_halts=halts,
        n_steps=sum(run.end_step - run.start_step for run in outcome.runs),
        gamma_max=max(run.gamma_max for run in outcome.runs),
        energy_rmse=outcome.errors.energy_rmse,
        force_rmse=outcome.errors.force_rmse,
    )
    round_halts = state.round_halts + halts
    complete = all(walker.finished for walker in walkers)
    quiet = (state.quiet_rounds + 1 if round_halts == 0 else 0) if complete else state.quiet_rounds
    walks, time = (0, 0.0) if halts else (state.quiet_walks, state.quiet_time)
    watched = [] if halts else outcome.runs
    completed = [uuid for run, uuid in zip(outcome.runs, outcome.run_ids, strict=True) if not run.halted]
    after = state.model_copy(
        update={
            "walkers": walkers,
            "round_halts": 0 if complete else round_halts,
            "quiet_rounds": quiet,
            "quiet_walks": walks + len(watched),
            "quiet_time": time + sum(FS_TO_PS * r.timestep * (r.end_step - r.start_step) for r in watched),
            "completed": [*state.completed, *completed],
            "n_labels": record.n_labels,
            "n_failed": state.n_failed + outcome.n_failed,
            "failed_batches": _failed_batches(state, outcome),
            "history": [*state.history, record],
        }
    )
    return after.model_copy(update={"stop_reason": _stop_reason(after, limits)})


def halt_rate_limit(state: WorkflowState) -> float | None:
    """Say how often the current potential halts at most, with 95 % confidence.

    Parameters
    ----------
    state
        Knows how long it walked without a halt.

    Returns
    -------
    float or None
        Halts per ns; none if it has not.
    """
    return rate_limit(0, PS_TO_NS * state.quiet_time) if state.quiet_time > 0.0 else None


def _failed_batches(state: WorkflowState, outcome: Outcome) -> int:
    if not outcome.asked:
        return state.failed_batches
    return state.failed_batches + 1 if outcome.batch_failed else 0


def _stop_reason(state: WorkflowState, limits: LoopLimits) -> StopReason | None:
    rare = limits.max_halt_rate is None or (halt_rate_limit(state) or math.inf) <= limits.max_halt_rate
    if state.quiet_rounds >= limits.quiet_rounds and rare:
        return "no_halt"
    if state.n_labels >= limits.max_labels:
        return "label_budget"
    if state.generation + 1 >= limits.max_generations:
        return "generation_limit"
    return None


def _seed(*numbers: int) -> int:
    """Derive a seed from several numbers, the same every time."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
