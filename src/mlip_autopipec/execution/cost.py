"""What labels will cost, judged by those that were made."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobflow import JobStore

from mlip_autopipec.execution.forecast import JobForecast
from mlip_autopipec.numerics.power_law import fit_power_law


@dataclass(frozen=True)
class MeasuredLabel:
    """A label that was made: its oracle, its size and its wall time in s."""

    code: str
    n_atoms: int
    wall_time: float


@dataclass(frozen=True)
class LabelCost:
    """What labels would cost, in s of wall time summed over labels; none where there is nothing to rest on.

    ``spread`` is the factor within which 90 % of the earlier labels lie around the estimate.
    """

    n_labels: int
    n_at_most: int
    wall_time: float | None
    at_most: float | None
    basis: str
    spread: float | None = None


def measured_labels(store: JobStore) -> list[MeasuredLabel]:
    """Read size and wall time of all labels.

    Parameters
    ----------
    store
        A connected store.

    Returns
    -------
    list[MeasuredLabel]
        In the order they ended.
    """
    names = ["output.wall_time", "output.structure", "output.fingerprint.code"]
    found = store.query(
        {"output.@class": "LabelDoc"},
        properties=names,
        sort={"completed_at": 1},
        load={"data": ["structure"]},
    )
    return [
        MeasuredLabel(
            code=document["output"]["fingerprint"]["code"],
            n_atoms=len(document["output"]["structure"]["symbols"]),
            wall_time=document["output"]["wall_time"],
        )
        for document in found
    ]


def label_cost(jobs: Sequence[JobForecast], measured: Sequence[MeasuredLabel], n_beyond: int) -> LabelCost:
    """Estimate what labels would cost.

    Parameters
    ----------
    jobs
        The forecast.
    measured
        Labels that were made; only those by the oracle of the last one count.
    n_beyond
        Labels that may be asked for beyond those of the forecast; taken to be as large as these, or as the
        measured ones where there are none.

    Returns
    -------
    LabelCost
        The estimate and what it rests on.
    """
    sizes = [job.n_atoms for job in jobs if job.n_atoms is not None and job.fate == "runs"]
    n_at_most = len(sizes) + n_beyond
    used = [label for label in measured if label.code == measured[-1].code and label.wall_time > 0.0]
    if not used:
        return LabelCost(len(sizes), n_at_most, None, None, "no label was made yet")
    law = fit_power_law([label.n_atoms for label in used], [label.wall_time for label in used])
    how = "fitted" if law.fitted else "assumed, as the labels are few or of one size"
    typical = sizes or [label.n_atoms for label in used]
    return LabelCost(
        n_labels=len(sizes),
        n_at_most=n_at_most,
        wall_time=law.sum_over(sizes),
        at_most=law.sum_over(sizes) + n_beyond * law.sum_over(typical) / len(typical),
        basis=f"rests on {law.n_points} labels by {used[-1].code} and atoms^{law.exponent:.2g} ({how})",
        spread=law.spread,
    )
