"""`mlip-auto probe`: how noisy the labels of the configured oracle are."""

from pathlib import Path

import typer
from jobflow import JobStore

from mlip_autopipec.config import load_config
from mlip_autopipec.errors import CampaignError, StoreError
from mlip_autopipec.execution.local import JobEvent, RunSummary, run_local
from mlip_autopipec.flows.build import Plan, plan
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.flows.probe import ProbeMaker
from mlip_autopipec.schemas import ProbeDoc, ProbeRow
from mlip_autopipec.schemas.files import write_atomic
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import load_output, open_store
from mlip_autopipec.units import EV_PER_A3_TO_GPA

_UNITS = {"k_spacing": "1/Å", "ecutwfc": "Ry", "encut": "eV"}


def probe_oracle(config: Path, directory: Path, workers: int | None) -> None:
    """Label displaced cells under several settings and print how much the labels differ.

    Parameters
    ----------
    config
        The configuration file.
    directory
        The run folder; the labels and the document go to its store, ``probe.json`` into it.
    workers
        Worker slots; none for the machine's setting.

    Raises
    ------
    CampaignError
        A label failed.
    """
    ready = plan(load_config(config), config.parent).prepared()
    seeds = ready.maker.seed_maker
    maker = ProbeMaker(
        oracle_maker=ready.maker.label_maker.oracle_maker, n_atoms=seeds.n_atoms, seed=seeds.seed
    )
    maker.tried()  # an error before anything is made
    probe = identify(maker.make(ready.structures[0]))
    settings = get_settings()
    directory.mkdir(parents=True, exist_ok=True)
    store = open_store(directory.resolve(), settings)
    summary = run_local(
        probe,
        store=store,
        directory=directory,
        workers=workers or settings.workers,
        on_event=_tell,
    )
    doc = _result(store, probe.output.uuid, summary)
    write_atomic(directory / "probe.json", doc.model_dump_json(indent=2) + "\n")
    typer.echo(f"\n{probe_table(doc)}\n\n{verdict(doc, ready)}\nwrote {directory / 'probe.json'}")


def _tell(event: JobEvent) -> None:
    if event.kind == "failed" or (event.kind in ("done", "reused") and " cell " in event.name):
        time = "" if event.wall_time is None else f"   {event.wall_time:.1f} s"
        typer.echo(f"{event.kind:<7} {event.name}{time}" + (f"   {event.error}" if event.error else ""))


def _result(store: JobStore, uuid: str, summary: RunSummary) -> ProbeDoc:
    if summary.failures:
        first = summary.failures[0]
        raise CampaignError(
            f"{summary.failed} labels of the probe failed; first: {first.name}: {first.error}",
            hint=f"look into {first.folder}, mend the cause and run the same command again.",
        )
    found = load_output(store, uuid)
    if not isinstance(found, ProbeDoc):
        raise StoreError(f"the probe must end in a ProbeDoc, got {type(found).__name__}.")
    return found


def probe_table(doc: ProbeDoc) -> str:
    """Write the rows of a probe as text.

    Parameters
    ----------
    doc
        The probe.

    Returns
    -------
    str
        One line a setting.
    """
    keys = list(doc.rows[0].settings)
    head = ["setting", *(f"{key} [{_UNITS[key]}]" for key in keys), "energy [meV/atom]", "shift [meV/atom]"]
    head += ["force rms [eV/Å]", "force max [eV/Å]", "stress [GPa]", "label [s]"]
    rows = [
        head,
        *([row.role, *(f"{row.settings[key]:.4g}" for key in keys), *_cells(row)] for row in doc.rows),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows)


def _cells(row: ProbeRow) -> list[str]:
    stress = "" if row.stress_noise is None else f"{row.stress_noise * EV_PER_A3_TO_GPA:.3f}"
    energies = [f"{1000 * row.energy_noise:.3f}", f"{1000 * row.energy_shift:.3f}"]
    return [*energies, f"{row.force_noise:.4f}", f"{row.force_max:.4f}", stress, f"{row.wall_time:.1f}"]


def verdict(doc: ProbeDoc, ready: Plan) -> str:
    """Say what the noise is and what to do with it.

    Parameters
    ----------
    doc
        The probe.
    ready
        The campaign it was made for.

    Returns
    -------
    str
        A few lines.
    """
    found = doc.configured
    lines = [
        f"labels of {doc.formula} as configured are noisy by {1000 * found.energy_noise:.2f} meV/atom and "
        f"{found.force_noise:.4f} eV/Å (against the last row; what all cells share is left out).",
        "to let the fit believe no more than that:",
        f"  training: {{label_noise: {found.force_noise:.2g}, label_noise_energy: {found.energy_noise:.2g}}}",
        *(f"warning: {warning}" for warning in doc.warnings),
    ]
    limits = ready.maker.validation_maker.held_out_maker
    for name, noise, limit, unit in (
        ("max_energy_rmse", found.energy_noise, limits.max_energy_rmse, "eV/atom"),
        ("max_force_rmse", found.force_noise, limits.max_force_rmse, "eV/Å"),
    ):
        if noise > limit:
            lines.append(
                f"warning: validation.{name} {limit:g} {unit} is below the noise {noise:.2g} {unit}: "
                "no potential can pass."
            )
    return "\n".join(lines)
