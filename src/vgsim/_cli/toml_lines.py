"""Where in a TOML file something is said."""

from __future__ import annotations

import re

__all__ = ["KeyPath", "line_of", "lines_of"]

KeyPath = tuple[str | int, ...]
_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_NAMES = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_START = re.compile(rf"[ \t]*(?:(\[\[?)[ \t]*({_NAMES})[ \t]*\]|({_NAMES})[ \t]*=)")
_PIECE = re.compile(  # of a value, or of the rest of a line
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|"
    r"#[^\n]*|[\[{]|[\]}]|\n|[^\n]",
    re.DOTALL,
)


def lines_of(text: str) -> dict[KeyPath, int]:
    r"""Return the line, from 1, of every key and table outside inline tables.

    Parameters
    ----------
    text : str
        Valid TOML.

    Returns
    -------
    dict of tuple to int
        By the path of the key: names, and the number of the table in an array of tables.

    Examples
    --------
    >>> from vgsim._cli.toml_lines import lines_of
    >>> lines_of('[[sweep]]\nwidth = [\n8]\ndepth = 2')["sweep", 0, "depth"]
    4
    """
    found: dict[KeyPath, int] = {}
    tables: dict[KeyPath, int] = {}  # in each array of tables
    above: KeyPath = ()
    place, line = 0, 1
    while place < len(text):
        if start := _START.match(text, place):
            brackets, table, key = start.groups()
            path = _within(() if table else above, _parts(table or key), tables)
            if brackets == "[[":
                found.setdefault(path, line)
                tables[path] = tables.get(path, 0) + 1
                path = (*path, tables[path] - 1)
            if table:
                above = path
            found.setdefault(path, line)
            line += text.count("\n", place, start.end())
            place = start.end()
        end = _end_of_value(text, place)
        line += text.count("\n", place, end)
        place = end
    return found


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """Return the line of the key or, if it is in an inline table, of the key that this is given to.

    Examples
    --------
    >>> from vgsim._cli.toml_lines import line_of
    >>> line_of(("stop", "event"), {("stop",): 3})
    3
    """
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _end_of_value(text: str, place: int) -> int:
    """Where the next line begins that is not inside a value."""
    depth = 0
    while place < len(text):
        piece = _PIECE.match(text, place)
        assert piece is not None
        place = piece.end()
        if piece[0] in "[{":
            depth += 1
        elif piece[0] in "]}":
            depth -= 1
        elif piece[0] == "\n" and depth <= 0:
            break
    return place


def _parts(names: str) -> list[str]:
    """Return the parts of a dotted key, without quotes."""
    return [name.strip("\"'") for name in re.findall(_NAME, names)]


def _within(above: KeyPath, parts: list[str], tables: dict[KeyPath, int]) -> KeyPath:
    """Return the path of a key below `above`; of an array of tables on the way, the last one."""
    path = above
    for i, part in enumerate(parts):
        path = (*path, part)
        if i < len(parts) - 1 and path in tables:
            path = (*path, tables[path] - 1)
    return path
