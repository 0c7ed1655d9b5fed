"""`mlip-auto check`: whether everything is there that a run will need."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from mlip_autopipec.flows.build import Plan


def check_config(path: Path, *, as_json: bool = False) -> None:
    """Check a configuration and the programs it needs.

    Parameters
    ----------
    path
        The configuration file.
    as_json
        Whether to print JSON.
    """
    plan = ready_plan(path)
    exploration = _exploration(plan)
    oracle = plan.maker.label_maker.oracle_maker
    found = {
        "configuration": f"{path}: accepted",
        "material": ", ".join(structure.formula for structure in plan.structures),
        "oracle": f"{oracle.name}: ready",
        "potential": "python-ace: ready",
        "exploration": exploration,
        "labels": f"{plan.maker.n_initial} for the first fit, {plan.maker.limits.max_labels} at the most",
    }
    if plan.maker.kmc_maker is not None:
        found["kmc"] = f"{plan.maker.kmc_maker.try_engine(path.parent)}: ready"
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for subject, state in found.items():
        typer.echo(f"{subject:<13}  {state}")


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
