"""How objects show themselves: short text, and HTML for notebooks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import Any, ClassVar

import numpy as np

__all__ = ["Record", "block", "code", "image", "line", "number", "plural", "table"]

DIGITS = 6  # significant digits of a number without an interval
MOST_ROWS = 12
ELLIPSIS = "…"
MISSING = "–"


def number(value: object) -> str:
    """Return a value as text: floats with six significant digits, long arrays abbreviated.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._display import number
    >>> number(1.0000000000000002), number(np.array([0.1, 1 / 3])), number(None), number("a")
    ('1', '[0.1, 0.333333]', 'None', "'a'")
    """
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    if isinstance(value, np.ndarray):
        text = np.array2string(
            value,
            separator=", ",
            threshold=MOST_ROWS,
            edgeitems=3,
            formatter={"float_kind": lambda x: f"{x:.{DIGITS}g}"},
        )
        return " ".join(text.split())
    return repr(value)


def plural(name: str) -> str:
    """Return the plural of a kind of place.

    Examples
    --------
    >>> from vgsim._display import plural
    >>> plural("layer"), plural("steps")
    ('layers', 'steps')
    """
    return f"{name.removesuffix('s')}s"


class Record:
    """Base of frozen dataclasses of numbers: a short repr, and a table in notebooks.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from vgsim._display import Record
    >>> @dataclass(frozen=True, repr=False)
    ... class Point(Record):
    ...     x: float
    >>> Point(1 / 3)
    Point(x=0.333333)
    """

    _meanings: ClassVar[Mapping[str, str]] = {}  # of fields, for the table
    _index: ClassVar[str] = ""  # what the entries of arrays are numbered by
    _first: ClassVar[int] = 0  # the number of the first entry

    def __repr__(self) -> str:
        shown = (f"{name}={number(value)}" for name, value in self._items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def _items(self) -> list[tuple[str, Any]]:
        """Return the fields by name."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        """Return the fields as a table, arrays of one dimension as columns."""
        name, columns = type(self).__name__, {}
        for key, value in self._items():
            if isinstance(value, np.ndarray) and value.ndim == 1:
                columns[key] = [word(x) for x in value.tolist()]
        rest = {key: word(value) for key, value in self._items() if key not in columns}
        if not columns:
            rows = [(key, value, self._meanings.get(key, "")) for key, value in rest.items()]
            return block(table((name, "", ""), rows, words=3))
        if self._index:
            size = len(next(iter(columns.values())))
            numbers = range(self._first, self._first + size)
            columns = {self._index: list(map(str, numbers)), **columns}
        known = (f"{key} {value}" for key, value in rest.items() if value != MISSING)
        rows = list(zip(*columns.values(), strict=True))
        return block(table(tuple(columns), rows, ", ".join((name, *known)), words=0))


def word(value: object) -> str:
    """Return a value as the text of a cell: a string without quotes, "–" for None."""
    if value is None or isinstance(value, str):
        return MISSING if value is None else value
    named = value.to_json() if hasattr(value, "to_json") else None  # an activation
    return named if isinstance(named, str) else number(value)


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str = "",
    words: int = 1,
) -> str:
    """Return an HTML table of texts, which are escaped; long ones are shortened in the middle.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
        Of more than twelve, six from each end are shown, and a row that counts the others.
    caption : str, optional
        A line above the table.
    words : int, default 1
        Number of columns, from the left, that are words and are aligned to the left.

    Examples
    --------
    >>> from vgsim._display import table
    >>> print(table(("depth", "P"), [("10", "< 0.1")], words=0))
    <table>
    <thead><tr><th>depth</th><th>P</th></tr></thead>
    <tbody>
    <tr><td>10</td><td>&lt; 0.1</td></tr>
    </tbody>
    </table>
    """
    shown = list(rows)
    if len(shown) > MOST_ROWS:
        half = MOST_ROWS // 2
        hidden = [f"{ELLIPSIS} {len(shown) - 2 * half} more", *[ELLIPSIS] * (len(header) - 1)]
        shown[half:-half] = [hidden]
    above = [line(caption)] if caption else []  # a <caption> would be as narrow as the table
    return "\n".join(
        [
            *above,
            "<table>",
            f"<thead>{_row('th', header, words)}</thead>",
            "<tbody>",
            *(_row("td", row, words) for row in shown),
            "</tbody>",
            "</table>",
        ]
    )


def _row(tag: str, cells: Iterable[str], words: int) -> str:
    """Return one row; the first `words` cells are aligned to the left."""
    left = ' style="text-align: left"'
    texts = (
        f"<{tag}{left if i < words else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(cells)
    )
    return f"<tr>{''.join(texts)}</tr>"


def line(text: str, strong: str = "") -> str:
    """Return a line of text as HTML, escaped, with bold text in front.

    Examples
    --------
    >>> from vgsim._display import line
    >>> line("(0.1–0.2)", "0.15")
    '<div><b>0.15</b> (0.1–0.2)</div>'
    """
    bold = f"<b>{escape(strong)}</b> " if strong else ""
    return f"<div>{bold}{escape(text)}</div>"


def code(lines: Iterable[str]) -> str:
    """Return lines of text in a font of equal widths, escaped."""
    return f'<pre style="font-family: monospace">{escape(chr(10).join(lines))}</pre>'


def image(png: bytes, alt: str, width: int) -> str:
    """Return a picture in the page itself, with a width in pixels of the page.

    Examples
    --------
    >>> from vgsim._display import image
    >>> image(b"", "a < b", 450)
    '<img alt="a &lt; b" width="450" src="data:image/png;base64,">'
    """
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{escape(alt)}" width="{width}" src="data:image/png;base64,{data}">'


def block(*parts: str) -> str:
    """Return parts of HTML, those that are not empty, as one part."""
    return "\n".join(["<div>", *filter(None, parts), "</div>"])
