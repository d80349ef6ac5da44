"""Numbers of a paper beside those that vgsim finds, and the verdict on each.

A script of this folder describes a `Paper`, yields its `Number`s and draws a figure; `main` prints
the table and stores both, and page.py makes docs/papers.md of what was stored.
"""

import argparse
import importlib.util
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

import vgsim
from vgsim.typing import Event

DOCS = Path(__file__).parents[2] / "docs"
LEVEL = 0.99  # of all intervals
DECADE = 2 * math.log(10)  # ln ‖G‖² per decade of ‖G‖
SIZE = (3.4, 2.6)  # of one panel of a figure, in inches

Floats: TypeAlias = NDArray[np.floating[Any]]
Interval: TypeAlias = tuple[float, float, float]  # an estimate and the limits of its interval
Figure: TypeAlias = Any  # of matplotlib, which is imported when a figure is drawn
Axes: TypeAlias = Any


@dataclass(frozen=True)
class Number:
    """A number of a paper, and the measured one with its interval.

    `relation` is what the paper says of the number: "=", or "<" or ">" for a bound, or "~" if its
    number is of a limit or a setting other than the simulated one, so that no verdict on the paper
    follows. `accuracy` is that of the paper's number: half a unit of its last digit, or the terms
    that a limit neglects.
    `exact` is the value without simulation at the simulated width and depth, and `wide` that of
    infinite width, if one of them is known.
    """

    what: str
    where: str
    paper: float
    ours: float
    low: float
    high: float
    relation: str = "="
    accuracy: float = 0.0
    exact: float | None = None
    wide: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the interval agrees with the paper, or by how much it differs."""
        if self.relation == "~":
            return f"compared: {self.difference}"
        if self.relation == "=":
            near = self.low - self.accuracy <= self.paper <= self.high + self.accuracy
            return "agrees" if near else f"differs by {self.difference}"
        sign = 1 if self.relation == "<" else -1
        nearest, farthest = sorted((sign * self.low, sign * self.high))
        limit = sign * self.paper + self.accuracy
        return "holds" if farthest <= limit else "fails" if nearest > limit else "undecided"

    @property
    def difference(self) -> str:
        """The deviation from the paper: relative, or a factor, or absolute from 0."""
        if not self.paper:
            return f"{self.ours:+.2g}"
        ratio = self.ours / self.paper
        return (
            f"a factor of {ratio:.3g}" if not 0.5 <= ratio <= 2 else f"{100 * (ratio - 1):+.2g} %"
        )

    @property
    def contains_exact(self) -> bool | None:
        """Whether the interval contains the exact value, up to rounding."""
        if self.exact is None:
            return None
        rounding = 1e-6 * abs(self.exact)
        return self.low - rounding <= self.exact <= self.high + rounding


@dataclass(frozen=True)
class Paper:
    """A paper: its key is the name of the script, the JSON and the figure."""

    key: str
    title: str
    reference: str
    setting: str  # what is simulated
    remark: str  # what the comparison shows
    caption: str = ""  # of the figure


Numbers: TypeAlias = Iterator[Number]


def number(what: str, where: str, paper: float, found: Interval, **more: Any) -> Number:
    """Return the Number of an estimate and its interval."""
    ours, low, high = map(float, found)
    return Number(what, where, float(paper), ours, low, high, **more)


def mean(values: ArrayLike) -> Interval:
    """Return the mean and Student's interval."""
    x = np.asarray(values, dtype=float)
    half = float(stats.t.ppf((1 + LEVEL) / 2, x.size - 1) * x.std(ddof=1) / math.sqrt(x.size))
    return x.mean(), x.mean() - half, x.mean() + half


def variance(values: ArrayLike) -> Interval:
    """Return the variance and its interval, by the variance of the squared deviations."""
    x = np.asarray(values, dtype=float)
    return mean((x - x.mean()) ** 2 * x.size / (x.size - 1))


def function(f: Callable[..., float], *columns: ArrayLike) -> Interval:
    """Return f of the means of paired columns and its interval, by the jackknife of groups."""
    paired = [np.asarray(column, dtype=float) for column in columns]
    k = min(50, len(paired[0]))
    parts = [np.array([g.mean(axis=0) for g in np.array_split(c, k)]) for c in paired]
    value = f(*(c.mean(axis=0) for c in paired))
    left = np.array([f(*(np.delete(p, i, axis=0).mean(axis=0) for p in parts)) for i in range(k)])
    spread = math.sqrt((k - 1) / k * np.sum((left - left.mean()) ** 2))
    half = float(stats.t.ppf((1 + LEVEL) / 2, k - 1)) * spread
    return value, value - half, value + half


def probability(samples: vgsim.Samples, event: Event, threshold: float = 1e-6) -> Interval:
    """Return the probability of an event at the input and its interval, Clopper and Pearson's."""
    p = samples.probability(event, 0, threshold, None, LEVEL, "exact")
    return p.estimate, p.low, p.high


def proportion(count: int, size: int) -> Interval:
    """Return a share of networks and its interval, Wilson's."""
    found = stats.binomtest(count, size).proportion_ci(LEVEL, method="wilson")
    return count / size, found.low, found.high


def along(found: Sequence[Interval], method: str, level: float = LEVEL) -> vgsim.Estimate:
    """Return the intervals along a curve as one estimate of arrays."""
    middle, low, high = np.array(found, dtype=float).T
    return vgsim.Estimate(middle, low, high, level, method)


def log_square(samples: vgsim.Samples, layer: int = 0) -> Floats:
    """Return X = ln(‖G_l‖²/‖G_D‖²) of the networks that are not dead."""
    ratio = samples.log10_ratio[:, samples.column(layer)]
    return DECADE * ratio[np.isfinite(ratio)]


def shown(value: float, half: float) -> str:
    """Return a number with the digits that half the width of its interval supports."""
    if not half or half < 1e-9 * abs(value):
        return f"{value:.6g}"
    if not value:
        return "0"
    decimals = 1 - math.floor(math.log10(half))
    if abs(value) < 1e-3 or abs(value) >= 1e6:
        return f"{value:.{max(0, decimals + math.floor(math.log10(abs(value))))}e}"
    return f"{round(value, decimals) + 0.0:.{max(0, decimals)}f}"


def row(n: Number) -> tuple[str, ...]:
    """Return the cells of a table: what, where, paper, ours, interval, theory, verdict."""
    half = (n.high - n.low) / 2
    interval = f"{shown(n.low, half)} to {shown(n.high, half)}" if half > 0 else "none"
    sign = {"=": "", "~": "", "<": "≤ ", ">": "≥ "}[n.relation]
    accuracy = f" ± {n.accuracy:.1g}" if n.accuracy > 1e-6 else ""
    theory = "" if n.wide is None else f"≈ {n.wide:.6g}"
    theory = theory if n.exact is None else f"{n.exact:.6g}"
    paper = f"{sign}{n.paper:.6g}{accuracy}"
    return n.what, n.where, paper, shown(n.ours, half), interval, theory, n.verdict


def main(
    paper: Paper,
    numbers: Callable[[bool], Numbers],
    picture: Callable[[bool], Figure] | None = None,
) -> None:
    """Print the table of a paper, and store it and its figure."""
    parser = argparse.ArgumentParser(description=paper.title)
    parser.add_argument("--quick", action="store_true", help="fewer networks; stores nothing")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="store in it, default docs/")
    given = parser.parse_args()
    folder = given.out or (None if given.quick else DOCS)
    found = []
    print(f"{paper.title}\n{paper.reference}\n")
    for one in numbers(given.quick):
        what, where, *cells, verdict = row(one)
        print(f"{what}  [{where}]\n    paper {cells[0]}   here {cells[1]} ({cells[2]})", end="")
        print((f"   theory {cells[3]}" if cells[3] else "") + f"   {verdict}", flush=True)
        found.append(one)
    if folder is None:
        return
    results = folder / "results" / "papers"
    results.mkdir(parents=True, exist_ok=True)
    if picture and importlib.util.find_spec("matplotlib"):
        _draw(picture, folder / "figures" / "papers" / f"{paper.key}.svg", given.quick)
    stored = {
        "paper": asdict(paper),
        "figure": picture is not None,
        "confidence_level": LEVEL,
        "vgsim": vgsim.__version__,
        "numbers": [asdict(one) for one in found],
    }
    text = json.dumps(stored, indent=1, ensure_ascii=False, allow_nan=False)
    (results / f"{paper.key}.json").write_text(text + "\n")


def _draw(picture: Callable[[bool], Figure], path: Path, quick: bool) -> None:
    import matplotlib as mpl

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        picture(quick).savefig(path, metadata={"Date": None})


def panels(count: int = 1) -> tuple[Figure, Axes]:
    """Return a figure with so many panels in a row, and their axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] * count, SIZE[1]), layout="constrained")
    return figure, figure.subplots(1, count)


def legend(ax: Axes, **options: Any) -> None:
    """Draw the legend again, with all lines of a figure, or at another place."""
    ax.legend(fontsize="small", framealpha=0.8, edgecolor="none", **options)
