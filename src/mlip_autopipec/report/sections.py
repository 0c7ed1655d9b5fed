"""Sections of the page on the campaign: headline, judgement, learning, walks, cost."""

from collections.abc import Iterable

from mlip_autopipec.report import figures, figures_potential
from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.svg import Plot
from mlip_autopipec.report.tables import Html, element, facts, join, section, table
from mlip_autopipec.report.words import (
    EV_TO_MEV,
    ORIGIN_WORDS,
    VERDICT_WORDS,
    halt_statistics,
    label_counts,
    meaning,
    oracle_kind,
    seconds,
)
from mlip_autopipec.schemas import (
    Check,
    ErrorStatistics,
    GivenPotentialReport,
    LinearFitReport,
    PacemakerFitReport,
    ParityPoint,
    Verdict,
)


def headline(campaign: Campaign) -> Html:
    """Say what was made and what it is worth.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Title, key numbers and notices.
    """
    verdict = campaign.verdict
    if not campaign.elements:
        return Html(element("h1", "Empty campaign") + _notices(campaign))
    mark = element("span", (verdict or "unjudged").upper(), f"badge {verdict or 'none'}")
    title = element("h1", join(("ACE potential for ", " ".join(campaign.elements), " ", mark)))
    text = element("p", f"The potential {VERDICT_WORDS[verdict]}. The campaign is {meaning(campaign)}.")
    return Html(title + text + _key_facts(campaign) + _notices(campaign))


def judgement(campaign: Campaign) -> Html:
    """Show all checks of the validation.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        A table; empty before the validation.
    """
    if campaign.validation is None:
        return Html("")
    rows = [
        (badge(c.verdict), c.name, c.value, c.reference, c.limit, _unit(c), c.reason)
        for c in campaign.validation.checks
    ]
    head = ("verdict", "check", "found", "oracle", "limit", "unit", "reason")
    note = (
        "A number passes within its limit, warns up to twice the limit and fails beyond. "
        "Where the oracle has a value, the limit is the largest difference from it. Stability and imaginary "
        "frequencies have a smallest value instead."
    )
    return section("Validation", table(head, rows), element("p", note, "note"))


def learning(campaign: Campaign) -> Html:
    """Show how the errors went down, and by origin what they are.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Learning curves, parity plots and a table of errors; empty before the first fit.
    """
    head = (
        "structures", "number", "energy RMSE [meV/atom]", "energy MAE [meV/atom]", "force RMSE [eV/Å]",
        "force MAE [eV/Å]", "largest force error [eV/Å]",
    )  # fmt: skip
    note = (
        "Training structures include dimers and strongly distorted crystals, which are hard to fit; held-out "
        "structures are ends of walks and perturbed crystals. So the two errors are of different structures, "
        "and either may be the larger."
    )
    return join(
        (
            section("Learning", gallery(figures.learning_curve(campaign))),
            section(
                "Errors by origin",
                gallery(figures_potential.parity(campaign)),
                table(head, list(_errors(campaign))),
                element("p", note, "note") if campaign.validation else Html(""),
            ),
        )
    )


def walks(campaign: Campaign) -> Html:
    """Show what the walks met.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Gamma against time, and a table of generations; empty before the first walk.
    """
    note = (
        "γ is the extrapolation grade on the MaxVol scale: up to 1 an environment lies inside the active set "
        "of the training data, above it the potential extrapolates. A halted walk gives its frames to the "
        "selection and goes on with the next potential; where all forces are estimated to be good enough, "
        "the halt is lifted, and the walk goes on up to a higher limit."
    )
    head = (
        "generation", "labels", "failed", "walks", "halts", "MD steps", "largest γ",
        "energy RMSE [meV/atom]", "force RMSE [eV/Å]",
    )  # fmt: skip
    rows = [
        (
            *(r.generation, r.n_labels, r.n_failed, r.n_explorations, r.n_halts, r.n_steps, r.gamma_max),
            *(EV_TO_MEV * r.energy_rmse, r.force_rmse),
        )
        for r in campaign.generations
    ]
    plots = gallery(figures.gamma(campaign))
    return join(
        (
            section("Uncertainty along the walks", plots, element("p", note, "note") if plots else plots),
            section("Generations", table(head, rows)),
        )
    )


def physics(campaign: Campaign) -> Html:
    """Show equation of state, dimers and energy conservation.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Figures and a table; empty before the validation.
    """
    if campaign.validation is None:
        return Html("")
    curves, run = campaign.validation.eos.curves, campaign.validation.stability
    head = ("", "", "V₀ [Å³/atom]", "E₀ [eV/atom]", "B₀ [GPa]", "B₀′ [1]")
    rows = [
        (curve.phase or curve.formula, name, fit.v0, fit.e0, fit.b0, fit.b0_prime)
        for curve in curves
        for name, fit in (("oracle", curve.reference), ("potential", curve.predicted))
        if fit is not None
    ]
    notes = [element("p", note, "note") for note in campaign.validation.eos.notes]
    text = (
        f"Constant-energy MD: {run.n_atoms} atoms, {run.n_steps} steps of {run.timestep:g} fs, about "
        f"{run.temperature:.0f} K, drift {run.energy_drift:.2g} eV/atom, largest γ {run.gamma_max:.3g}, "
        f"{run.lost_atoms} atoms lost."
    )
    return join(
        (
            section(
                f"Equation of state of {', '.join(curve.phase or curve.formula for curve in curves)}",
                gallery(figures_potential.equation_of_state(campaign)),
                table(head, rows),
                *notes,
            ),
            section(
                "Short range and stability",
                gallery(
                    [
                        *figures_potential.short_range(campaign),
                        *figures_potential.energy_conservation(campaign),
                    ]
                ),
                element("p", text, "note"),
            ),
        )
    )


def costs(campaign: Campaign) -> Html:
    """Show where the wall time went.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        A figure and a table; empty for an empty campaign.
    """
    time = campaign.wall_time
    if not time.total:
        return Html("")
    parts = (
        ("oracle, training labels", time.training),
        ("oracle, validation labels", time.validation),
        ("fits", time.fit),
        ("MD of the walks", time.dynamics),
        ("all", time.total),
    )
    rows = [(name, seconds(value), f"{100.0 * value / time.total:.0f} %") for name, value in parts]
    note = "Summed over jobs, which may have run at the same time. Failed jobs are not counted."
    return section(
        "Wall time",
        gallery(figures.cost(campaign), table(("part", "wall time", "share"), rows)),
        element("p", note, "note"),
    )


def gallery(plots: Iterable[Plot], beside: Html | None = None) -> Html:
    """Put figures side by side where there is room.

    Parameters
    ----------
    plots
        The figures.
    beside
        What comes after the last one.

    Returns
    -------
    Html
        HTML; empty without figures.
    """
    items = join(
        element("figure", Html(plot.svg + element("figcaption", f"{plot.caption}."))) for plot in plots
    )
    return element("div", Html(items + (beside or "")), "gallery") if items else items


def badge(verdict: Verdict) -> Html:
    """Write a verdict in its colour.

    Parameters
    ----------
    verdict
        The verdict.

    Returns
    -------
    Html
        HTML.
    """
    return element("span", verdict, f"badge {verdict}")


def _key_facts(campaign: Campaign) -> Html:
    records, oracle = campaign.generations, campaign.fingerprint
    training = campaign.potential.training_errors if campaign.potential else None
    held_out = campaign.validation.held_out.errors if campaign.validation else None
    rows: list[tuple[str, object]] = [
        ("given crystals", ", ".join(campaign.formulas) or None),
        ("oracle", f"{oracle.code} {oracle.version}: {oracle_kind(oracle)}" if oracle else None),
        ("labels", label_counts(campaign) if campaign.labels or campaign.failed else None),
        ("generations", str(len(records)) if records else None),
        ("halts", f"{campaign.n_halts} of {len(campaign.walks)} walks" if campaign.walks else None),
        ("largest γ, first → last", _first_to_last([r.gamma_max for r in records])),
        ("rate of halts", halt_statistics(campaign)),
        ("held-out errors", _rmse(held_out)),
        ("training errors", _rmse(training)),
        ("wall time, summed over jobs", seconds(campaign.wall_time.total) if campaign.labels else None),
    ]
    return facts(rows)


def _notices(campaign: Campaign) -> Html:
    return join(element("p", text, "notice") for text in _warnings(campaign))


def _warnings(campaign: Campaign) -> Iterable[str]:
    if campaign.end is None:
        yield f"The campaign is not complete ({campaign.progress}). This page shows what there is."
    oracle = campaign.fingerprint
    if oracle is not None and oracle_kind(oracle) != "DFT":
        yield (
            f"The labels are by {oracle.code}, {oracle_kind(oracle)}. The errors below say how well the "
            "potential imitates it, not how well it describes the real material."
        )
    if campaign.stop_reason in ("label_budget", "generation_limit"):
        yield f"The loop did not end by itself: {meaning(campaign)}."
    if campaign.trained_held_out:
        yield (
            f"{len(campaign.trained_held_out)} of the held-out structures were trained on, so the held-out "
            "errors are too small."
        )
    if campaign.potential is not None and _unconverged(campaign.potential.fit):
        yield "The optimizer of the fit did not meet its tolerance."
    if campaign.failed:
        yield f"{len(campaign.failed)} labels failed; they are listed under Failures."


def _unconverged(fit: LinearFitReport | PacemakerFitReport | GivenPotentialReport) -> bool:
    if isinstance(fit, LinearFitReport):
        return not fit.evidence_converged
    return isinstance(fit, PacemakerFitReport) and not fit.converged


def _first_to_last(values: list[float]) -> str | None:
    if not values:
        return None
    return f"{values[0]:.3g} → {values[-1]:.3g}" if len(values) > 1 else f"{values[0]:.3g}"


def _rmse(errors: ErrorStatistics | None) -> str | None:
    if errors is None:
        return None
    return f"{EV_TO_MEV * errors.energy_rmse:.3g} meV/atom, {errors.force_rmse:.3g} eV/Å (RMSE)"


def _errors(campaign: Campaign) -> Iterable[tuple[object, ...]]:
    groups: dict[str, list[ParityPoint]] = {}
    for point in campaign.potential.parity if campaign.potential else []:
        groups.setdefault(ORIGIN_WORDS[point.origin], []).append(point)
    for name, points in groups.items():
        yield _error_row(f"training, {name}", ErrorStatistics.from_parity(points))
    if campaign.potential is not None:
        yield _error_row("training, all", campaign.potential.training_errors)
    if campaign.validation is not None:
        held_out = campaign.validation.held_out
        for origin, errors in held_out.by_origin.items():
            yield _error_row(f"held out, {origin}", errors)
        yield _error_row("held out", held_out.errors)


def _error_row(name: str, errors: ErrorStatistics) -> tuple[object, ...]:
    return (
        name,
        errors.n_structures,
        EV_TO_MEV * errors.energy_rmse,
        EV_TO_MEV * errors.energy_mae,
        errors.force_rmse,
        errors.force_mae,
        errors.force_max,
    )


def _unit(check: Check) -> str:
    return "" if check.unit == "1" else check.unit
