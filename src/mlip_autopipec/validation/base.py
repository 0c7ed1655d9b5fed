"""What every validator offers, and how a number becomes a verdict."""

from collections.abc import Iterable

from mlip_autopipec.schemas import Check, CheckKind, LabelBatchDoc, LabelledStructure, Origin, Verdict

_WARN_FACTOR = 2.0
_SEVERITY: dict[Verdict, int] = {"pass": 0, "warn": 1, "fail": 2}


def check(
    name: str,
    value: float,
    limit: float,
    unit: str,
    *,
    reference: float | None = None,
    kind: CheckKind | None = None,
) -> Check:
    """Judge a number: within the limit it passes, within twice the limit it warns, beyond it fails.

    Parameters
    ----------
    name
        What was checked.
    value
        What was found, in ``unit``.
    limit
        Largest absolute value, or difference from the reference, that passes, in ``unit``.
    unit
        Unit of all three.
    reference
        What the oracle says.
    kind
        Which validator asks.

    Returns
    -------
    Check
        The number with its verdict. A value that is not a number fails.
    """
    off = abs(value - (reference or 0.0))
    verdict: Verdict = "pass" if off <= limit else "warn" if off <= _WARN_FACTOR * limit else "fail"
    versus = "" if reference is None else f" against {reference:.4g} by the oracle: off by {off:.3g}"
    shown = "" if unit == "1" else f" {unit}"
    reason = f"{value:.4g}{shown}{versus}; limit {limit:.3g}{shown}"
    return Check(
        name=name,
        kind=kind,
        value=value,
        reference=reference,
        limit=limit,
        unit=unit,
        verdict=verdict,
        reason=reason,
    )


def above(
    name: str,
    value: float,
    least: float | None,
    unit: str,
    *,
    reference: float | None = None,
    warn: float | None = None,
    kind: CheckKind | None = None,
) -> Check:
    """Judge a number that may not be too small.

    Parameters
    ----------
    name
        What was checked.
    value
        What was found, in ``unit``.
    least
        Smallest value that passes, in ``unit``; a zero does not pass itself. None to pass whatever is found.
    unit
        Unit of all of them.
    reference
        What the oracle says; it is shown, not compared.
    warn
        Smallest value that warns, in ``unit``; none to fail at once.
    kind
        Which validator asks.

    Returns
    -------
    Check
        The number with its verdict. A value that is not a number fails.
    """
    verdict: Verdict = "fail"
    if least is None or value > least or (value == least != 0.0):
        verdict = "pass" if value == value else "fail"
    elif warn is not None and value >= warn:
        verdict = "warn"
    shown = "" if unit == "1" else f" {unit}"
    versus = "" if reference is None else f"; {reference:.4g} by the oracle"
    bound = "no limit" if least is None else f"more than {least:.3g}{shown} wanted"
    return Check(
        name=name,
        kind=kind,
        value=value,
        reference=reference,
        limit=least,
        least=True,
        unit=unit,
        verdict=verdict,
        reason=f"{value:.4g}{shown}{versus}; {bound}",
    )


def worst(checks: Iterable[Check]) -> Verdict:
    """Return the worst verdict.

    Parameters
    ----------
    checks
        At least one.

    Returns
    -------
    str
        ``"pass"``, ``"warn"`` or ``"fail"``.
    """
    return max((c.verdict for c in checks), key=lambda verdict: _SEVERITY[verdict])


def of_origin(batch: LabelBatchDoc, origin: Origin) -> list[LabelledStructure]:
    """Pick the labels of one origin.

    Parameters
    ----------
    batch
        The labels.
    origin
        Where the structures come from.

    Returns
    -------
    list[LabelledStructure]
        Those labels.
    """
    return [item for item in batch.labels if item.origin == origin]
