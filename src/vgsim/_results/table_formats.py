"""Writers of tables: text, Markdown, LaTeX, HTML and CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TypeVar

from vgsim._results.column import Column, records

__all__ = [
    "WIDE",
    "Frame",
    "wrapped",
    "write_csv",
    "write_html",
    "write_latex",
    "write_markdown",
    "write_text",
]

WIDE = 100  # characters of a line
UNKNOWN = "-"
CAPTION = "text-align: left; white-space: nowrap"  # not broken at the width of the table
LATEX_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


@dataclass(frozen=True)
class Frame:
    """What surrounds a table: lines of explanation, a caption, a label for references."""

    title: str = ""
    caption: str | None = None
    label: str | None = None

    @property
    def lines(self) -> list[str]:
        """The caption and the lines of the title."""
        return [*([self.caption] if self.caption else []), *self.title.splitlines()]


class _Cells:
    """The cells of a column, and how it is aligned."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.cells = column.cells
        self.left = not column.right and any(cell.word for cell in self.cells)
        self.split = any(cell.interval for cell in self.cells)

    def padded(self) -> list[str]:
        """Return the heading and the cells, padded to one width."""
        values = max((len(cell.value) for cell in self.cells), default=0)
        intervals = max((len(cell.interval) for cell in self.cells), default=0)
        lines = [
            f"{cell.value:{'<' if self.left else '>'}{values}} {cell.interval:<{intervals}}"
            if self.split
            else cell.value
            for cell in self.cells
        ]
        width = max(map(len, [self.column.heading, *lines]))
        side = "<" if self.left else ">"
        return [f"{line:{side}{width}}" for line in (self.column.heading, *lines)]


T = TypeVar("T")


def _grouped(columns: Sequence[Column], parts: Sequence[T]) -> list[tuple[str, list[T]]]:
    """Return the neighbouring parts of each group; columns without a group are alone."""
    places = range(len(columns))
    keys = groupby(places, key=lambda place: columns[place].group or place)
    runs = [list(run) for _, run in keys]
    return [(columns[run[0]].group, [parts[place] for place in run]) for run in runs]


def write_text(columns: Sequence[Column], frame: Frame) -> str:
    """Return columns as text of aligned columns.

    Examples
    --------
    >>> from vgsim._results.table_formats import Column, Frame, write_text
    >>> columns = [Column("a", "a", [1, 20]), Column("p", "P", [0.0, 0.5], [0, 0.4], [0.03, 0.6])]
    >>> print(write_text(columns, Frame()))
     a                 P
     1    0 (< 0.03)
    20 0.50 [0.40, 0.60]
    """
    groups = []
    for name, blocks in _grouped(columns, [_Cells(column).padded() for column in columns]):
        rows = ["  ".join(row) for row in zip(*blocks, strict=True)]
        width = max(map(len, [name, *rows]))
        head = [f"{name:^{width}}", ("-" if name else " ") * width]
        groups.append([*head, *(row.rjust(width) for row in rows)])
    lines = ["  ".join(row).rstrip() for row in zip(*groups, strict=True)]
    if not any(column.group for column in columns):
        del lines[:2]
    titles = [wrapped(line) for line in frame.lines]
    return "\n".join([*titles, "", *lines] if titles else lines)


def wrapped(line: str) -> str:
    """Return a line of text as lines of at most 100 characters, unless a word is longer.

    Examples
    --------
    >>> from vgsim._results.table_formats import wrapped
    >>> [len(line) for line in wrapped("layers " * 30).splitlines()]
    [97, 99, 15]
    """
    if len(line) <= WIDE:
        return line
    return textwrap.fill(
        line, WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def write_markdown(columns: Sequence[Column], frame: Frame) -> str:
    """Return columns as a Markdown table; the name of a group precedes its headings."""
    every = [_Cells(column) for column in columns]
    texts = [
        [text.replace("|", "\\|") for text in (_full_heading(one.column), *map(str, one.cells))]
        for one in every
    ]
    widths = [max(3, *map(len, column)) for column in texts]
    sides = ["<" if one.left else ">" for one in every]
    rows = [
        [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)]
        for row in zip(*texts, strict=True)
    ]
    rules = [
        ":" + "-" * (width - 1) if one.left else "-" * (width - 1) + ":"
        for one, width in zip(every, widths, strict=True)
    ]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:])]
    titles = [line and f"{line}  " for line in frame.lines]
    return "\n".join([*titles, "", *lines] if titles else lines)


def _full_heading(column: Column) -> str:
    return f"{column.group}, {column.heading}" if column.group else column.heading


def write_latex(columns: Sequence[Column], frame: Frame) -> str:
    r"""Return columns as a LaTeX table; with a caption or a label, as a floating one.

    Examples
    --------
    >>> from vgsim._results.table_formats import Column, Frame, write_latex
    >>> columns = [Column("name", "name", ["a_1"]), Column("p", "P", [0.5], [0.4], [0.6])]
    >>> print(write_latex(columns, Frame("definitions", "Two columns.", "tab:two")))
    % definitions
    \begin{table}
    \centering
    \caption{Two columns.}
    \label{tab:two}
    \begin{tabular}{lr@{\ }l}
    \toprule
    name & \multicolumn{2}{c}{P} \\
    \midrule
    a\_1 & $0.50$ & $[0.40, 0.60]$ \\
    \bottomrule
    \end{tabular}
    \end{table}
    """
    every = [_Cells(column) for column in columns]
    kinds = [r"r@{\ }l" if one.split else "l" if one.left else "r" for one in every]
    headings = [
        _spanning(1 + one.split, one.column.latex or _escaped(one.column.heading)) for one in every
    ]
    table = [
        f"\\begin{{tabular}}{{{''.join(kinds)}}}",
        "\\toprule",
        *_group_headings(columns, every),
        f"{' & '.join(headings)} \\\\",
        "\\midrule",
        *(f"{_begun(' & '.join(row))} \\\\" for row in zip(*map(_latex_cells, every), strict=True)),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    if frame.caption or frame.label:
        head = ["\\begin{table}", "\\centering"]
        head += [f"\\caption{{{frame.caption}}}"] if frame.caption else []
        head += [f"\\label{{{frame.label}}}"] if frame.label else []
        table = [*head, *table, "\\end{table}"]
    return "\n".join([*(f"% {line}".rstrip() for line in frame.title.splitlines()), *table])


def _begun(row: str) -> str:
    """Return a row whose first character is no argument of the command before it."""
    return f"{{}}{row}" if row[:1] in ("[", "*") else row


def _group_headings(columns: Sequence[Column], every: Sequence[_Cells]) -> list[str]:
    """Return the line with the names of the groups, and the rules below them, if there are any."""
    heads, rules, first = [], [], 1
    for name, group in _grouped(columns, every):
        span = sum(1 + one.split for one in group)
        heads.append(_spanning(span, _escaped(name)) if name else " & " * (span - 1))
        if name:
            rules.append(f"\\cmidrule(lr){{{first}-{first + span - 1}}}")
        first += span
    return [f"{' & '.join(heads)} \\\\", " ".join(rules)] if rules else []


def _spanning(columns: int, text: str) -> str:
    return text if columns == 1 else f"\\multicolumn{{{columns}}}{{c}}{{{text}}}"


def _latex_cells(one: _Cells) -> list[str]:
    """Return the cells of a column; value and interval apart if it is split."""
    cells = []
    for cell in one.cells:
        if cell.word:
            value = _escaped(cell.value)
        else:
            value = "--" if cell.value == UNKNOWN else f"${_math(cell.value)}$"
        interval = f"${_math(cell.interval)}$" if cell.interval else ""
        cells.append(f"{value} & {interval}".rstrip() if one.split else value)
    return cells


def _math(text: str) -> str:
    """Return a number, a bound or an interval in ASCII as LaTeX's mathematics."""
    head = text[0] if text[0] in "[(" else ""
    tail = text[-1] if head else ""
    inner = text[1:-1] if head else text
    return f"{head}{', '.join(_math_number(part) for part in inner.split(', '))}{tail}"


def _math_number(text: str) -> str:
    sign, _, number = text.rpartition(" ")
    number = number.replace("inf", "\\infty")
    mantissa, e, exponent = number.partition("e")
    if e:
        factor = "" if mantissa == "1" else f"{mantissa} \\times "
        number = f"{factor}10^{{{int(exponent)}}}"
    return f"{{{sign}}}{number}" if sign else number


def _escaped(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(character, character) for character in text)


def write_html(columns: Sequence[Column], frame: Frame) -> str:
    """Return columns as an HTML table, without styles but the alignment of its cells.

    Examples
    --------
    >>> from vgsim._results.table_formats import Column, Frame, write_html
    >>> print(write_html([Column("a", "a < b", [1])], Frame("The title")))
    <table>
    <caption style="text-align: left; white-space: nowrap">The title</caption>
    <thead>
    <tr><th style="text-align: right">a &lt; b</th></tr>
    </thead>
    <tbody>
    <tr><td style="text-align: right">1</td></tr>
    </tbody>
    </table>
    """
    every = [_Cells(column) for column in columns]
    sides = ["left" if one.left else "right" for one in every]
    head = []
    if any(column.group for column in columns):
        groups = [
            f'<th colspan="{len(parts)}">{escape(name)}</th>'
            for name, parts in _grouped(columns, every)
        ]
        head.append(f"<tr>{''.join(groups)}</tr>")
    head.append(_html_row("th", [column.heading for column in columns], sides))
    rows = zip(*(map(str, one.cells) for one in every), strict=True)
    caption = "<br>\n".join(map(escape, frame.lines))
    return "\n".join(
        [
            "<table>",
            *([f'<caption style="{CAPTION}">{caption}</caption>'] if caption else []),
            "<thead>",
            *head,
            "</thead>",
            "<tbody>",
            *(_html_row("td", row, sides) for row in rows),
            "</tbody>",
            "</table>",
        ]
    )


def _html_row(tag: str, texts: Sequence[str], sides: Sequence[str]) -> str:
    cells = [
        f'<{tag} style="text-align: {side}">{escape(text)}</{tag}>'
        for text, side in zip(texts, sides, strict=True)
    ]
    return f"<tr>{''.join(cells)}</tr>"


def write_csv(columns: Sequence[Column], frame: Frame) -> str:
    """Return columns as CSV with all digits, without what surrounds the table."""
    rows = records(columns)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().rstrip("\n")
