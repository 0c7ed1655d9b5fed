"""Reading a configuration file, and saying what is wrong with it."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mlip_autopipec.config.models import MLIPConfig
from mlip_autopipec.config.section import Section
from mlip_autopipec.errors import ConfigError


def load_config(path: Path) -> MLIPConfig:
    """Read a YAML file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    MLIPConfig
        What it says; paths of structures are taken relative to the file.

    Raises
    ------
    ConfigError
        It cannot be read, is not YAML, or says something that is not accepted: each with key, value, what
        is accepted and, for an unknown key, the nearest known one.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"configuration file {str(path)!r} cannot be read: {error.strerror}.",
            hint="give the path of a YAML file, or make one with `mlip-auto init`.",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(path)!r} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{str(path)!r} must hold keys and values, got {type(data).__name__}.")
    return parse_config(data)


def parse_config(data: dict[str, Any]) -> MLIPConfig:
    """Validate a configuration.

    Parameters
    ----------
    data
        What a YAML file holds.

    Returns
    -------
    MLIPConfig
        The configuration.

    Raises
    ------
    ConfigError
        Something in it is not accepted.
    """
    try:
        return MLIPConfig.model_validate(data)
    except ValidationError as error:
        found = [e for e in error.errors() if not _other_branch(e["loc"], e["input"])] or error.errors()
        lines = list(dict.fromkeys(_line(e["type"], e["loc"], e["msg"], e["input"]) for e in found))
        hints = [h for e in found if e["type"] == "extra_forbidden" and (h := _nearest(e["loc"]))]
        raise ConfigError("\n".join(lines), hint="; ".join(hints) or None) from error


def _line(kind: str, location: Sequence[str | int], message: str, value: Any) -> str:
    key = _key(location)
    if kind == "extra_forbidden":
        return f"unknown key '{key}' (value {value!r}); accepted: {', '.join(_known(location))}."
    accepted = message.removeprefix("Value error, ").replace("Input should", "it should", 1)
    if not key:
        return f"configuration: {accepted}."
    shown = "" if isinstance(value, dict | BaseModel) else f", got {value!r}"
    return f"'{key}': {accepted}{shown}."


def _other_branch(location: Sequence[str | int], value: Any) -> bool:
    """Whether an error only says that a mapping is not text, of a key that accepts either."""
    return bool(location) and location[-1] == "str" and isinstance(value, dict)


def _key(location: Sequence[str | int]) -> str:
    """Join a location to a path, without the words pydantic adds for the members of a union."""
    known = [part for part in location if isinstance(part, int) or "[" not in part]
    return ".".join(str(p) for p in known if p not in ("str", "float", "int", "dict"))


def _known(location: Sequence[str | int]) -> list[str]:
    model: type[BaseModel] = MLIPConfig
    for part in location[:-1]:
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            model = annotation
    return list(model.model_fields)


def _nearest(location: Sequence[str | int]) -> str | None:
    close = difflib.get_close_matches(str(location[-1]), _known(location), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r} instead of {location[-1]!r}?" if close else None
