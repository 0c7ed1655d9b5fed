"""The jobs of a generation, each from the Maker's parts and the state alone."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jobflow import Job, OutputReference

from mlip_autopipec.flows.policy import decided, granted
from mlip_autopipec.generation.search import EXPLORERS
from mlip_autopipec.schemas import Walker, WorkflowState

if TYPE_CHECKING:  # its Maker builds flows of these jobs
    from mlip_autopipec.flows.active_learning import ActiveLearningMaker


def tagged(work: Job, stage: str, generation: int, *, dynamic: bool = False) -> Job:
    """Say in the metadata what a job is for.

    Parameters
    ----------
    work
        The job.
    stage
        What it is for.
    generation
        Number of the generation.
    dynamic
        Whether the jobs that it makes are for the same.

    Returns
    -------
    jobflow.Job
        The same job.
    """
    work.update_metadata({"stage": stage, "generation": generation}, dynamic=dynamic)
    return work


def embedding(
    maker: "ActiveLearningMaker", state: WorkflowState, starts: list[Any], frames: list[Any]
) -> Job:
    """Make the frames of some walks with the current potential small enough for the oracle.

    Parameters
    ----------
    maker
        The loop.
    state
        Where it stands.
    starts
        Index of the crystal where each walk began, or a reference to it.
    frames
        References to the frames of each walk.

    Returns
    -------
    jobflow.Job
        Its output is an ``EmbeddingDoc``.
    """
    crystals = OutputReference(state.seeds).reference
    small = maker.embedding_maker.make(OutputReference(state.potential), frames, starts, crystals)
    return tagged(small, "embed", state.generation)


def labelling(maker: "ActiveLearningMaker", state: WorkflowState, chosen: OutputReference) -> Job:
    """Label what was chosen. A batch of which too much fails ends the campaign if others before it did.

    It then fails itself, so that its labels are tried again when the campaign goes on.

    Parameters
    ----------
    maker
        The loop.
    state
        Where it stands.
    chosen
        The selection.

    Returns
    -------
    jobflow.Job
        Its output is a ``LabelBatchDoc``, with no labels at the worst.
    """
    if state.failed_batches + 1 < maker.limits.max_failed_batches:
        return replace(maker.label_maker, lenient=True).make(chosen)
    return maker.label_maker.make(chosen, state.failed_batches)


def calibration(maker: "ActiveLearningMaker", state: WorkflowState, batch: OutputReference) -> Job:
    """Learn from new labels what the grades of the potential meant that had not seen them.

    Parameters
    ----------
    maker
        The loop.
    state
        Where it stands.
    batch
        The labels.

    Returns
    -------
    jobflow.Job
        Its output is a ``GammaCalibrationDoc``.
    """
    before = OutputReference(state.calibration) if state.calibration else None
    found = maker.calibration_maker.make(OutputReference(state.potential), batch, before)
    return tagged(found, "calibrate", state.generation)


def slow_fit(maker: "ActiveLearningMaker", state: WorkflowState) -> Job | None:
    """Fit to all labels so far, started from the current potential.

    Parameters
    ----------
    maker
        The loop.
    state
        Where it stands.

    Returns
    -------
    jobflow.Job or None
        None if the loop's own fit is all there is.
    """
    if maker.final_fit_maker is None:
        return None
    batches = [OutputReference(uuid) for uuid in state.batches]
    fit = maker.final_fit_maker.make(batches, OutputReference(state.potential))
    return tagged(fit, "refine", state.generation)


def explorers(
    maker: "ActiveLearningMaker", state: WorkflowState
) -> tuple[WorkflowState, list[Walker], list[Job]]:
    """Ask the policy who explores.

    Parameters
    ----------
    maker
        The loop.
    state
        Where it stands.

    Returns
    -------
    state
        The state that knows what was decided.
    walkers
        Those that walk.
    jobs
        The job that looks beside them, if any.
    """
    walkers = [walker for walker in state.walkers if not walker.finished]
    if not maker.policy.active:
        return state, walkers, []
    decision = decided(
        maker.policy,
        state.arms,
        {walker.arm for walker in walkers},
        n_slots=maker.batch_size,
        generation=state.generation,
    )
    update = {"decisions": [*state.decisions, decision], "arms": granted(state.arms, decision)}
    slots = {arm: n for arm, n in decision.slots.items() if arm in EXPLORERS}
    if not slots:
        return state.model_copy(update=update), walkers, []
    search = maker.perturbation_maker.make(
        OutputReference(state.potential),
        OutputReference(state.seeds).reference,
        slots,
        maker.seed + state.generation,
        required=decision.kind == "fixed",
    )
    tagged(search, "search", state.generation)
    return state.model_copy(update=update | {"search": search.uuid}), walkers, [search]


def walk(maker: "ActiveLearningMaker", state: WorkflowState, walker: Walker) -> Job:
    """Send a walker on from where it was halted, or from its crystal.

    Parameters
    ----------
    maker
        The loop.
    state
        Where it stands.
    walker
        The walker.

    Returns
    -------
    jobflow.Job
        Its output is an ``ExplorationDoc``.
    """
    previous = OutputReference(walker.resume_from) if walker.resume_from else None
    start = OutputReference(state.seeds).reference[walker.start]
    run = maker.exploration_maker.make(
        OutputReference(state.potential), walker, start, previous, limit=error_limit(maker, state)
    )
    run.append_name(f" {walker.temperature:g} K")
    return tagged(run, "explore", state.generation)


def error_limit(maker: "ActiveLearningMaker", state: WorkflowState) -> OutputReference | None:
    """Refer to what may lift a halt by gamma.

    Parameters
    ----------
    maker
        The loop.
    state
        Where it stands.

    Returns
    -------
    jobflow.OutputReference or None
        None where walks halt by gamma alone.
    """
    if not maker.calibrated or state.calibration is None:
        return None
    return OutputReference(state.calibration).limit


def walked(uncertain: list[str], audited: list[str]) -> tuple[list[Any], list[Any]]:
    """Refer to what walks want labelled.

    Parameters
    ----------
    uncertain
        Ids of walks whose frames are uncertain.
    audited
        Ids of walks whose certain end is to be checked.

    Returns
    -------
    frames
        References to the frames of each walk.
    starts
        References to the index of the crystal where it began.
    """
    frames: list[Any] = [OutputReference(uuid).frames for uuid in uncertain]
    frames += [[OutputReference(uuid).certain] for uuid in audited]
    return frames, [OutputReference(uuid).walker.start for uuid in (*uncertain, *audited)]
