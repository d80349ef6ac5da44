"""Probabilities against depth as rows of block characters, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vgsim._results.tables import WIDE

__all__ = ["BlockRow", "block_curves", "can_show"]

NONE, ALL = "·", "█"
BETWEEN = "▁▂▃▄▅▆▇"
LONGEST = 30  # characters of a label
GAP = "   "  # between two probabilities


@dataclass(frozen=True)
class BlockRow:
    """Probabilities of one event of one kind of network: `values` by depth, after a `label`."""

    label: str
    values: Mapping[int, float]


def can_show() -> bool:
    """Return whether standard output is a terminal that can print the block characters."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    try:
        (NONE + BETWEEN + ALL).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def block_curves(curves: Mapping[str, Sequence[BlockRow]], place: str = "depth") -> str:
    """Return curves of probabilities as text of at most 100 columns.

    Parameters
    ----------
    curves : mapping of str to sequence of BlockRow
        The rows of each heading, such as "P(vanishing)"; the rows of all have the same labels.
    place : str, default "depth"
        What the depths are.

    Returns
    -------
    str
        Lines without a newline at the end; "" if there are fewer than two depths, or so many that
        they do not fit.

    Examples
    --------
    >>> from vgsim._cli.terminal_curves import BlockRow, block_curves
    >>> rows = [BlockRow("sigmoid", {5: 0.0, 10: 0.5, 100: 1.0})]
    >>> print(block_curves({"P(vanishing)": rows}))
    P(vanishing) against depth: · in none, ▁ to ▇ in some, █ in all networks
    <BLANKLINE>
               5  10 100
    sigmoid  ··· ▄▄▄ ███
    """
    depths = sorted({depth for rows in curves.values() for row in rows for depth in row.values})
    labels = [_shortened(row.label) for row in next(iter(curves.values()), ())]
    margin = max(map(len, labels), default=0) + 2
    size = len(str(depths[-1])) if depths else 0
    if len(depths) < 2 or margin + len(depths) > WIDE:
        return ""
    roomy = margin + len(depths) * (size + 1) - 1 <= WIDE
    across = len(depths) * (size + 1) - 1 if roomy else len(depths)
    axis = (
        " ".join(str(depth).rjust(size) for depth in depths)
        if roomy
        else f"{depths[0]}{str(depths[-1]).rjust(across - len(str(depths[0])))}"
    )
    bars = {
        heading: [_bars(row, depths, size if roomy else 0) for row in rows]
        for heading, rows in curves.items()
    }
    legend = (
        f"{' and '.join(curves)} against {place}: {NONE} in none, {BETWEEN[0]} to {BETWEEN[-1]} in "
        f"some, {ALL} in all networks"
    )
    if margin + len(curves) * (across + len(GAP)) - len(GAP) <= WIDE:
        parts = [(list(curves), [GAP.join(row) for row in zip(*bars.values(), strict=True)])]
    else:
        parts = [([heading], rows) for heading, rows in bars.items()]
    lines = [legend]
    for headings, rows in parts:
        lines.append("")
        if len(curves) > 1:
            titles = GAP.join(heading.ljust(across) for heading in headings)
            lines.append((" " * margin + titles).rstrip())
        lines.append(" " * margin + GAP.join([axis] * len(headings)))
        lines += [
            (label.ljust(margin) + row).rstrip() for label, row in zip(labels, rows, strict=True)
        ]
    return "\n".join(lines)


def _bars(row: BlockRow, depths: Sequence[int], size: int) -> str:
    """Return the blocks of one row: `size` of them per depth, or one without gaps if it is 0."""
    cells = [_block(row.values.get(depth)) for depth in depths]
    return " ".join(cell * size for cell in cells) if size else "".join(cells)


def _block(p: float | None) -> str:
    """Return the block of a probability: those of 0 and 1 are for exactly 0 and 1."""
    if p is None:
        return " "
    if p in (0, 1):
        return ALL if p else NONE
    return BETWEEN[min(int(p * len(BETWEEN)), len(BETWEEN) - 1)]


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
