"""Pieces of HTML: everything that is not marked as HTML is escaped."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

_LONG = 40


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(value: object) -> Html:
    """Escape a value unless it is HTML already.

    Parameters
    ----------
    value
        Anything; None becomes a dash.

    Returns
    -------
    Html
        HTML.
    """
    if isinstance(value, Html):
        return value
    return Html("–" if value is None else escape(str(value)))


def element(tag: str, content: object, css: str = "") -> Html:
    """Make an element.

    Parameters
    ----------
    tag
        Its name.
    content
        What is inside; escaped unless HTML.
    css
        Its class.

    Returns
    -------
    Html
        HTML.
    """
    attribute = f' class="{escape(css)}"' if css else ""
    return Html(f"<{tag}{attribute}>{html(content)}</{tag}>")


def join(pieces: Iterable[object]) -> Html:
    """Put pieces one after the other.

    Parameters
    ----------
    pieces
        Escaped unless HTML.

    Returns
    -------
    Html
        HTML.
    """
    return Html("".join(html(piece) for piece in pieces))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """Make a table that scrolls by itself where the page is narrow.

    Parameters
    ----------
    head
        Heads of the columns, with units.
    rows
        Cells; columns with numbers are set to the right, and None is a dash there. A column of nothing but
        None is left out.

    Returns
    -------
    Html
        HTML; empty without rows.
    """
    columns = list(zip(*rows, strict=True))
    if not columns:
        return Html("")
    kept = [(h, c, _css(c)) for h, c in zip(head, columns, strict=True) if any(x is not None for x in c)]
    heads = element("tr", join(element("th", _head(h), css) for h, _, css in kept))
    lines = [
        element("tr", join(element("td", _text(column[n], css), css) for _, column, css in kept))
        for n in range(len(columns[0]))
    ]
    inside = Html(element("thead", heads) + element("tbody", join(lines)))
    return element("div", element("table", inside), "scroll")


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """Make a list of names and values.

    Parameters
    ----------
    rows
        Names and values; those that are None are left out.

    Returns
    -------
    Html
        HTML.
    """
    pairs = [
        element("div", Html(element("dt", name) + element("dd", value)), "fact")
        for name, value in rows
        if value is not None
    ]
    return element("dl", join(pairs)) if pairs else Html("")


def folded(summary: str, content: Html) -> Html:
    """Hide something long behind a line.

    Parameters
    ----------
    summary
        The line.
    content
        What is shown when the line is clicked.

    Returns
    -------
    Html
        HTML; empty without content.
    """
    return element("details", Html(element("summary", summary) + content)) if content else content


def section(title: str, *content: Html) -> Html:
    """Make a section of the page.

    Parameters
    ----------
    title
        Its title.
    *content
        What is in it.

    Returns
    -------
    Html
        HTML; empty without content, as a title alone says nothing.
    """
    inside = join(content)
    return element("section", Html(element("h2", title) + inside)) if inside else inside


def _css(column: Sequence[object]) -> str:
    if any(isinstance(cell, int | float | Decimal) for cell in column):
        return "number"
    return "long" if any(isinstance(cell, str) and _is_long(cell) for cell in column) else ""


def _is_long(text: str) -> bool:
    return len(text) > _LONG and not isinstance(text, Html)


def _head(text: str) -> Html:
    """Keep a unit in one piece."""
    name, bracket, unit = text.partition("[")
    return Html(html(name) + element("span", bracket + unit, "unit")) if bracket else html(text)


def _text(value: object, css: str) -> object:
    if value is None and css != "number":
        return ""
    return f"{value:.4g}" if isinstance(value, float) else value
