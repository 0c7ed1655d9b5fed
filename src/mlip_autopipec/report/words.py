"""Numbers and facts in words, the same in the page and in the terminal."""

from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.schemas import Fingerprint, Origin, StopReason, Verdict

EV_TO_MEV = 1000.0

VERDICT_WORDS: dict[Verdict | None, str] = {
    "pass": "passed the validation",
    "warn": "passed the validation with warnings",
    "fail": "failed the validation",
    None: "is not validated yet",
}
STOP_WORDS: dict[StopReason, str] = {
    "no_halt": "no walk met anything uncertain any more",
    "label_budget": "the label budget was spent; walks may still meet uncertain environments",
    "generation_limit": "the limit of generations was reached; walks may still meet uncertain environments",
}
ORIGIN_WORDS: dict[Origin, str] = {
    "user": "given crystal",
    "strain": "strained",
    "rattle": "rattled",
    "vacancy": "vacancy",
    "interstitial": "interstitial",
    "antisite": "antisite",
    "surface": "surface",
    "stacking_fault": "stacking fault",
    "alloy": "alloy",
    "random_crystal": "random crystal",
    "liquid": "random packing",
    "dimer": "dimer",
    "isolated_atom": "free atom",
    "md": "from MD",
    "kmc": "from kMC",
    "held_out": "held out",
    "eos": "equation of state",
    "elastic": "elastic constants",
    "phonon": "phonons",
}
_DFT_PROGRAMS = {"pw.x", "vasp"}
_DFT_CALCULATORS = {
    "abinit", "aims", "castep", "cp2k", "crystal", "elk", "espresso", "exciting", "gpaw", "octopus",
    "onetep", "openmx", "siesta", "vasp",
}  # fmt: skip
_MODELS = {"asap", "eam", "emt", "ff", "gulp", "kim", "lammpslib", "lammpsrun", "lj", "morse", "tersoff"}


def oracle_kind(fingerprint: Fingerprint) -> str:
    """Say what kind of oracle made the labels.

    Parameters
    ----------
    fingerprint
        Conditions of the labels.

    Returns
    -------
    str
        ``"DFT"``, ``"an interatomic model, not DFT"`` or, where the name tells neither,
        ``"a calculator not known to be DFT"``.
    """
    package, _, calculator = fingerprint.code.rpartition(":")
    if fingerprint.code in _DFT_PROGRAMS or (package == "ase" and calculator in _DFT_CALCULATORS):
        return "DFT"
    if package == "ase" and calculator in _MODELS:
        return "an interatomic model, not DFT"
    return "a calculator not known to be DFT"


def seconds(value: float) -> str:
    """Write a wall time in the unit a reader would choose.

    Parameters
    ----------
    value
        Time in s.

    Returns
    -------
    str
        Such as ``"0.42 s"``, ``"12.5 min"``, ``"3.1 h"``.
    """
    if value < 120.0:
        return f"{value:.3g} s"
    return f"{value / 60.0:.1f} min" if value < 7200.0 else f"{value / 3600.0:.1f} h"


def meaning(campaign: Campaign) -> str:
    """Say how the campaign stands and why it ended.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    str
        One phrase.
    """
    reason = campaign.stop_reason
    return campaign.progress if reason is None else f"{campaign.progress}: {STOP_WORDS[reason]}"


def halt_statistics(campaign: Campaign) -> str | None:
    """Say how rare halts are with the loop's last potential.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    str or None
        One sentence; none before the end, and if that potential did not walk without a halt.
    """
    end = campaign.end
    if end is None or end.halt_rate_limit is None:
        return None
    state = end.state
    temperatures = sorted({walker.temperature for walker in state.walkers})
    at = f", at {', '.join(f'{t:g}' for t in temperatures)} K" if temperatures else ""
    return (
        f"below {end.halt_rate_limit:.3g} per ns (95 %): none in {state.quiet_walks} runs, "
        f"{state.quiet_time:.3g} ps{at}"
    )


def label_counts(campaign: Campaign) -> str:
    """Count the labels.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    str
        Such as ``"26 training, 15 validation (3 shared with training, not computed again)"``.
    """
    shared = sum(label.shared for label in campaign.validation_labels)
    text = f"{len(campaign.training_labels)} training, {len(campaign.validation_labels)} validation"
    if shared:
        text += f" ({shared} shared with training, not computed again)"
    return f"{text}, {len(campaign.failed)} failed" if campaign.failed else text
