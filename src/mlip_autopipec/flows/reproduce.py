"""The configuration of a campaign with nothing left open: it leads to the same jobs again."""

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from ase.io import write

from mlip_autopipec.config import MLIPConfig
from mlip_autopipec.flows.build import Plan

_CONFIGURATION = "reproduce.yaml"
_STRUCTURES = "structures.json"  # ASE's own format, which keeps every digit


def filled_configuration(plan: Plan) -> dict[str, Any]:
    """Write out every value of a campaign, also those that were inferred or defaults.

    Parameters
    ----------
    plan
        The campaign; prepared, so that cut-offs that come with the pseudopotentials are in it.

    Returns
    -------
    dict
        A configuration that :class:`MLIPConfig` accepts.
    """
    found: dict[str, Any] = {}
    for value in plan.values:
        section, _, key = value.path.partition(".")
        known = section in MLIPConfig.model_fields
        if known and key:
            found.setdefault(section, {})[key] = _plain(value.value)
        elif known:
            found[section] = _plain(value.value)
    oracle = plan.maker.label_maker.oracle_maker
    own = {f.name: getattr(oracle, f.name) for f in fields(oracle)}
    found["oracle"] |= {key: _plain(own[key]) for key in found["oracle"] if own.get(key) is not None}
    return {
        key: {k: v for k, v in part.items() if v is not None} if isinstance(part, dict) else part
        for key, part in found.items()
        if part is not None
    }


def write_reproduction(plan: Plan, folder: Path) -> list[Path]:
    """Write ``reproduce.yaml`` and, where structures were given as files, a copy of them.

    Parameters
    ----------
    plan
        The campaign, prepared.
    folder
        Where; it must exist.

    Returns
    -------
    list[pathlib.Path]
        The files.
    """
    config = filled_configuration(plan)
    paths = [folder / _CONFIGURATION]
    if "structures" in config:
        paths.append(folder / _STRUCTURES)
        write(paths[1], [structure.to_ase() for structure in plan.structures], format="json")
        config["structures"] = _STRUCTURES
    head = "# Every value of this campaign; `mlip-auto run reproduce.yaml` makes the same jobs again.\n"
    paths[0].write_text(head + yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return paths


def copy_reproduction(directory: Path, folder: Path) -> list[Path]:
    """Copy what :func:`write_reproduction` wrote when a campaign was submitted.

    Parameters
    ----------
    directory
        The run folder.
    folder
        Where to; it must exist.

    Returns
    -------
    list[pathlib.Path]
        The files; none if it was not submitted.
    """
    found = [directory / name for name in (_CONFIGURATION, _STRUCTURES) if (directory / name).exists()]
    return [Path(shutil.copy(path, folder)) for path in found]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
