"""`mlip-auto init`: a configuration to start from."""

from pathlib import Path
from typing import Any

import typer

from mlip_autopipec.cli.files import new_file
from mlip_autopipec.cli.schema import write_schema
from mlip_autopipec.config.schema import SCHEMA_FILE, modeline
from mlip_autopipec.errors import ConfigError

_HEAD = """\
{modeline}
# One campaign. Everything not said here is inferred from the material or has a default:
# `mlip-auto explain {name}` prints each value and where it comes from.
composition: {composition}

oracle:
{oracle}"""
_QE = """\
  engine: qe                        # pw.x of Quantum ESPRESSO
  # k_spacing: 0.3                  # 1/Å, with the 2 pi
  # ecutwfc: 30                     # Ry; default: recommended for the pseudopotentials
"""
_ASE = """\
  engine: ase
  calculator: {calculator}                   # any ASE calculator, or package.module:Class
"""
_STANDARD = """\
# generation:
#   n_atoms: 8                      # smallest number of atoms of a cell to be labelled
# exploration:
#   temperatures: [300, 600, 900]   # K
#   n_steps: 5000
# active_learning:
#   max_labels: 200
"""
_ALLOY = """\
exploration:
  swap_every: 100                   # steps between exchanges of atoms of two elements
  arms: {md: 2, vacancy: 1, antisite: 1}
active_learning:
  max_labels: 400
"""
_PRODUCTION = """\
training:
  tune: true                        # radial functions, cut-off and size by the evidence
exploration:
  n_steps: 20000
active_learning:
  max_labels: 600
  quiet_rounds: 3
  audit_share: 0.05                 # labels for frames judged certain
"""
TEMPLATES = {"minimal": "", "standard": _STANDARD, "alloy": _ALLOY, "production": _PRODUCTION}


def write_config(path: Path, composition: str, calculator: str | None, template: str = "standard") -> None:
    """Write a commented configuration, and beside it the schema that its first line names.

    Parameters
    ----------
    path
        The file; it must not exist.
    composition
        Formula.
    calculator
        ASE calculator; none for pw.x.
    template
        A key of ``TEMPLATES``.

    Raises
    ------
    ConfigError
        The file exists, the template is unknown or the configuration is not accepted.
    StoreError
        A file cannot be written.
    """
    from mlip_autopipec.config import parse_config

    if template not in TEMPLATES:
        raise ConfigError(f"'template' must be one of {', '.join(TEMPLATES)}, got {template!r}.")
    oracle: dict[str, Any] = {"engine": "ase", "calculator": calculator} if calculator else {"engine": "qe"}
    parse_config({"composition": composition, "oracle": oracle})
    text = _ASE.format(calculator=calculator) if calculator else _QE
    head = _HEAD.format(modeline=modeline(), name=path, composition=composition, oracle=text)
    new_file(path, f"{head}{TEMPLATES[template]}")
    write_schema(path.with_name(SCHEMA_FILE))
    typer.echo(f"wrote {path}\nnext: mlip-auto check {path}; mlip-auto run {path}")


def ask() -> tuple[str, str | None, str]:
    """Ask the user.

    Returns
    -------
    composition
        Formula.
    calculator
        ASE calculator; none for pw.x.
    template
        Key of ``TEMPLATES``.
    """
    composition = typer.prompt("Material (Si, NaCl, Cu3Au)", default="Si")
    oracle = typer.prompt("Labels by qe (pw.x) or an ASE calculator (emt, …)", default="qe")
    template = typer.prompt(f"Template ({', '.join(TEMPLATES)})", default="standard")
    return composition, None if oracle == "qe" else oracle, template
