"""Points of plots of a study: one value with its interval and theory for each result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vgsim._checks import RELATIVE, TABULATED, THRESHOLD, brief, meant, value_error
from vgsim._domains import Choice
from vgsim._results.events import event_label, ratio_at
from vgsim._results.tables import QUANTILES
from vgsim._statistics.quantiles import interval_ranks
from vgsim._studies.columns import AXES, Tasked, label_columns, words
from vgsim._studies.nested import nested_columns
from vgsim._studies.result import Result
from vgsim.theory._prediction import Prediction, predict

__all__ = [
    "PROBABILITIES",
    "VALUES",
    "Point",
    "check_axes",
    "columns_of",
    "measured",
    "points_of",
    "refuse_clashes",
    "theoretical",
    "value_label",
]

PROBABILITIES = (*TABULATED, "healthy")
VALUES = (*PROBABILITIES, "mean", "std", *QUANTILES)
LEVEL = 0.95
_VALUE = Choice(VALUES)


@dataclass(frozen=True)
class Point:
    """A result at one layer and threshold, and its place in a plot.

    Attributes
    ----------
    x, hue, y : int, float, str or None
        The values of the fields on the axes; None if the network has no such field.
    result : Result
    layer : int
    threshold : float or None
        None for values that have no threshold.
    """

    x: Any
    hue: Any
    y: Any
    result: Result
    layer: int
    threshold: float | None

    @property
    def prediction(self) -> Prediction:
        """The theory of R_l of the network."""
        task = self.result.task
        return predict(task.network, self.layer, task.batch_size, task.loss, task.inputs)


def columns_of(study: Sequence[Tasked]) -> dict[str, list[Any]]:
    """Return the fields and settings of the networks by name, those inside lists of layers too.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.points import columns_of
    >>> study = vgsim.collect(vgsim.sweep(vgsim.MLP, width=8, depth=[5, 50]), max_samples=1000)
    >>> columns_of(study)["depth"]
    [5, 50]
    """
    return label_columns(study, printed=True) | (nested_columns(study) or {})


def points_of(
    study: Sequence[Result],
    x: str,
    hue: str | None = None,
    y: str | None = None,
    value: str = "vanishing",
    layer: int | None = None,
    threshold: float | None = None,
) -> list[Point]:
    """Return one point per result, or per result, layer and threshold if those are on an axis.

    Raises
    ------
    TypeError, ValueError
        As :meth:`Study.plot`: an argument is unknown, or several results have the same place.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.points import points_of
    >>> study = vgsim.collect(vgsim.sweep(vgsim.MLP, width=8, depth=[5, 50]), max_samples=1000)
    >>> [(point.x, point.layer, point.threshold) for point in points_of(study, "depth")]
    [(5, 0, 1e-06), (50, 0, 1e-06)]
    """
    _VALUE.check("value", value)
    if not study:
        raise ValueError("a plot needs one or more networks, the study has none")
    columns = columns_of(study)
    axes = {"x": x, "hue": hue, "y": y}
    taken = check_axes(axes, [*columns, *AXES])
    needed = value in RELATIVE
    if not needed and ("threshold" in taken or threshold is not None):
        name = "threshold" if threshold is not None else _axis(axes, "threshold")
        raise value_error(name, f"does not apply to value {value!r}, which has no threshold")
    for name, given in (("layer", layer), ("threshold", threshold)):
        if name in taken and given is not None:
            raise value_error(name, f"must be None, as {_axis(axes, name)} is {name!r}")
    points = []
    for i, result in enumerate(study):
        for at in result.task.layers if "layer" in taken else [_layer(result, layer)]:
            levels: Sequence[float | None] = [None]
            if needed:
                tally = result.tally
                by_axis = "threshold" in taken
                levels = tally.thresholds if by_axis else [tally.threshold(threshold)]
            for cut in levels:
                own = {name: column[i] for name, column in columns.items()}
                own |= {"layer": at, "threshold": cut}
                at_x, at_hue, at_y = (None if name is None else own[name] for name in axes.values())
                points.append(Point(at_x, at_hue, at_y, result, at, cut))
    numbers = {id(result): i for i, result in enumerate(study)}
    places = [(point.x, point.hue, point.y) for point in points]
    refuse_clashes(places, [numbers[id(point.result)] for point in points], axes, columns)
    return points


def check_axes(axes: Mapping[str, str | None], known: Sequence[str]) -> list[str]:
    """Return the fields of a plot by the arguments x, hue and y; refuse unknown ones.

    Examples
    --------
    >>> from vgsim._studies.points import check_axes
    >>> check_axes({"x": "depth", "hue": "gain", "y": None}, ["depth", "gain"])
    ['depth', 'gain']
    """
    for argument, name in axes.items():
        if name is not None or argument == "x":
            _check_field(argument, name, known)
    if axes["hue"] is not None and axes["y"] is not None:
        problem = f"must be None with y, which draws a heat map, got {brief(axes['hue'])}"
        raise value_error("hue", problem)
    taken = [name for name in axes.values() if name is not None]
    if len(set(taken)) < len(taken):
        raise value_error("x", f"must be another field than hue or y, got {brief(taken)}")
    return taken


def _check_field(argument: str, name: object, known: Sequence[str]) -> None:
    """Refuse a name that is no field of any network."""
    if name in known:
        return
    near = meant(name, known) if isinstance(name, str) else None
    hint = f"did you mean {near!r}?" if near else f"those are {', '.join(sorted(known))}"
    raise value_error(
        argument,
        f"must be a field of a network of the study or a setting, got {brief(name)}: {hint}",
    )


def _axis(axes: dict[str, str | None], name: str) -> str:
    """Return the argument that has a name."""
    return next(argument for argument, given in axes.items() if given == name)


def _layer(result: Result, layer: int | None) -> int:
    """Return the tallied layer of a plot, by default that of the methods of `Result`."""
    chosen = result._layer(layer)
    return int(result.tally.layers[result.tally.column(chosen)])


def refuse_clashes(
    places: Sequence[tuple[Any, Any, Any]],
    numbers: Sequence[int],
    axes: Mapping[str, str | None],
    columns: Mapping[str, list[Any]],
) -> None:
    """Refuse results with the same place, and name the fields in which they differ.

    `numbers` are the rows of the columns to which the places belong.
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, number in zip(places, numbers, strict=True):
        groups.setdefault(place, []).append(number)
    clashing = [(place, rows) for place, rows in groups.items() if len(rows) > 1]
    if not clashing:
        return
    place, rows = clashing[0]
    apart = [
        name
        for name, column in columns.items()
        if any(len({column[i] for i in rows}) > 1 for _, rows in clashing)
    ]
    where = ", ".join(
        f"{name} {words(value)}"
        for name, value in zip(axes.values(), place, strict=True)
        if name is not None
    )
    free = "hue" if axes["hue"] is None and axes["y"] is None else "y"
    said = f"and hue must tell the results apart: {len(rows)} results have {where}"
    if not apart:
        raise value_error("x", f"{said}, and do not differ in any field")
    remedies = [f"give {free}={apart[0]!r}"] if axes[free] is None else []
    remedies += [
        f"plot a part, such as study.find({apart[0]}={columns[apart[0]][rows[0]]!r}) or --where"
    ]
    raise value_error("x", f"{said}; they differ in {', '.join(apart)}: {' or '.join(remedies)}")


def measured(point: Point, value: str) -> tuple[float, float, float]:
    """Return estimate, low and high of a value; NaN for what the samples do not tell.

    The limits are of 95 % confidence. Those of the mean are normal; those of a quantile are order
    statistics, within 1/64 of a decade; the standard deviation has none.
    """
    result, unknown = point.result, math.nan
    if not result.n:
        return unknown, unknown, unknown
    if value in PROBABILITIES:
        p = result.probability(value, point.layer, point.threshold)
        return p.estimate, p.low, p.high
    if value in QUANTILES:
        return _quantile(result, QUANTILES[value], point.layer)
    alive = result.n - result.tally.events("dead", point.layer)
    if alive < 2:
        return (
            (result.mean(point.layer) if alive and value == "mean" else unknown),
            unknown,
            unknown,
        )
    std = result.std(point.layer)
    if value == "std":
        return std, unknown, unknown
    from scipy.special import ndtri

    mean, half = result.mean(point.layer), float(-ndtri((1 - LEVEL) / 2)) * std / math.sqrt(alive)
    return mean, mean - half, mean + half


def _quantile(result: Result, q: float, layer: int) -> tuple[float, float, float]:
    """Return a quantile of R_l with limits that are order statistics; NaN if they are infinite."""
    n = result.n
    limits = [
        float(result.quantile((rank - 1) / (n - 1), layer))
        if n > 1 and 1 <= rank <= n
        else math.nan
        for rank in interval_ranks(n, q, LEVEL)
    ]
    low, high = (limit if math.isfinite(limit) else math.nan for limit in limits)
    return float(result.quantile(q, layer)), low, high


def theoretical(point: Point, value: str) -> float:
    """Return a value in theory, NaN if no theory applies: see `predict`."""
    found: float | None = None
    if value in ("mean", "std"):
        found = getattr(point.prediction, value)
    elif value in PROBABILITIES:
        found = point.prediction.probability(
            value, THRESHOLD if point.threshold is None else point.threshold
        )
    return math.nan if found is None else found


def value_label(value: str, layer: int | None, threshold: float | None) -> str:
    """Return the label of an axis for a value; None for what differs between points.

    Examples
    --------
    >>> from vgsim._studies.points import value_label
    >>> value_label("vanishing", 0, 1e-6), value_label("median", None, None)
    ('$P(R_0 < -6)$', 'median of $R_l$, decades')
    """
    place = "l" if layer is None else str(layer)
    if value in QUANTILES or value in ("mean", "std"):
        name = f"{100 * QUANTILES[value]:g} % quantile" if value in ("q05", "q95") else value
        return f"{name} of ${ratio_at(place)}$, decades"
    return f"P({value})" if threshold is None else event_label(value, place, threshold)
