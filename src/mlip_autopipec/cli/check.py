"""`mlip-auto check`: whether everything is there that a run will need."""

from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from mlip_autopipec.flows.build import Plan


def check_config(path: Path) -> None:
    """Check a configuration and the programs it needs.

    Parameters
    ----------
    path
        The configuration file.
    """
    plan = ready_plan(path)
    exploration = _exploration(plan)
    oracle = plan.maker.label_maker.oracle_maker
    typer.echo(f"configuration  {path}: accepted")
    typer.echo(f"material       {', '.join(structure.formula for structure in plan.structures)}")
    typer.echo(f"oracle         {oracle.name}: ready")
    typer.echo("potential      python-ace: ready")
    typer.echo(f"exploration    {exploration}")
    if plan.maker.kmc_maker is not None:
        typer.echo(f"kmc            {plan.maker.kmc_maker.try_engine(path.parent)}: ready")
    typer.echo(
        f"labels         {plan.maker.n_initial} for the first fit, {plan.maker.limits.max_labels} at the most"
    )


def ready_plan(path: Path) -> Plan:
    """Read a configuration and find all programs that its campaign needs.

    Parameters
    ----------
    path
        The configuration file.

    Returns
    -------
    Plan
        Ready to run.

    Raises
    ------
    ConfigError
        The configuration is not accepted.
    MissingProgramError
        Something is not installed.
    """
    from mlip_autopipec.ace import import_pyace
    from mlip_autopipec.config import load_config
    from mlip_autopipec.flows.build import plan

    found = plan(load_config(path), path.parent)
    import_pyace()
    found.maker.exploration_maker.check_engine()
    if found.maker.kmc_maker is not None:
        found.maker.kmc_maker.check_engine()
    return found.prepared()


def _exploration(plan: Plan) -> str:
    """Have the engine of the walks try itself on a small cell, if it is a program."""
    with TemporaryDirectory() as folder:
        return plan.maker.exploration_maker.try_engine(Path(folder))
