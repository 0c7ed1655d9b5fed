"""The Python script that does what a configuration does, to be edited where a configuration ends."""

from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import Any

from pydantic import BaseModel

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.build import Plan, ResolvedValue

_WIDTH = 100
_NAME = 24  # kept free for the name of a field before it
_INDENT = "    "
_ALWAYS = ("calculator",)
_PLAIN = (str, int, float, bool, type(None))

_USED = {
    ("mlip_autopipec.execution.local", "run_local"),
    ("mlip_autopipec.flows.identity", "identify"),
    ("mlip_autopipec.settings", "get_settings"),
    ("mlip_autopipec.store", "load_output"),
    ("mlip_autopipec.store", "open_store"),
}  # by the script itself

_SCRIPT = '''\
"""What `mlip-auto run {config}` does, as Python.

Written by `mlip-auto eject`; edit it freely. As long as a job's Maker and input stay the same, its result is
found in the run folder again, labels above all.

{account}
"""

from pathlib import Path

from jobflow import Flow

{imports}

STRUCTURES = {structures}

MAKER = {maker}


def build() -> Flow:
    """Make the flow of the campaign; its jobs have the ids of `mlip-auto run`."""
    return identify(MAKER.make(STRUCTURES))


def main(directory: Path) -> None:
    """Run the campaign, or the rest of it, and say how it ended."""
    flow = build()
    settings = get_settings()
    store = open_store(directory, settings)
    run_local(flow, store=store, directory=directory, workers=settings.workers, on_event=print)
    print(load_output(store, flow.output.uuid).verdict)


if __name__ == "__main__":
    main(Path("run"))
'''


def flow_script(plan: Plan, config: str) -> str:
    """Write the script.

    Parameters
    ----------
    plan
        The campaign.
    config
        Name of its configuration, for the docstring.

    Returns
    -------
    str
        Python; plain values at their default are left out, Makers are not: they are what can be exchanged.
    """
    needed = set(_USED)
    structures = expression(plan.structures, needed)
    maker = expression(plan.maker, needed)
    modules: dict[str, list[str]] = {}
    for module, name in sorted(needed):
        modules.setdefault(module, []).append(name)
    imports = [_import(module, names) for module, names in modules.items()]
    return _SCRIPT.format(
        config=config,
        account="\n".join(_account(plan.values)),
        imports="\n".join(imports),
        structures=structures,
        maker=maker,
    )


def expression(value: Any, needed: set[tuple[str, str]], depth: int = 0) -> str:
    """Write a value as the Python that makes it.

    Parameters
    ----------
    value
        Makers, documents, lists, dictionaries, plain values.
    needed
        Gets module and name of all classes.
    depth
        Levels of indentation.

    Returns
    -------
    str
        An expression.

    Raises
    ------
    ConfigError
        There is a value that cannot be written.
    """
    if isinstance(value, _PLAIN):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, Path):
        return f"Path({expression(str(value), needed)})"
    inner = depth + 1
    if isinstance(value, list | tuple):
        items = [expression(item, needed, inner) for item in value]
        left, right = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
        return _joined(left, items, right, depth)
    if isinstance(value, dict):
        pairs = [f"{expression(k, needed, inner)}: {expression(v, needed, inner)}" for k, v in value.items()]
        return _joined("{", pairs, "}", depth)
    if is_dataclass(value) or isinstance(value, BaseModel):
        cls = type(value)
        needed.add((_home(cls), cls.__name__))
        words = [f"{n}={expression(v, needed, inner)}" for n, v in _changed(value).items()]
        return _joined(f"{cls.__name__}(", words, ")", depth)
    raise ConfigError(
        f"a {type(value).__name__} cannot be written as Python: {value!r}.",
        hint="build the flow in a script of your own; see the tutorial on Makers in Python.",
    )


def _changed(value: Any) -> dict[str, Any]:
    """Return the fields that are not at their default, and those that a reader looks for."""
    if isinstance(value, BaseModel):
        return {
            name: getattr(value, name)
            for name, info in type(value).model_fields.items()
            if info.is_required() or getattr(value, name) != info.get_default(call_default_factory=True)
        }
    found = {}
    for item in fields(value):
        default = item.default if item.default_factory is MISSING else item.default_factory()
        given = getattr(value, item.name)
        if item.init and (given != default or is_dataclass(given) or item.name in _ALWAYS):
            found[item.name] = given
    return found


def _home(cls: type) -> str:
    """Return the package that exports a class, else its module."""
    package = cls.__module__.rpartition(".")[0]
    exported = package.count(".") > 0 and getattr(import_module(package), cls.__name__, None) is cls
    return package if exported else cls.__module__


def _joined(left: str, items: list[str], right: str, depth: int) -> str:
    line = f"{left}{', '.join(items)}{right}"
    if not items or (len(line) + len(_INDENT) * depth <= _WIDTH - _NAME and "\n" not in line):
        return line
    inside = _INDENT * (depth + 1)
    body = "".join(f"{inside}{item},\n" for item in items)
    return f"{left}\n{body}{_INDENT * depth}{right.lstrip(',')}"


def _import(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"{_INDENT}{name},\n" for name in names) + ")"


def _account(values: list[ResolvedValue]) -> list[str]:
    """Say of what was not left at its default where it comes from."""
    chosen = [value for value in values if value.source != "default"]
    lines = []
    for value in chosen:
        why = f", {value.reason}" if value.reason else ""
        text = f"{value.path} = {value.value}: {value.source}{why}".replace("\\", "\\\\").replace('"', "'")
        lines += wrap(text, _WIDTH, subsequent_indent=_INDENT)
    return lines
