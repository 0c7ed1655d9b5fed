"""The plain-text summary at the end of a run."""

from dataclasses import asdict
from typing import Any

from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.words import (
    EV_TO_MEV,
    VERDICT_WORDS,
    halt_statistics,
    label_counts,
    meaning,
    oracle_kind,
    seconds,
)
from mlip_autopipec.schemas import Check, ErrorStatistics

_WIDTH = 100
_HEAD = 13
_MOST_CHECKS = 20


def summary_text(campaign: Campaign) -> str:
    """Sum a campaign up for the terminal.

    Parameters
    ----------
    campaign
        The campaign, finished or not.

    Returns
    -------
    str
        At most 40 lines of at most 100 columns, without a final newline.
    """
    lines = [
        _line("campaign", f"{' '.join(campaign.elements) or 'empty'}, {meaning(campaign)}"),
        *_oracle(campaign),
        _line("labels", label_counts(campaign)),
        *_walks(campaign),
        *_errors(campaign),
        *_checks(campaign),
        *_wall_time(campaign),
        _line("verdict", f"the potential {VERDICT_WORDS[campaign.verdict]}"),
    ]
    return "\n".join(line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…" for line in lines)


def summary_data(campaign: Campaign) -> dict[str, Any]:
    """Sum a campaign up for scripts.

    Parameters
    ----------
    campaign
        The campaign, finished or not.

    Returns
    -------
    dict[str, Any]
        Plain values; energies in eV/atom, forces in eV/Å, times in s.
    """
    potential, validation, end = campaign.potential, campaign.validation, campaign.end
    return {
        "elements": list(campaign.elements),
        "progress": campaign.progress,
        "finished": end is not None,
        "stop_reason": campaign.stop_reason,
        "verdict": campaign.verdict,
        "oracle": campaign.fingerprint.code if campaign.fingerprint else None,
        "labels": {
            "training": len(campaign.training_labels),
            "validation": len(campaign.validation_labels),
            "failed": len(campaign.failed),
        },
        "n_halts": campaign.n_halts,
        "halt_rate_limit_per_ns": end.halt_rate_limit if end else None,
        "generations": [record.model_dump(mode="json") for record in campaign.generations],
        "training_errors": potential.training_errors.model_dump(mode="json") if potential else None,
        "held_out_errors": validation.held_out.errors.model_dump(mode="json") if validation else None,
        "checks": [check.model_dump(mode="json") for check in validation.checks] if validation else [],
        "wall_time": asdict(campaign.wall_time),
    }


def _line(head: str, text: str) -> str:
    return f"{head:<{_HEAD}}{text}"


def _oracle(campaign: Campaign) -> list[str]:
    found = campaign.fingerprint
    return [] if found is None else [_line("oracle", f"{found.code} {found.version} ({oracle_kind(found)})")]


def _walks(campaign: Campaign) -> list[str]:
    records = campaign.generations
    if not records:
        return []
    walked = sum(walk.duration for walk in campaign.walks)
    first, last = records[0], records[-1]
    gamma = f"largest {first.gamma_max:.3g} in generation {first.generation}"
    if len(records) > 1:
        gamma += f", {last.gamma_max:.3g} in generation {last.generation}"
    counts = f"{len(records)}, with {sum(r.n_explorations for r in records)} walks over {walked:.3g} ps"
    return [
        _line("generations", f"{counts}, {campaign.n_halts} halted{_lifted(campaign)}"),
        _line("gamma", gamma),
        *([] if (rate := halt_statistics(campaign)) is None else [_line("halt rate", rate)]),
        *_explorers(campaign),
    ]


def _lifted(campaign: Campaign) -> str:
    """Say whether halts were judged by the error, as far as is known, or all were labelled."""
    n_lifted = sum(len(walk.lifted) for walk in campaign.walks)
    if campaign.calibration is not None and campaign.calibration.limit is None:
        return ", by gamma alone (too few labels yet to estimate errors)"
    return f", {n_lifted} halts lifted as good enough" if n_lifted else ""


def _explorers(campaign: Campaign) -> list[str]:
    """Say what the latest labels of each explorer met, under a policy."""
    if not campaign.measured:
        return []
    generation, doc = campaign.measured[-1]
    told = [f"{e.n_labels} to {e.arm} (error {e.force_error:.2g} eV/Å)" for e in doc.errors]
    return [_line("explorers", f"labels of generation {generation}: {', '.join(told) or 'none'}")]


def _errors(campaign: Campaign) -> list[str]:
    groups: list[tuple[str, ErrorStatistics]] = []
    if campaign.potential is not None:
        groups.append(("training", campaign.potential.training_errors))
    if campaign.validation is not None:
        groups.append(("held-out", campaign.validation.held_out.errors))
    if not groups:
        return []
    header = f"{'':<12}{'structures':>10}{'energy RMSE':>20}{'force RMSE':>16}{'largest force error':>23}"
    return [
        _line("errors", header),
        *(
            _line(
                "",
                f"{name:<12}{e.n_structures:>10}{e.energy_rmse * EV_TO_MEV:>11.3g} meV/atom"
                f"{e.force_rmse:>11.3g} eV/Å{e.force_max:>18.3g} eV/Å",
            )
            for name, e in groups
        ),
    ]


def _checks(campaign: Campaign) -> list[str]:
    if campaign.validation is None:
        return []
    checks = campaign.validation.checks
    if len(checks) > _MOST_CHECKS:
        # Stable: what did not pass comes first, in its own order.
        checks = sorted(checks, key=lambda check: check.verdict == "pass")
    shown = checks[:_MOST_CHECKS]
    width = max((len(check.name) for check in shown), default=0)
    lines = [f"{check.verdict:<6}{check.name:<{width}}{_numbers(check)}" for check in shown]
    if len(checks) > len(shown):
        lines.append(f"… and {len(checks) - len(shown)} more, see the report")
    return [_line("validation" if n == 0 else "", line) for n, line in enumerate(lines)]


def _numbers(check: Check) -> str:
    unit = "" if check.unit == "1" else f" {check.unit}"
    if check.limit is None:
        return f"{check.value:>11.4g}{unit}"
    if check.least:
        return f"{check.value:>11.4g}  more than {check.limit:.3g}{unit}"
    if check.reference is None:
        return f"{check.value:>11.4g}  limit {check.limit:.3g}{unit}"
    return f"{check.value:>11.4g}  limit {check.reference:.4g} ± {check.limit:.3g}{unit}"


def _wall_time(campaign: Campaign) -> list[str]:
    time = campaign.wall_time
    if not time.total:
        return []
    parts = (
        f"oracle {seconds(time.training)} training, {seconds(time.validation)} validation; "
        f"fits {seconds(time.fit)}; MD {seconds(time.dynamics)}"
    )
    return [_line("wall time", f"{parts} (summed over jobs)")]
