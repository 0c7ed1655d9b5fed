"""Sections of the page that list things: labels, failures, the potential and its files."""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from mlip_autopipec.report.campaign import Campaign, Label
from mlip_autopipec.report.tables import Html, element, facts, folded, join, section, table
from mlip_autopipec.report.words import EV_TO_MEV, ORIGIN_WORDS
from mlip_autopipec.schemas import (
    BaselineDoc,
    GivenPotentialReport,
    LinearFitReport,
    PacemakerFitReport,
    PotentialDoc,
)

_SHORT_ID = 8


def labels(campaign: Campaign) -> Html:
    """List all labels, folded.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        One table for training, one for validation; empty without labels.
    """
    head = (
        "generation", "id", "formula", "atoms", "origin", "detail", "γ when found", "energy [eV]",
        "largest force [eV/Å]", "wall time [s]", "notes",
    )  # fmt: skip
    groups = (("training", campaign.training_labels), ("validation", campaign.validation_labels))
    return section(
        "Labels",
        *(
            folded(f"{len(some)} {name} labels", table(head, [_label_row(label) for label in some]))
            for name, some in groups
        ),
    )


def small_cells(campaign: Campaign) -> Html:
    """Show which small cells were to take the place of large ones.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        A table; empty where all frames were labelled whole.
    """
    head = (
        "generation", "frame", "cell", "atoms", "of", "images apart [Å]", "descriptors changed", "γ",
        "γ of the buffer", "before", "energy fitted", "refused because",
    )  # fmt: skip
    rows = [
        (
            *(generation, cell.detail, cell.kind, cell.n_atoms, cell.n_host, cell.separation),
            *(cell.descriptor_difference, cell.gamma, cell.gamma_buffer, cell.gamma_buffer_host),
            *("yes" if cell.energy_counts else "no", cell.refusal),
        )
        for generation, cell in campaign.cells
    ]
    note = (
        "The most uncertain atom of a large cell is labelled with its surroundings in a small periodic one. "
        "Within the cut-off nothing may change; the buffer may not become more uncertain than it was."
    )
    return section("Small cells", table(head, rows), element("p", note, "note") if rows else Html(""))


def failures(campaign: Campaign) -> Html:
    """List what failed or was set aside.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Tables; a sentence where nothing failed.
    """
    lost = [
        (
            "validation" if item.generation is None else item.generation,
            item.entry.label_id[:_SHORT_ID],
            item.entry.structure.formula,
            ORIGIN_WORDS[item.entry.origin],
            item.entry.reason,
        )
        for item in campaign.failed
    ]
    broken = [
        (
            *(walk.generation, f"{walk.walker.temperature:g} K", walk.end_step),
            *(walk.end_reason.replace("_", " "), walk.end_value),
        )
        for walk in campaign.walks
        if walk.end_reason not in ("completed", "gamma")
    ]
    given_up = [
        (f"{walker.temperature:g} K", walker.steps_done, walker.given_up)
        for walker in (campaign.end.state.walkers if campaign.end else [])
        if walker.given_up
    ]
    excluded = [(line,) for line in (campaign.potential.excluded if campaign.potential else [])]
    found = join(
        (
            table(("generation", "failed label", "formula", "origin", "reason"), lost),
            table(("generation", "broken walk", "step", "why it ended", "value"), broken),
            table(("walker given up", "steps done", "reason"), given_up),
            table(("labels set aside by the fit",), excluded),
        )
    )
    nothing = element("p", "No label failed, no walk broke and the fit set no label aside.", "note")
    return section("Failures and exclusions", found or (nothing if campaign.labels else found))


def decisions(campaign: Campaign) -> Html:
    """Show what the labels of each explorer met, and what the exploration policy decided and why.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Tables; empty without a policy. The decisions are there when the campaign has ended.
    """
    if not campaign.measured and (campaign.end is None or not campaign.end.state.decisions):
        return Html("")
    met = [
        (generation, error.arm, error.n_labels, error.force_error, error.force_error_before)
        for generation, doc in campaign.measured
        for error in doc.errors
    ]
    head = ("generation", "explorer", "labels", "error met [eV/Å]", "of the potential before [eV/Å]")
    note = (
        "The error met is the mean force error of the potential on an explorer's new labels, before it "
        "learned of them, and beside it that of the potential one generation older on the same labels; large "
        "forces count relatively. `exploration.arms` sets shares or weights, or forbids an explorer."
    )
    made = [
        (d.generation, ", ".join(f"{arm} {n}" for arm, n in sorted(d.slots.items())), d.reason)
        for d in (campaign.end.state.decisions if campaign.end else [])
    ]
    log = folded("All decisions", table(("generation", "asked for", "why"), made)) if made else Html("")
    return section("Exploration policy", table(head, met), element("p", note, "note"), log)


def potential(campaign: Campaign) -> Html:
    """Describe the potential, its fit and its files.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Facts and tables; empty before the first fit.
    """
    found = campaign.potential
    if found is None:
        return Html("")
    elements = [(s, found.e0[s], found.n_functions.get(s)) for s in found.elements]
    core = [(pair, r_in, found.core.delta_in.get(pair)) for pair, r_in in sorted(found.core.r_in.items())]
    files = [(file.name, element("code", file.sha256)) for file in found.files]
    differences = [(_difference(name), value) for name, value in sorted(found.file_differences.items())]
    return section(
        "Potential",
        facts(_fit_facts(found)),
        table(("element", "E₀ of the free atom [eV]", "basis functions"), elements),
        table(("pair", "core begins below [Å]", "width of the switch [Å]"), core),
        *_baseline(found.baseline),
        *(_trials(found.fit) if isinstance(found.fit, LinearFitReport) else []),
        table(("file", "SHA-256"), files),
        folded(
            "Largest differences after reading each file back", table(("file and quantity", ""), differences)
        ),
        folded("Versions", table(("program", "version"), sorted(found.versions.items()))),
        folded("Conditions of the labels", table(("setting", "value"), _conditions(campaign))),
    )


def _baseline(found: BaselineDoc | None) -> list[Html]:
    """Show the pair potential that goes with the files, which are wrong without it."""
    if found is None:
        return []
    epsilon = found.epsilon or {}
    rows = [
        (pair, found.inner[pair], outer, epsilon.get(pair)) for pair, outer in sorted(found.outer.items())
    ]
    inner = "sigma [Å]" if found.kind == "lj" else "switched from [Å]"
    text = f"The files hold the difference from a pair potential ({found.kind}); whoever uses them adds it:"
    head = ("pair", inner, "zero from [Å]", "depth [eV]")
    return [
        element("p", text, "notice"),
        table(head, rows),
        element("pre", "\n".join(found.lammps)),
    ]


def _trials(fit: LinearFitReport) -> list[Html]:
    """Show how the basis was chosen."""
    head = (
        "varied", "radial functions", "parameter", "cut-off [Å]", "weight of l", "functions an element",
        "log evidence [nat]", "cost [µs/atom]", "taken on", "reason",
    )  # fmt: skip
    rows = [
        (
            *(trial.stage.replace("_", " "), trial.basis.radial, trial.basis.radial_parameter),
            *(trial.basis.cutoff, trial.basis.l_weight, trial.basis.n_functions),
            *(Decimal(f"{trial.log_evidence:.0f}"), trial.cost, "yes" if trial.chosen else "", trial.reason),
        )
        for trial in fit.trials
    ]
    return [folded("How the basis was chosen", table(head, rows))]


def _label_row(label: Label) -> tuple[object, ...]:
    entry = label.entry
    done = entry.label
    notes = (["computed for the training, not again"] if label.shared else []) + done.notes
    return (
        label.generation,
        entry.label_id[:_SHORT_ID],
        done.structure.formula,
        done.structure.n_atoms,
        ORIGIN_WORDS[entry.origin],
        entry.detail or None,
        entry.gamma,
        Decimal(f"{done.energy:.6f}"),
        float(np.linalg.norm(done.forces, axis=1).max()),
        done.wall_time,
        "; ".join(notes) or None,
    )


def _fit_facts(found: PotentialDoc) -> Iterable[tuple[str, object]]:
    stress = found.training_errors.stress_rmse
    return [
        ("elements", " ".join(found.elements)),
        ("labels fitted to", found.n_labels),
        ("source of E₀", found.e0_source),
        ("largest cut-off", f"{found.cutoff:g} Å"),
        *_method_facts(found.fit),
        ("stress RMSE in training", None if stress is None else f"{EV_TO_MEV * stress:.3g} meV/Å³"),
        ("scale of γ", found.gamma_scale),
    ]


def _method_facts(
    fit: LinearFitReport | PacemakerFitReport | GivenPotentialReport,
) -> Iterable[tuple[str, object]]:
    if isinstance(fit, GivenPotentialReport):
        return [("given as", fit.source)]
    return _linear_facts(fit) if isinstance(fit, LinearFitReport) else _pace_facts(fit)


def _linear_facts(fit: LinearFitReport) -> Iterable[tuple[str, object]]:
    basis, error = fit.basis, fit.force_error
    return [
        ("method", "linear ACE, noise and prior by the evidence"),
        ("radial functions", f"{basis.radial}, parameter {basis.radial_parameter:g}"),
        ("basis functions, rank", f"{fit.n_functions}, {fit.rank}"),
        ("rows of the design matrix", fit.n_rows),
        ("condition of the normal matrix", f"{fit.condition:.2g}"),
        ("parameters that the data determine", f"{fit.effective_parameters:.1f}"),
        ("noise of a force component", f"{fit.force_noise:.3g} eV/Å"),
        ("evidence maximum found", "yes" if fit.evidence_converged else "no"),
        (
            "error when a group is left out",
            f"{EV_TO_MEV * error.energy_rmse:.3g} meV/atom, {error.force_rmse:.3g} eV/Å",
        ),
        (
            "force-error estimate",
            f"{error.scale:.3g} standard deviations hold {error.level:.0%} of {error.n_atoms} atoms",
        ),
    ]


def _pace_facts(fit: PacemakerFitReport) -> Iterable[tuple[str, object]]:
    return [
        ("method", f"pacemaker, back end {fit.evaluator}"),
        ("basis functions", fit.n_functions),
        ("fitted parameters", fit.n_parameters),
        ("iterations", fit.n_iterations),
        ("optimizer converged", "yes" if fit.converged else "no"),
        ("started from", fit.started_from),
        *(("warning", line) for line in fit.warnings),
    ]


def _difference(name: str) -> str:
    file, _, quantity = name.partition("_")
    unit = {"energy": "[eV/atom]", "force": "[eV/Å]", "gamma": "[1]"}.get(quantity, "")
    return f".{file}: {quantity} {unit}".strip()


def _conditions(campaign: Campaign) -> list[tuple[object, ...]]:
    found = campaign.fingerprint
    if found is None:
        return []
    return [
        ("code", found.code),
        ("version", found.version),
        *((key, str(value)) for key, value in sorted(found.settings.items())),
        *((f"pseudopotential of {s}", h) for s, h in sorted(found.pseudopotentials.items())),
    ]
