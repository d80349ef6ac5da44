"""Colours on a terminal: headings of help, errors, and large probabilities in tables."""

from __future__ import annotations

import os
import re
from typing import TextIO

__all__ = ["coloured", "helped", "painted", "plain", "table"]

STYLES = {"error": "1;31", "warning": "1;33", "heading": "1", "option": "36"}
EVENTS = {"vanishing": "36", "exploding": "31"}  # cyan, red
LIKELY = 0.5  # probabilities from here on are coloured
CELL = re.compile(r"\S+(?: \S+)*")  # cells of a table are two spaces apart
PROBABILITY = re.compile(r"\s*(?P<number>[01](?:\.\d*)?)(?= [\[(]|$)")


def coloured(stream: TextIO | None) -> bool:
    """Return whether text for a stream is coloured.

    NO_COLOR forbids colours, FORCE_COLOR or CLICOLOR_FORCE demand them. Otherwise a terminal has
    them, unless CLICOLOR is 0 or TERM is dumb.

    Examples
    --------
    >>> import io
    >>> from vgsim._cli.colours import coloured
    >>> coloured(None)
    False
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if any(
        os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")
    ):
        return True
    if os.environ.get("CLICOLOR") == "0" or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def painted(text: str, style: str, stream: TextIO | None) -> str:
    """Return text in one of `STYLES`, if the stream is coloured.

    Examples
    --------
    >>> from vgsim._cli.colours import painted
    >>> painted("error:", "error", None)
    'error:'
    """
    return _escaped(text, STYLES[style]) if coloured(stream) else text


def helped(text: str) -> str:
    r"""Return a help text with coloured headings and names of options and commands.

    Examples
    --------
    >>> from vgsim._cli.colours import helped
    >>> helped("options:\n  -h, --help  show this")
    '\x1b[1moptions:\x1b[0m\n  \x1b[36m-h, --help\x1b[0m  show this'
    """
    text = re.sub(r"^usage:|^\S.*:$", lambda found: _escaped(found[0], "1"), text, flags=re.M)
    return re.sub(
        r"^( {2,4})((?:-\w, )?--?[\w-]+(?=[ ,\n]|$)|[a-z]+(?= {2,}))",
        lambda found: found[1] + _escaped(found[2], STYLES["option"]),
        text,
        flags=re.M,
    )


def table(text: str) -> str:
    r"""Return a table in text with coloured probabilities of vanishing and exploding from 0.5 on.

    Examples
    --------
    >>> from vgsim._cli.colours import table
    >>> table("depth  P(vanishing)\n    5        0.1000\n   50        0.9000").splitlines()[-1]
    '   50        \x1b[36m0.9000\x1b[0m'
    """
    lines = []
    columns: list[tuple[int, int, str]] = []
    for line in text.split("\n"):
        if any(f"P({event})" in line for event in EVENTS):
            columns = _columns(line)
        lines.append(_row(line, columns))
    return "\n".join(lines)


def plain(text: str) -> str:
    r"""Return text without its colours.

    Examples
    --------
    >>> from vgsim._cli.colours import plain
    >>> plain("\x1b[36m0.9000\x1b[0m")
    '0.9000'
    """
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def _columns(heading: str) -> list[tuple[int, int, str]]:
    """Return where the columns of events begin and end, and their colours."""
    found, begin = [], 0
    for cell in CELL.finditer(heading):
        colour = EVENTS.get(cell[0].removeprefix("P(").removesuffix(")"))
        if colour is not None:
            found.append((begin, cell.end(), colour))
        begin = cell.end()
    return found


def _row(line: str, columns: list[tuple[int, int, str]]) -> str:
    """Return a row of a table with its large probabilities coloured."""
    for begin, end, colour in reversed(columns):
        match = PROBABILITY.match(line[:end], begin)
        if match and float(match["number"]) >= LIKELY:
            start, stop = match.span("number")
            line = line[:start] + _escaped(line[start:stop], colour) + line[stop:]
    return line


def _escaped(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"
