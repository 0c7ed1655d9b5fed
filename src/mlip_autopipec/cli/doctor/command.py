"""The command: examine this machine and say what was found."""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from mlip_autopipec.cli.doctor import PROBES, Finding, Machine, examine
from mlip_autopipec.errors import ConfigError, MissingProgramError
from mlip_autopipec.settings import get_settings, home


def print_findings(directory: Path, only: list[str], as_json: bool) -> None:
    """Examine this machine and print one finding after the other.

    Parameters
    ----------
    directory
        The run folder.
    only
        Subjects; all if it is empty.
    as_json
        Whether to print JSON.

    Raises
    ------
    ConfigError
        A subject is unknown.
    MissingProgramError
        Something is broken, or something that every campaign needs is missing.
    """
    unknown = sorted(set(only) - PROBES.keys())
    if unknown:
        raise ConfigError(f"the doctor knows no {unknown[0]!r}; accepted: {', '.join(PROBES)}.")
    logging.getLogger("mlip_autopipec").setLevel(logging.WARNING)  # progress of fits is not a finding
    found = []
    with TemporaryDirectory() as scratch:
        machine = Machine(get_settings(), home(), directory, Path(scratch))
        for subject in only or PROBES:
            found += examine(machine, [subject])
            if not as_json:
                typer.echo(_line(found[-1]))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
    bad = [f.subject for f in found if f.state == "broken" or (f.needed and f.state == "missing")]
    if bad:
        raise MissingProgramError(f"not fit for campaigns: {', '.join(bad)}.", hint="see the lines above.")


def _line(finding: Finding) -> str:
    optional = " (optional)" if finding.state == "missing" and not finding.needed else ""
    measured = finding.measured.rstrip(".").replace("\n", "\n" + 29 * " ")
    text = f"{finding.state:<8} {finding.subject:<18}  {measured}{optional}"
    return f"{text}\n{'':<29}→ {finding.advice}" if finding.advice else text
