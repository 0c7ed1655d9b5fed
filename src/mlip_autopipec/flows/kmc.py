"""Kinetic Monte Carlo beside the walks: when it runs, and what the loop makes of it."""

from dataclasses import replace
from math import inf
from typing import Any

from jobflow import Job, OutputReference, job

from mlip_autopipec.dynamics import EonKmcMaker
from mlip_autopipec.flows.loop_jobs import tagged
from mlip_autopipec.generation.kmc_cells import DefectCellMaker
from mlip_autopipec.schemas import KmcDoc, WorkflowState

_MOST_FAILURES = 3  # in a row, each with another potential or from another point; then it is given up


def kmc_jobs(
    maker: EonKmcMaker | None,
    cell_maker: DefectCellMaker,
    state: WorkflowState,
    largest: float = inf,
) -> tuple[WorkflowState | OutputReference, list[Job]]:
    """Make the run of a generation; it continues from the last state of the run before.

    Parameters
    ----------
    maker
        Runs; none if there is no kinetic Monte Carlo.
    cell_maker
        Makes the cell it starts in, once.
    state
        Where the campaign stands.
    largest
        Most atoms of a cell that is labelled whole.

    Returns
    -------
    state
        The state, or a reference to the state that knows what came of it.
    jobs
        None as long as the last run met nothing uncertain.
    """
    state = state.model_copy(update={"kmc_uncertain": False})
    if maker is None or state.kmc_quiet is not None:
        return state, []
    jobs: list[Job] = []
    if state.kmc_cell is None:
        cell = cell_maker.make(OutputReference(state.seeds).reference)
        state = state.model_copy(update={"kmc_cell": cell.uuid})
        jobs.append(tagged(cell, "kmc cell", state.generation))
    previous = OutputReference(state.kmc[-1]) if state.kmc else None
    cell_of = OutputReference(str(state.kmc_cell))
    # A cell that is embedded has no label of its own, so no barrier in it can be confirmed.
    maker = replace(maker, n_confirm=0) if state.kmc_atoms > largest else maker
    labels = {"labels": [OutputReference(uuid) for uuid in state.batches]} if previous else {}
    run = maker.make(OutputReference(state.potential), cell_of, previous, **labels)
    state = state.model_copy(update={"kmc": [*state.kmc, run.uuid]})
    noted = note_kmc(state, run.output)
    jobs += [tagged(run, "kmc", state.generation), tagged(noted, "kmc note", state.generation)]
    return noted.output, jobs


@job(output_schema=WorkflowState)
def note_kmc(state: WorkflowState, run: KmcDoc) -> WorkflowState:
    """Write into the state what came of the run of a generation.

    Parameters
    ----------
    state
        Where the campaign stands.
    run
        The run.

    Returns
    -------
    WorkflowState
        The state.
    """
    failures = state.kmc_failures + 1 if run.end_reason == "failed" else 0
    goes_on = run.halted or 0 < failures < _MOST_FAILURES
    return state.model_copy(
        update={
            "kmc_quiet": None if goes_on else state.potential,
            "kmc_failures": failures,
            "kmc_uncertain": run.halted and bool(run.frames),
            "kmc_atoms": run.final.n_atoms,
        }
    )


def kept_open(state: WorkflowState, *, present: bool) -> WorkflowState:
    """Let no loop end as certain before kinetic Monte Carlo was quiet with its last potential.

    Parameters
    ----------
    state
        The state after the walks.
    present
        Whether there is kinetic Monte Carlo at all.

    Returns
    -------
    WorkflowState
        The state.
    """
    if present and state.stop_reason == "no_halt" and state.kmc_quiet != state.potential:
        return state.model_copy(update={"kmc_quiet": None, "stop_reason": None})
    return state


def kmc_candidates(state: WorkflowState) -> list[Any]:
    """Refer to what the run of this generation wants labelled, if it was too uncertain to go on.

    Parameters
    ----------
    state
        Where the campaign stands.

    Returns
    -------
    list
        A reference to its frames, or nothing.
    """
    return [OutputReference(state.kmc[-1]).frames] if state.kmc_uncertain else []
