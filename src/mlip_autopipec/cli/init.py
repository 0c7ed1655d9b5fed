"""`mlip-auto init`: a configuration to start from."""

from pathlib import Path

import typer

from mlip_autopipec.errors import ConfigError, StoreError

_TEMPLATE = """\
# One campaign. Everything not said here is inferred from the material or has a default:
# `mlip-auto explain {name}` prints each value and where it comes from.
composition: {composition}

oracle:
{oracle}
# generation:
#   n_atoms: 8                      # smallest number of atoms of a cell to be labelled
# exploration:
#   temperatures: [300, 600, 900]   # K
#   n_steps: 5000
# active_learning:
#   max_labels: 200
"""
_QE = """\
  engine: qe                        # pw.x of Quantum ESPRESSO
  # k_spacing: 0.3                  # 1/Å, with the 2 pi
  # ecutwfc: 30                     # Ry; default: recommended for the pseudopotentials
"""
_ASE = """\
  engine: ase
  calculator: {calculator}                   # any ASE calculator, or package.module:Class
"""


def write_config(path: Path, composition: str, calculator: str | None) -> None:
    """Write a commented configuration.

    Parameters
    ----------
    path
        The file; it must not exist.
    composition
        Formula.
    calculator
        ASE calculator; none for pw.x.

    Raises
    ------
    ConfigError
        The file exists, or the composition is not accepted.
    StoreError
        The file cannot be written.
    """
    from mlip_autopipec.config import parse_config

    oracle = {"engine": "ase", "calculator": calculator} if calculator else {"engine": "qe"}
    parse_config({"composition": composition, "oracle": oracle})
    if path.exists():
        raise ConfigError(f"{str(path)!r} exists already.", hint="give another name with --output.")
    text = _ASE.format(calculator=calculator) if calculator else _QE
    try:
        path.write_text(_TEMPLATE.format(name=path, composition=composition, oracle=text), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    typer.echo(f"wrote {path}\nnext: mlip-auto check {path}; mlip-auto run {path}")
