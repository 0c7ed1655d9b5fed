"""Draw one small SVG for the page: no pyplot, no fonts inside, ink in the colour of the text around it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (4.4, 3.2)
"""Width and height of a figure in inches, at 72 SVG units each."""

INK = "#010203"
"""Colour that becomes the colour of the text around the figure."""

# Any: matplotlib types the keys as one long Literal, which a spread of a dict does not keep.
_LONG_LABEL = 24  # characters; three columns of longer ones do not fit

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mlip_autopipec",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#888888",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.5,
    "legend.handletextpad": 0.4,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}
BLUE, ORANGE, GREEN, YELLOW, GREY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#888888"
"""Colours that a reader with any colour vision tells apart, on white and on black (Okabe and Ito)."""


@dataclass(frozen=True)
class Plot:
    """A figure for the page: an ``<svg>`` element and what it shows."""

    name: str
    caption: str
    svg: str


def draw(name: str, caption: str, paint: Callable[["Axes"], None]) -> Plot:
    """Draw a figure.

    Parameters
    ----------
    name
        Prefix of the ids inside, unique on the page.
    caption
        What is to be seen, for readers who cannot.
    paint
        Draws on the axes.

    Returns
    -------
    Plot
        The same every time for the same data.
    """
    # Here, as `mlip-auto status` needs the package but no figure.
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.figure import Figure

    # The defaults lie between, whatever the user's matplotlibrc says; all is put back afterwards.
    with rc_context(), rc_context(rcParamsDefault), rc_context(_STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        paint(axes)
        labels = axes.get_legend_handles_labels()[1]
        if labels:
            # Outside the axes, where it can hide nothing.
            figure.legend(loc="outside upper left", ncols=3 if max(map(len, labels)) < _LONG_LABEL else 2)
        buffer = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return Plot(name, caption, _inline(buffer.getvalue(), name, caption))


def log_scale(axes: "Axes", bottom: float, top: float) -> None:
    """Make the y axis logarithmic, labelled 0.1, 1, 10 instead of powers, closer where it is short.

    Parameters
    ----------
    axes
        The axes.
    bottom, top
        Ends of the y axis, positive, in its unit.
    """
    between = (1.0, 2.0, 5.0) if top / bottom < 200.0 else (1.0,)
    decades = range(int(np.floor(np.log10(bottom))), int(np.ceil(np.log10(top))) + 1)
    ticks = [m * 10.0**d for d in decades for m in between if bottom <= m * 10.0**d <= top]
    axes.set_yscale("log")
    axes.set_ylim(bottom, top)
    axes.minorticks_off()
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])


def shades(n: int) -> list[str]:
    """Return colours from early to late, readable on white and on black.

    Parameters
    ----------
    n
        Number of colours.

    Returns
    -------
    list[str]
        Hexadecimal colours.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    colours = colormaps["plasma"]
    return [to_hex(colours(0.3 + 0.45 * i / max(n - 1, 1))) for i in range(n)]


def _inline(text: str, name: str, caption: str) -> str:
    """Cut what only a file of its own needs, and make ids unique on the page."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # This style would reach the whole page; the page has it for figures.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text.replace("xlink:href", "href"))
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    # Coordinates only: numbers between tags are for the reader.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0]), text)
    text = re.sub(r">\s+<", "><", text).replace(INK, "currentColor")
    text = re.sub(r'<svg width="[^"]*" height="[^"]*"', "<svg", text, count=1)
    return text.strip().replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
