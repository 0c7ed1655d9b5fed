"""What mkdocs adds to the pages that are written by hand: all that is better read from the source itself."""

import ast
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter
from typer.main import get_command

import mlip_autopipec
from mlip_autopipec import errors
from mlip_autopipec.cli.app import app
from mlip_autopipec.settings import Settings
from mlip_autopipec.testing import document_classes

ROOT = Path(__file__).parents[1]
SOURCE = Path(mlip_autopipec.__file__).parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages; mkdocs calls it by this name."""
    pages = {
        "reference/settings.md": settings_page(),
        "reference/commands.md": commands_page(),
        "reference/documents.md": documents_page(),
        "reference/errors.md": errors_page(),
    }
    for path in sorted((ROOT / "tutorials").glob("*/*.ipynb")):
        text, images = notebook_page(path)
        pages[f"tutorials/{path.parent.name}.md"] = text
        for name, content in images.items():
            files.append(File.generated(config, f"tutorials/{name}", content=content))
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def settings_page() -> str:
    """List the machine settings."""
    rows = [
        f"| `{name}` | `MLIP_AUTO_{name.upper()}` | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    head = (
        "# Machine settings\n\nWhere programs, scratch and the store are; physics never comes from here. "
        "Order: argument, environment variable, `settings.yaml` in `MLIP_AUTO_HOME` (default "
        "`~/.local/share/mlip_autopipec`), default.\n\n"
        "| in settings.yaml | variable | meaning |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def commands_page() -> str:
    """List commands with their arguments and options."""
    lines = ["# Commands", "", "`mlip-auto --traceback COMMAND …` shows the traceback of an error.", ""]
    for words, command in _commands(get_command(app), ("mlip-auto",)):
        lines += [f"## {' '.join(words)}", "", (command.help or "").strip(), ""]
        shown = [p for p in command.params if p.name != "help"]
        if shown:
            lines += ["| | default | meaning |", "|---|---|---|"]
        lines += [_parameter_row(parameter) for parameter in shown]
        lines.append("")
    return "\n".join(lines)


def _parameter_row(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    names = ", ".join(parameter.opts) if option else parameter.name.upper()
    default = "" if parameter.default in (None, False) else parameter.default
    return f"| `{names}` | {default} | {parameter.help or ''} |"


def _commands(command: Any, words: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    members = getattr(command, "commands", None)
    if members is None:
        return [(words, command)]
    return [pair for name, member in members.items() for pair in _commands(member, (*words, name))]


def documents_page() -> str:
    """List documents with their fields and units."""
    lines = ["# Documents", "", "What jobs leave in the store. Units stand in brackets; [1] is none.", ""]
    for cls in sorted(document_classes(), key=lambda c: c.__name__):
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        lines += [f"## {cls.__name__}", "", summary, "", "| field | meaning |", "|---|---|"]
        lines += [
            f"| `{name}` | {(field.description or '').replace('|', chr(92) + '|')} |"
            for name, field in cls.model_fields.items()
            if name != "schema_version"
        ]
        lines.append("")
    return "\n".join(lines)


def errors_page() -> str:
    """List every error that the source raises, with its hint, by exit code."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for kind, message, hint in raised(ast.parse(path.read_text())):
            found.setdefault(kind, []).append((message, hint, str(path.relative_to(SOURCE))))
    lines = [
        "# Every error message",
        "",
        "Read from the source, so it is complete; `…` stands for a value. Search for a few words of yours.",
        "",
    ]
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.MLIPError)]
    for cls in sorted(classes, key=lambda c: (c.exit_code, c.__name__)):
        if cls.__name__ not in found:
            continue
        summary = (cls.__doc__ or "").splitlines()[0]
        lines += [f"## {cls.__name__}: exit code {cls.exit_code}", "", summary, ""]
        lines += ["| message | what to do | raised in |", "|---|---|---|"]
        lines += [f"| {m} | {h} | `{where}` |" for m, h, where in sorted(found[cls.__name__])]
        lines.append("")
    return "\n".join(lines)


def raised(tree: ast.Module) -> list[tuple[str, str, str]]:
    """Give class, message and hint of each error that a module raises."""
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
            continue
        name, call = getattr(node.exc.func, "id", ""), node.exc
        if isinstance(getattr(errors, name, None), type) and call.args:
            hint = next((words(k.value) for k in call.keywords if k.arg == "hint"), "")
            found.append((name, words(call.args[0]), hint))
    return found


def words(node: ast.expr) -> str:
    """Write a string expression for a table, with … for what is put in."""
    text = _plain(node)
    for character, shown in (("|", "\\|"), ("<", "&lt;"), ("[", "\\["), ("*", "\\*"), ("\n", " ")):
        text = text.replace(character, shown)
    return text


def _plain(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return "" if node.value is None else str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_plain(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _plain(node.left) + _plain(node.right)
    return "…"


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Turn a notebook with its outputs into a page and its images."""
    notebook = nbformat.reads(path.read_text(), as_version=4)
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    images = {}
    for name, content in resources["outputs"].items():
        images[f"{path.parent.name}-{name}"] = content
        text = text.replace(f"]({name})", f"]({path.parent.name}-{name})")
    where = f"\n\n*This page is the notebook `tutorials/{path.parent.name}/{path.name}`.*\n"
    return text.replace("\n", where, 1), images
