"""The columns that the tables of a study can have, by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vgsim._checks import COUNTED, RELATIVE
from vgsim._results.column import Column
from vgsim._results.tables import QUANTILES, quantile_column, theoretical
from vgsim._studies.columns import AXES, Tasked, described_texts, differing, label_columns
from vgsim._studies.nested import nested_columns
from vgsim._studies.result import Result
from vgsim.theory._prediction import Prediction, predict
from vgsim.typing import CountedEvent

__all__ = ["EVENTS", "MOMENTS", "THEORY", "Labels", "Place", "StudyColumns"]

EVENTS = COUNTED
DERIVED = ("engine", "init")  # often follow from the activation
MOMENTS = ("mean", "std")
THEORY = "_theory"
ERRORS = {"mean": 1.0, "std": 2.0}  # n times the squared standard error, std² over this


@dataclass(frozen=True)
class Place:
    """What a row is of: a result by its number, a layer, and a threshold if it needs one."""

    number: int
    layer: int
    threshold: float | None = None


class Labels:
    """The labels of the results of a study as columns.

    Attributes
    ----------
    labels : dict of str to list
        The fields and settings of the networks, with None where a network has no such field.
    apart : list of str
        The labels that differ between networks, and the depth.
    """

    def __init__(self, study: Sequence[Tasked]) -> None:
        self._tasks = [result.task for result in study]
        self.labels, self.apart = label_columns(study, printed=True), differing(study)
        self._first_list = ""
        if "layers" in self.apart and (nested := nested_columns(study)) is not None:
            self.apart = [*self.apart, *nested]
            self._first_list = next(x for x in self.labels["layers"] if x is not None)
            parts = [
                nested if name == "layers" else {name: self.labels[name]} for name in self.labels
            ]
            self.labels = {name: column for part in parts for name, column in part.items()}
        self.apart = [name for name in self.labels if name in self.apart]

    @cached_property
    def common(self) -> dict[str, list[Any]]:
        """The labels that do not differ, each said once: as one text, or by its parts."""
        common = {name: values for name, values in self.labels.items() if name not in self.apart}
        described = {name for task in self._tasks for name in described_texts(task.network)}
        for name in described:
            whole = name in self.apart or len(set(common.get(name, ()))) == 1
            for key in [key for key in common if key.startswith(f"{name}__") or key == name]:
                if whole == (key != name):
                    del common[key]
        if self._first_list:
            common["layers"] = [f"{self._first_list} in the first row with layers"]
        return common

    def follows(self, name: str, others: Sequence[str]) -> bool:
        """Return whether other labels determine a label, in this study."""
        known = [self.labels[other] for other in others if other in self.labels]
        keys = list(zip(*known, strict=True))
        return bool(keys) and len({*zip(keys, self.labels[name], strict=True)}) == len({*keys})

    @property
    def implied(self) -> list[str]:
        """Those of initialiser and engine that differ, but follow from the other labels."""
        found: list[str] = []
        for name in DERIVED:
            others = [other for other in self.apart if other not in (name, *found)]
            found += [name] if name in self.apart and self.follows(name, others) else []
        return found


class StudyColumns(Labels):
    """The columns of a study: labels of its networks, layer, threshold, statistics, theory."""

    def __init__(self, study: Sequence[Result], confidence_level: float = 0.95) -> None:
        super().__init__(study)
        self.study = study
        self.confidence_level = confidence_level

    @property
    def known(self) -> list[str]:
        """The names of all columns."""
        measured = [*EVENTS, *MOMENTS]
        statistics = ["n", *measured, *QUANTILES, *(f"{name}{THEORY}" for name in measured)]
        return [*self.labels, *AXES, *statistics]

    def need_threshold(self, names: Sequence[str]) -> bool:
        """Return whether one of the columns depends on a threshold."""
        return any(name.removesuffix(THEORY) in (*RELATIVE, "threshold") for name in names)

    def value(self, name: str, place: Place) -> Any:
        """Return the value of a label, the layer or the threshold at a place."""
        if name in AXES:
            return getattr(place, name)
        return self.labels[name][place.number]

    def column(self, name: str, places: Sequence[Place | None], beside: str = "") -> Column:
        """Return the column of a name at several places, None where there is no result.

        A column of theory to the right of that of the name `beside` is headed by one word.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.table_columns import Place, StudyColumns
        >>> study = vgsim.collect([vgsim.MLP(5, 8)], max_samples=1000)
        >>> column = StudyColumns(study).column("vanishing", [Place(0, 0, 1e-6), None])
        >>> [str(cell) for cell in column.cells]
        ['0 (< 0.004)', '-']
        """
        if name in self.labels or name in AXES:
            return Column(name, name, [p and self.value(name, p) for p in places])
        if name.endswith(THEORY):
            measured = self.column(name.removesuffix(THEORY), places)
            heading = "theory" if beside == measured.name else f"{measured.heading}, theory"
            return self._theory(measured, places, heading)
        if name in EVENTS:
            return self._probability(name, places)
        if name in MOMENTS:
            return self._moment(name, places)
        if name == "n":
            return Column("n", "n", [p and self.study[p.number].n for p in places])
        q = QUANTILES[name]
        values = [None if p is None else self._quantile(q, p) for p in places]
        return quantile_column(name, values)

    def _probability(self, event: CountedEvent, places: Sequence[Place | None]) -> Column:
        found: list[tuple[float | None, ...]] = []
        for place in places:
            found.append((None, None, None))
            if place is None or not (result := self.study[place.number]).n:
                continue
            relevant = None if event == "dead" else place.threshold
            if event == "dead" or relevant in result.tally.thresholds:
                p = result.probability(
                    event, place.layer, relevant, confidence_level=self.confidence_level
                )
                found[-1] = p.estimate, p.low, p.high
        values, low, high = ([one[i] for one in found] for i in range(3))
        return Column(event, f"P({event})", values, low, high)

    def _moment(self, name: str, places: Sequence[Place | None]) -> Column:
        """Return mean or std, whose standard error determines the digits."""
        found: list[tuple[float | None, ...]] = []
        for place in places:
            found.append((None, None, None))
            if place is None:
                continue
            result, layer = self.study[place.number], place.layer
            alive = result.n - result.tally.events("dead", layer)
            if alive < 1 + (name == "std"):
                continue
            value = getattr(result, name)(layer)
            error = result.std(layer) / math.sqrt(ERRORS[name] * alive) if alive > 1 else 0.0
            found[-1] = value, value - 2 * error, value + 2 * error
        values, low, high = ([one[i] for one in found] for i in range(3))
        return Column(name, name, values, low, high, intervals=False)

    def _quantile(self, q: float, place: Place) -> float | None:
        result = self.study[place.number]
        return float(result.quantile(q, place.layer)) if result.n else None

    def _theory(self, measured: Column, places: Sequence[Place | None], heading: str) -> Column:
        name = measured.name
        values: list[float | None] = []
        below: list[float | None] = []
        for place in places:
            known = Prediction() if place is None else self._prediction(place.number, place.layer)
            if name in MOMENTS:
                values.append(getattr(known, name))
            else:
                threshold = (place and place.threshold) or 1.0  # "dead" has none
                value, limit = known.said(name, threshold)
                values.append(value)
                below.append(limit)
        return theoretical(measured, values, below if name in RELATIVE else None, heading)

    def _prediction(self, number: int, layer: int) -> Prediction:
        """Return what theory says of a result; computed once."""
        if (number, layer) not in self._predictions:
            task = self.study[number].task
            self._predictions[number, layer] = predict(
                task.network, layer, task.batch_size, task.loss, task.inputs
            )
        return self._predictions[number, layer]

    @cached_property
    def _predictions(self) -> dict[tuple[int, int], Prediction]:
        return {}
