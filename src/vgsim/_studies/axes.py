"""The fields that tell the networks of a study apart, as axes of a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vgsim._studies.columns import Tasked, is_number
from vgsim._studies.points import columns_of

__all__ = ["SuggestedAxes", "suggested_axes"]

DERIVED = ("init", "layers")  # of several fields that do as well, others are better known


@dataclass(frozen=True)
class SuggestedAxes:
    """Fields that together tell all results apart.

    Attributes
    ----------
    x : str
        The depth, if it differs; else the numeric field with most values, if there is one.
    hue : str or None
        None if x alone tells the results apart.
    others : tuple of str
        Further fields, which need a plot for each of their values.
    """

    x: str
    hue: str | None
    others: tuple[str, ...]


def suggested_axes(
    study: Sequence[Tasked], x: str | None = None, hue: str | None = None, y: str | None = None
) -> SuggestedAxes:
    """Return axes for a plot of a study, completing those that are given.

    Fields that other fields determine, such as an initialiser that follows from the activation, are
    not used. Curves are distinguished by words, such as the activation, before numbers.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.axes import suggested_axes
    >>> networks = vgsim.sweep(vgsim.MLP, width=8, activation=["tanh", "relu"], depth=[5, 10])
    >>> suggested_axes(vgsim.collect(networks, max_samples=1000))
    SuggestedAxes(x='depth', hue='activation', others=())
    """
    columns = columns_of(study)
    apart = [name for name, column in columns.items() if len(set(column)) > 1]
    chosen = [x or _first(apart, columns), *(name for name in (y, hue) if name)]
    fixed = len(chosen)
    rows = range(len(study))
    while (told := _told(chosen, columns, rows)) < len(study):
        best = max(
            apart,
            key=lambda name: (_told([*chosen, name], columns, rows), not name.endswith(DERIVED)),
            default=None,
        )
        if best is None or _told([*chosen, best], columns, rows) == told:
            break
        chosen.append(best)
    added = sorted(chosen[fixed:], key=lambda name: _numeric(columns[name]))  # words first
    if hue is None and y is None and added:
        hue = added.pop(0)
    return SuggestedAxes(chosen[0], hue, tuple(added))


def _first(apart: Sequence[str], columns: dict[str, list[Any]]) -> str:
    """Return the field for the x axis."""
    if "depth" in apart or not apart:
        return "depth"
    numeric = [name for name in apart if _numeric(columns[name])]
    return max(numeric or apart, key=lambda name: len(set(columns[name])))


def _numeric(column: Sequence[Any]) -> bool:
    """Return whether all values of a field are numbers."""
    return all(map(is_number, column))


def _told(names: Sequence[str], columns: dict[str, list[Any]], rows: range) -> int:
    """Return how many combinations of values the fields have; unknown names have one value."""
    known = [columns[name] for name in names if name in columns]
    return len({tuple(column[i] for column in known) for i in rows})
