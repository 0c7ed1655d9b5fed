"""The model card: gathered from the store, written as JSON for programs and Markdown for people."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from time import perf_counter

from ase import Atoms

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.errors import StoreError
from mlip_autopipec.generation.oriented import phase_name
from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.words import EV_TO_MEV, ORIGIN_WORDS, STOP_WORDS, VERDICT_WORDS, seconds
from mlip_autopipec.schemas import ErrorStatistics, ParityPoint, SkippedCheck
from mlip_autopipec.schemas.card import DataCard, GammaCard, ModelCard, SpeedCard, ValidityCard
from mlip_autopipec.schemas.files import write_atomic

_SPEED_ATOMS = 64
_REPEATS = 5
_LICENCES = (
    "mlip_autopipec: MIT",
    "python-ace, which fits and evaluates it: Academic Software Licence, non-commercial use only",
    "the potential's files: yours; whether labels may be published depends on the licence of the oracle",
)


def model_card(
    campaign: Campaign, ace: AcePotential, crystals: list[Atoms], examples: dict[str, str], *, forced: bool
) -> ModelCard:
    """Gather the card of a finished campaign.

    Parameters
    ----------
    campaign
        The campaign.
    ace
        Its potential.
    crystals
        What its walks began from.
    examples
        What was run of each example.
    forced
        Whether it is released although it failed.

    Returns
    -------
    ModelCard
        The card.

    Raises
    ------
    StoreError
        The campaign is not finished.
    """
    potential, validation, end = campaign.potential, campaign.validation, campaign.end
    if potential is None or validation is None or end is None or campaign.fingerprint is None:
        raise StoreError("only a finished campaign has a model card.")
    stop = end.state.stop_reason
    return ModelCard(
        elements=potential.elements,
        verdict=end.verdict,
        forced=forced and end.verdict == "fail",
        files={file.name: file.sha256 for file in potential.files},
        e0=potential.e0,
        cutoff=potential.cutoff,
        n_functions=potential.n_functions,
        baseline=potential.baseline.kind if potential.baseline else None,
        data=DataCard(
            n_training=len(campaign.training_labels),
            n_validation=validation.n_labels,
            n_failed=len(campaign.failed),
            training_time=campaign.wall_time.training,
            validation_time=campaign.wall_time.validation,
            origins=dict(Counter(label.entry.origin for label in campaign.training_labels)),
            fingerprint=campaign.fingerprint,
            sha256=_data_hash(campaign),
        ),
        errors=_errors(campaign),
        gamma=_gamma(campaign),
        validity=ValidityCard(
            phases=[f"{phase_name(atoms)}, {len(atoms)} atoms" for atoms in crystals],
            temperatures=sorted({walk.walker.temperature for walk in campaign.walks}),
            walked_time=sum(walk.duration for walk in campaign.walks),
            pressure=validation.stability.pressure,
            bears_pressure=validation.stability.bears_pressure,
            stability_temperature=validation.stability.temperature,
            halt_rate_limit=end.halt_rate_limit,
            stop_reason=None if stop is None else STOP_WORDS[stop],
            repairs=end.state.repairs,
        ),
        checks=validation.checks,
        skipped=validation.skipped,
        oracle_not_asked=[
            SkippedCheck(kind=cost.kind, reason=cost.reason) for cost in validation.costs if cost.reason
        ],
        speed=measured_speed(ace, crystals[0]),
        examples=examples,
        versions=potential.versions,
        licences=list(_LICENCES),
    )


def write_model_card(card: ModelCard, folder: Path) -> list[Path]:
    """Write ``model_card.json`` and ``model_card.md``.

    Parameters
    ----------
    card
        The card.
    folder
        Where.

    Returns
    -------
    list[pathlib.Path]
        Both files.
    """
    paths = [folder / "model_card.json", folder / "model_card.md"]
    write_atomic(paths[0], card.model_dump_json(indent=2))
    write_atomic(paths[1], card_text(card))
    return paths


def measured_speed(ace: AcePotential, crystal: Atoms) -> SpeedCard:
    """Time the evaluation of a repeated crystal.

    Parameters
    ----------
    ace
        The potential.
    crystal
        A crystal.

    Returns
    -------
    SpeedCard
        Medians; of this machine as busy as it is.
    """
    repeats = max(1, round((_SPEED_ATOMS / len(crystal)) ** (1 / 3)))
    atoms = crystal.repeat(repeats)

    def per_atom(*, gamma: bool) -> float:
        times = []
        for _ in range(_REPEATS):
            begin = perf_counter()
            ace.evaluate(atoms, gamma=gamma)
            times.append(perf_counter() - begin)
        return 1.0e6 * median(times) / len(atoms)

    return SpeedCard(n_atoms=len(atoms), without_gamma=per_atom(gamma=False), with_gamma=per_atom(gamma=True))


def card_text(card: ModelCard) -> str:
    """Write a card for people.

    Parameters
    ----------
    card
        The card.

    Returns
    -------
    str
        Markdown.
    """
    data, validity, speed = card.data, card.validity, card.speed
    held = "none" if validity.halt_rate_limit is None else f"{validity.halt_rate_limit:.3g} per ns (95 %)"
    forced = ["", "**It failed its validation and was released by force.**"] if card.forced else []
    return "\n".join(
        [
            f"# ACE potential for {' '.join(card.elements)}",
            "",
            f"It {VERDICT_WORDS[card.verdict]}.",
            *forced,
            "",
            "## Where it was seen to hold",
            *_items(
                ("crystals", "; ".join(validity.phases)),
                (
                    "walks",
                    f"{', '.join(f'{t:g} K' for t in validity.temperatures)}, {validity.walked_time:.3g} ps",
                ),
                ("stability run", f"{validity.stability_temperature:.0f} K, {validity.pressure:g} GPa"),
                (
                    "even compression of the crystal is borne up to",
                    None if validity.bears_pressure is None else f"{validity.bears_pressure:.3g} GPa",
                ),
                ("halts are rarer than", held),
                ("the loop ended because", validity.stop_reason),
                *(("learned after a failed check", line) for line in validity.repairs),
            ),
            "",
            "## Validation",
            *_table(
                ("verdict", "check", "found", "oracle", "limit", "unit"),
                ((c.verdict, c.name, c.value, c.reference, c.limit, c.unit) for c in card.checks),
            ),
            *_items(
                *((f"{s.kind}: not run", s.reason) for s in card.skipped),
                *((f"{s.kind}: by the potential alone", s.reason) for s in card.oracle_not_asked),
            ),
            "",
            "## Errors",
            *_table(
                ("structures", "number", "energy RMSE [meV/atom]", "force RMSE [eV/Å]", "largest [eV/Å]"),
                (
                    (name, e.n_structures, EV_TO_MEV * e.energy_rmse, e.force_rmse, e.force_max)
                    for name, e in card.errors.items()
                ),
            ),
            "",
            "## Labels",
            *_items(
                ("oracle", f"{data.fingerprint.code} {data.fingerprint.version}"),
                *(data.fingerprint.settings.items()),
                ("training", f"{data.n_training} in {seconds(data.training_time)} (summed over jobs)"),
                ("validation", f"{data.n_validation} in {seconds(data.validation_time)}"),
                ("failed", data.n_failed),
                ("SHA-256 of the training labels", data.sha256),
            ),
            *_gamma_text(card.gamma),
            "",
            "## Use",
            *_items(
                ("E0, to be added per atom [eV]", ", ".join(f"{s} {e:.6f}" for s, e in card.e0.items())),
                ("pair potential to be added", card.baseline or "none"),
                (
                    "speed of python-ace, one core",
                    f"{speed.without_gamma:.0f} µs/atom/step, {speed.with_gamma:.0f} with gamma "
                    f"({speed.n_atoms} atoms)",
                ),
                *card.examples.items(),
                ("the same campaign again", "`mlip-auto run reproduce.yaml`"),
            ),
            "",
            "## Files, versions, licences",
            *_items(*card.files.items(), *card.versions.items(), *(("licence", x) for x in card.licences)),
            "",
        ]
    )


def _gamma_text(gamma: GammaCard | None) -> list[str]:
    if gamma is None:
        return []
    from_which = "nowhere that was looked" if gamma.threshold is None else f"from γ {gamma.threshold:.3g} on"
    return [
        "",
        "## Extrapolation grade γ",
        *_items(
            ("scale", gamma.scale),
            (
                f"{1.0 - gamma.level:.0%} of the forces off by more than {gamma.tolerated_error:g} eV/Å",
                from_which,
            ),
            ("atoms it was learned from", gamma.n_atoms),
            ("judged certain, but wrong", f"{gamma.n_missed} of {gamma.n_audited}"),
        ),
    ]


def _items(*rows: tuple[str, object]) -> list[str]:
    return [f"- {name}: {value}" for name, value in rows if value is not None]


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines] + [""]


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _data_hash(campaign: Campaign) -> str:
    """Hash the labels in an order that does not depend on when they were made."""
    labels = sorted(
        json.dumps([i.entry.label_id, i.entry.label.energy, i.entry.label.forces, i.entry.label.stress])
        for i in campaign.training_labels
    )
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()


def _errors(campaign: Campaign) -> dict[str, ErrorStatistics]:
    groups: dict[str, list[ParityPoint]] = {}
    for point in campaign.potential.parity if campaign.potential else []:
        groups.setdefault(f"training, {ORIGIN_WORDS[point.origin]}", []).append(point)
    found = {name: ErrorStatistics.from_parity(points) for name, points in groups.items()}
    if campaign.validation is not None:
        held_out = campaign.validation.held_out
        found |= {f"held out, {origin}": errors for origin, errors in held_out.by_origin.items()}
        found["held out, all"] = held_out.errors
    return found


def _gamma(campaign: Campaign) -> GammaCard | None:
    found = campaign.calibration
    if found is None:
        return None
    return GammaCard(
        scale=found.gamma_scale,
        tolerated_error=found.tolerated_error,
        level=found.level,
        threshold=found.threshold,
        edges=found.edges,
        quantiles=found.quantiles,
        n_atoms=len(found.gamma),
        n_audited=found.n_audited,
        n_missed=len(found.missed),
    )
