"""What follows from a validation: the last document, or what is to be learned from what failed."""

from collections.abc import Sequence

from jobflow import job

from mlip_autopipec.flows.progress import LoopLimits, halt_rate_limit, new_round
from mlip_autopipec.flows.validation_plan import kinds_of
from mlip_autopipec.schemas import CampaignDoc, Check, CheckKind, Origin, ValidationDoc, WorkflowState

# Which explorer makes what a failed check is about; hot MD that fails has no structures to offer.
_REMEDIES: dict[CheckKind, Origin] = {
    "held_out": "rattle",
    "eos": "strain",
    "elastic": "strain",
    "phonon": "rattle",
    "vacancy": "vacancy",
    "stacking_fault": "stacking_fault",
    "surface": "surface",
}


def remedies(checks: Sequence[Check], state: WorkflowState, limits: LoopLimits) -> dict[str, int]:
    """Say which structures would mend what failed.

    Parameters
    ----------
    checks
        All checks of a validation.
    state
        The state at the end of the loop.
    limits
        Rounds and labels that may be spent on it.

    Returns
    -------
    dict
        Number of structures by explorer; empty if nothing failed, nothing helps or nothing is left to spend.
    """
    left = limits.max_labels - state.n_labels
    if state.n_repairs >= limits.max_repairs or state.generation + 1 >= limits.max_generations:
        return {}
    found: dict[str, int] = {}
    for kind in kinds_of([check.kind for check in checks if check.verdict == "fail"]):
        arm = _REMEDIES.get(kind)
        n_wanted = min(limits.repair_labels, left)
        if arm is not None and arm not in found and n_wanted > 0:
            found[arm] = n_wanted
            left -= n_wanted
    return found


def repaired(
    state: WorkflowState,
    slots: dict[str, int],
    checks: Sequence[Check],
    limits: LoopLimits,
    walks: tuple[Sequence[float], int, int],
) -> WorkflowState:
    """Open the loop again: one more generation, and one more round of walks without a halt.

    Parameters
    ----------
    state
        The state at the end of the loop.
    slots
        What :func:`remedies` asks for.
    checks
        All checks of the validation.
    limits
        Limits of the loop.
    walks
        Temperatures in K, steps and seed of the walks.

    Returns
    -------
    WorkflowState
        The state of the new generation.
    """
    temperatures, n_steps, seed = walks
    failed = [check.name for check in checks if check.verdict == "fail"]
    structures = ", ".join(f"{n} {arm}" for arm, n in slots.items())
    number = state.round + 1
    return state.model_copy(
        update={
            "generation": state.generation + 1,
            "round": number,
            "walkers": new_round(state.n_starts, temperatures, n_steps, number, seed),
            "quiet_rounds": max(limits.quiet_rounds - 1, 0),
            "quiet_walks": 0,
            "quiet_time": 0.0,
            "final": None,
            "stop_reason": None,
            "n_repairs": state.n_repairs + 1,
            "repairs": [*state.repairs, f"{', '.join(failed)} failed: {structures} to be learned"],
        }
    )


@job(output_schema=CampaignDoc)
def conclude(state: WorkflowState, validation: ValidationDoc, validation_id: str) -> CampaignDoc:
    """Write the last document of a campaign.

    Parameters
    ----------
    state
        The last state.
    validation
        The judgement of the potential.
    validation_id
        Id of the job that made it.

    Returns
    -------
    CampaignDoc
        How the campaign ended.
    """
    return CampaignDoc(
        state=state,
        verdict=validation.verdict,
        validation=validation_id,
        halt_rate_limit=halt_rate_limit(state),
        n_training_labels=state.n_labels,
        n_validation_labels=validation.n_labels,
    )
