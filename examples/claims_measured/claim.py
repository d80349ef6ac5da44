"""A claim, the cases in which it is measured, and the rule that makes a verdict of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

RARELY = (None, 0.1)  # a probability of which a sentence says "does not"
MOSTLY = (0.9, None)  # a probability of which a sentence says "does"


@dataclass(frozen=True)
class Case:
    """One measured number, and the region in which it agrees with the claim.

    Attributes
    ----------
    setting, quantity : str
        What was simulated, and which number of it was estimated.
    estimate, low, high : float or None
        The number and its interval; None is a limit that is infinite or was not reached.
    at_least, at_most : float or None
        The claim holds in this case if the number is between these; None is no limit.
    typical : bool
        Whether the setting is what the sentence is usually said of, or one beyond that.
    """

    setting: str
    quantity: str
    estimate: float | None
    low: float | None
    high: float | None
    at_least: float | None
    at_most: float | None
    typical: bool = True

    @property
    def outcome(self) -> str:
        """ "holds" if all of the interval agrees with the claim, "fails" if none, else "open"."""
        low = -float("inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        least = -float("inf") if self.at_least is None else self.at_least
        most = float("inf") if self.at_most is None else self.at_most
        if least <= low and high <= most:
            return "holds"
        return "fails" if high < least or low > most else "open"


def verdict(cases: Sequence[Case]) -> str:
    """Return the verdict on a claim: a function of the outcomes alone.

    "depends" if a typical case holds and another fails; otherwise "undecided" if a typical case is
    open; "false" if all typical cases fail; "true" if all cases hold; "true with conditions" if all
    typical cases hold and another case does not.
    """
    typical = {case.outcome for case in cases if case.typical}
    if not typical:
        raise ValueError("a verdict needs one or more typical cases")
    if {"holds", "fails"} <= typical:
        return "depends"
    if "open" in typical:
        return "undecided"
    if typical == {"fails"}:
        return "false"
    return "true" if {case.outcome for case in cases} == {"holds"} else "true with conditions"


@dataclass(frozen=True)
class Figure:
    """What a figure of the page shows, as data.

    Attributes
    ----------
    kind : {"curve", "probability", "qq", "heatmap", "points"}
        The function of figures.py that draws it.
    caption, xlabel, ylabel : str
    series : list of dict
        The data: a curve, a column of values, a map or a point each.
    options : dict
        Scales and limits of the axes, and lines to draw.
    """

    kind: str
    caption: str
    xlabel: str
    ylabel: str
    series: list[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)


Found = tuple[list[Case], Figure]
Measure = Callable[[Any], Found]


@dataclass(frozen=True)
class Claim:
    """A sentence of the textbooks and the function that measures it.

    `remark` says what was measured and where it holds; "{0}" in it is the number of the first case,
    "{1}" that of the second, and so on.
    """

    title: str
    topic: str
    sentence: str
    remark: str
    measure: Measure

    @property
    def name(self) -> str:
        """The title as the anchor of a heading and an argument of the command."""
        return slug(self.title)


def slug(title: str) -> str:
    """Return the anchor of a heading of Markdown."""
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


def topic(name: str) -> Callable[[str, str, str], Callable[[Measure], Claim]]:
    """Return the decorator `claim(title, sentence, remark)` of the functions of a topic."""

    def claim(title: str, sentence: str, remark: str) -> Callable[[Measure], Claim]:
        return partial(Claim, title, name, sentence, remark)

    return claim


def stored(cases: Sequence[Case], figure: Figure) -> dict[str, Any]:
    """Return cases and figure as JSON types."""
    return {"cases": [asdict(case) for case in cases], "figure": asdict(figure)}


def read(record: dict[str, Any]) -> Found:
    """Return the cases and the figure of a stored record."""
    return [Case(**case) for case in record["cases"]], Figure(**record["figure"])
