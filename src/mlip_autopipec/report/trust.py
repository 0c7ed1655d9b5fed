"""What gamma was worth: true errors against grades, audits, and grades before and after a refit."""

from typing import TYPE_CHECKING

import numpy as np

from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.svg import BLUE, INK, ORANGE, Plot, draw
from mlip_autopipec.report.tables import Html, element, facts, folded, section, table
from mlip_autopipec.schemas import GammaCalibrationDoc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS = 2000


def calibration_figure(found: GammaCalibrationDoc) -> Plot:
    """Draw the true force error of each atom against the grade it had.

    Parameters
    ----------
    found
        The calibration.

    Returns
    -------
    Plot
        Both axes logarithmic, with the quantile of each bin.
    """
    step = 1 + len(found.gamma) // _MOST_POINTS
    gamma, error = np.array(found.gamma[::step]), np.array(found.force_error[::step])

    def paint(axes: "Axes") -> None:
        axes.loglog(gamma, np.maximum(error, 1.0e-6), ".", color=BLUE, alpha=0.5, label="atom")
        if found.edges:
            ends = [*found.edges[1:], max(*found.gamma, found.edges[-1])]
            label = f"{found.level:.0%} quantile"
            for start, end, height in zip(found.edges, ends, found.quantiles, strict=True):
                axes.plot([start, end], [height, height], color=ORANGE, linewidth=2.0, label=label)
                label = "_"
        axes.axhline(found.tolerated_error, color=INK, linewidth=0.9, linestyle="--", label="tolerated")
        axes.set(xlabel="γ when it was met [1]", ylabel="true force error [eV/Å]")

    caption = "True force errors of newly labelled frames against their γ, by the potential that met them"
    return draw("gamma-calibration", caption, paint)


def trust(campaign: Campaign) -> Html:
    """Show what the grades meant.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Figure, facts and a table of frames before and after their refit; empty before the first halt.
    """
    found = campaign.calibration
    replays = [
        (walk.generation, frame.detail, frame.gamma_before, frame.gamma_after)
        for walk in campaign.walks
        for frame in walk.replayed
    ]
    head = ("generation", "frame", "γ when met", "γ after the refit")
    again = folded("Frames that asked for a refit, graded again", table(head, replays))
    if found is None or not found.gamma:
        return section("What γ was worth", again)
    plot = calibration_figure(found)
    figure = element("figure", Html(plot.svg + element("figcaption", f"{plot.caption}.")))
    return section(
        "What γ was worth", element("div", figure, "gallery"), facts(_facts(found, campaign)), again
    )


def _mean(errors: list[float]) -> str | None:
    return f"{np.mean(errors):.3g} eV/Å ({len(errors)}, before they were learned)" if errors else None


def _lifting(found: GammaCalibrationDoc, campaign: Campaign) -> str:
    """Say how many halts were lifted, and by which error."""
    n_lifted = sum(len(walk.lifted) for walk in campaign.walks)
    if found.limit is None:
        return f"{n_lifted}; too few labels to know what the estimate of force errors is worth"
    known = (
        f"limit {found.limit.tolerated_error:g} eV/Å, estimate {found.limit.scale:.2g} standard deviations"
    )
    return f"{n_lifted} ({known})"


def _facts(found: GammaCalibrationDoc, campaign: Campaign) -> list[tuple[str, object]]:
    share = f"{1.0 - found.level:.0%} of the forces are off by more than {found.tolerated_error:g} eV/Å"
    low, high = found.missed_share
    audits = f"{len(found.missed)} of {found.n_audited} (between {low:.0%} and {high:.0%}, 95 %)"
    enough = f"from γ {found.threshold:.3g} on" if found.threshold is not None else "nowhere that was looked"
    return [
        ("atoms, structures", f"{len(found.gamma)}, {found.n_structures}"),
        (share, enough if found.edges else "not enough atoms to say"),
        ("halts by γ that were lifted", _lifting(found, campaign)),
        ("mean force RMSE of chosen structures", _mean(found.chosen_errors)),
        ("of structures drawn at random", _mean(found.control_errors)),
        ("judged certain, but wrong", audits if found.n_audited else "no audit yet"),
    ]
