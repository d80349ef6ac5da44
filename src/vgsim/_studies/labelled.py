"""Studies as labelled data of xarray and pandas."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import TABULATED, require_memory
from vgsim._domains import checked_int
from vgsim._results.labelled import imported
from vgsim._studies.columns import label_columns, statistics
from vgsim._studies.result import Result
from vgsim._studies.tally import BINS, DTYPES
from vgsim.typing import Event

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["to_dataframe", "to_xarray"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
LOG10 = "log10"
R = "R_l = log10 of the norm of G_l over that of G_D"


def to_dataframe(study: Sequence[Result], provenance: Mapping[str, str]) -> pandas.DataFrame:
    """Return `study` as a ``pandas.DataFrame``: see :meth:`Study.to_dataframe`."""
    pandas = imported("pandas", "to_dataframe")
    places = [
        (i, layer, threshold)
        for i, result in enumerate(study)
        for layer in result.task.layers
        for threshold in result.task.thresholds
    ]
    columns = {
        name: [column[i] for i, _, _ in places] for name, column in label_columns(study).items()
    }
    columns["layer"] = [layer for _, layer, _ in places]
    columns["threshold"] = [threshold for _, _, threshold in places]
    rows = [statistics(study[i], layer, threshold) for i, layer, threshold in places]
    for name in rows[0] if rows else ():
        columns[name] = [math.nan if row[name] is None else row[name] for row in rows]
    frame = pandas.DataFrame(columns)
    frame.attrs = _attributes(provenance)
    return frame


def to_xarray(
    study: Sequence[Result], provenance: Mapping[str, str], bins: int = 4096
) -> xarray.Dataset:
    """Return `study` as an ``xarray.Dataset``: see :meth:`Study.to_xarray`."""
    xarray = imported("xarray", "to_xarray")
    if not study:
        raise ValueError("a Dataset needs one or more networks, the study has none")
    layers, thresholds = _common(study, "layers"), _common(study, "thresholds")
    grid, histogram = _histograms(study, len(layers), checked_int("bins", bins, 1, 2**31 - 1))
    low, high = grid
    in_task = {
        name: ("task", _column(column), {"long_name": f"{name.replace('__', ' ')} of the network"})
        for name, column in label_columns(study).items()
    }
    coordinates: dict[str, Any] = {
        "task": ("task", np.arange(len(study)), {"long_name": "number of the network"}),
        "layer": ("layer", np.array(layers), {"long_name": "layer l, 0 is the input"}),
        "threshold": ("threshold", np.array(thresholds), {"long_name": "threshold of the ratio"}),
        "quantile": ("quantile", np.array(QUANTILES), {"long_name": "probability of the quantile"}),
        "format": ("format", _column(list(DTYPES)), {"long_name": "number format"}),
        "bin": ("bin", (low + high) / 2, {"long_name": "centre of the bin", "units": LOG10}),
        "bin_low": ("bin", low, {"long_name": "R_l of the bin is at least", "units": LOG10}),
        "bin_high": ("bin", high, {"long_name": "R_l of the bin is below", "units": LOG10}),
        **in_task,
        "network": (
            "task",
            _column([result.network.canonical_json() for result in study]),
            {"long_name": "canonical JSON of the network"},
        ),
        "samples": (
            "task",
            _column([json.dumps(result.ranges) for result in study]),
            {"long_name": "samples, as JSON: [seed, first index, end]"},
        ),
    }
    variables = {
        "n": ("task", _per_task(study, lambda result: result.n), _meaning("number of samples")),
        **_counts(study),
        **_moments(study),
        **_probabilities(study),
        "histogram": (
            ("task", "layer", "bin"),
            histogram,
            _meaning("number of samples, not dead, with R_l in the bin"),
        ),
    }
    return xarray.Dataset(variables, coordinates, _attributes(provenance))


def _counts(study: Sequence[Result]) -> dict[str, Any]:
    """Return the variables of the counted events."""
    at_layer, at_threshold = ("task", "layer"), ("task", "layer", "threshold")
    in_format = ("task", "layer", "format")
    meanings = {
        "dead": (at_layer, "number of samples with G_l = 0"),
        "vanishing": (at_threshold, "number of samples with ratio < threshold, including dead"),
        "exploding": (at_threshold, "number of samples with ratio > 1/threshold"),
        "underflow": (in_format, "number of samples below the range of the format"),
        "overflow": (in_format, "number of samples above the range of the format"),
    }
    return {
        f"n_{event}": (
            dims,
            _per_task(study, lambda result, event=event: getattr(result.tally, event)),  # type: ignore[misc]
            _meaning(meaning),
        )
        for event, (dims, meaning) in meanings.items()
    }


def _moments(study: Sequence[Result]) -> dict[str, Any]:
    """Return mean, standard deviation and quantiles of R_l; NaN where samples are too few."""

    def moment(name: str, needed: int) -> NDArray[np.float64]:
        return _per_task(
            study,
            lambda result: [
                getattr(result, name)(layer) if result.n - dead >= needed else math.nan
                for layer, dead in zip(result.task.layers, result.tally.dead, strict=True)
            ],
        )

    quantiles = _per_task(
        study,
        lambda result: [
            result.quantile(QUANTILES, layer) if result.n else np.full(len(QUANTILES), math.nan)
            for layer in result.task.layers
        ],
    )
    of_living = f"{R}, over samples that are not dead"
    return {
        "mean": (("task", "layer"), moment("mean", 1), _meaning(f"mean of {of_living}", LOG10)),
        "std": (
            ("task", "layer"),
            moment("std", 2),
            _meaning(f"standard deviation of {of_living}", LOG10),
        ),
        "quantiles": (
            ("task", "layer", "quantile"),
            quantiles,
            _meaning(f"quantiles of {R}, -inf where dead", LOG10),
        ),
    }


def _probabilities(study: Sequence[Result]) -> dict[str, Any]:
    """Return the estimates and 95 % limits of the probabilities of the events."""
    found: dict[str, Any] = {}
    for event in TABULATED:
        dims = ("task", "layer", "threshold")[: 2 if event == "dead" else 3]

        def estimates(result: Result, event: Event = event) -> list[Any]:
            at = [None] if event == "dead" else result.task.thresholds
            return [
                [_interval(result, event, layer, threshold) for threshold in at]
                for layer in result.task.layers
            ]

        values = _per_task(study, estimates)
        for i, (end, words) in enumerate(
            (("", ""), ("_low", "lower 95 % limit of "), ("_high", "upper 95 % limit of "))
        ):
            chosen = values[..., 0, i] if event == "dead" else values[..., i]
            found[event + end] = dims, chosen, _meaning(f"{words}the probability of {event}")
    return found


def _interval(
    result: Result, event: Event, layer: int, threshold: float | None
) -> tuple[float, float, float]:
    if not result.n:
        return (math.nan,) * 3
    p = result.probability(event, layer, threshold)
    return p.estimate, p.low, p.high


def _histograms(
    study: Sequence[Result], k: int, most: int
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], NDArray[np.int64]]:
    """Return all histograms on one grid of at most `most` bins: lower and upper edges, counts."""
    occupied = [bins for result in study for bins, _ in result.tally.histogram if bins.size]
    least = min((int(bins[0]) for bins in occupied), default=0)
    largest = max((int(bins[-1]) for bins in occupied), default=0)
    shift = 0
    while (largest >> shift) - (least >> shift) >= most:
        shift += 1
    first, size = least >> shift, (largest >> shift) - (least >> shift) + 1
    require_memory(
        8 * len(study) * k * size,
        f"a Dataset with histograms of {size} bins for {len(study)} networks at {k} layers",
        f"lower bins = {most}, or take fewer networks at a time",
    )
    counts = np.zeros((len(study), k, size), dtype=np.int64)
    for i, result in enumerate(study):
        for j, (bins, number) in enumerate(result.tally.histogram):
            np.add.at(counts[i, j], (bins >> shift) - first, number)
    edges = (first + np.arange(size + 1, dtype=np.float64)) * 2**shift / BINS
    return (edges[:-1], edges[1:]), counts


def _common(study: Sequence[Result], name: str) -> tuple[Any, ...]:
    """Return the layers or thresholds of all networks, if they are the same."""
    first = getattr(study[0].task, name)
    for result in study:
        if (other := getattr(result.task, name)) != first:
            raise ValueError(
                f"a Dataset needs the same {name} for all networks, got {first} for "
                f"{study[0].network!r} and {other} for {result.network!r}; select networks with "
                f"the same {name} by find(), or use to_dataframe()"
            )
    return tuple(first)


def _per_task(study: Sequence[Result], value: Callable[[Result], Any]) -> NDArray[Any]:
    return np.array([value(result) for result in study])


def _column(values: list[Any]) -> NDArray[Any]:
    """Return an array of numbers, with NaN for None, or of strings, with "" for None."""
    if all(value is None or isinstance(value, (int, float)) for value in values):
        return np.array([math.nan if value is None else value for value in values])
    words = ["" if value is None else str(value) for value in values]
    return np.array(words, dtype=object)


def _meaning(long_name: str, units: str = "1") -> dict[str, str]:
    return {"long_name": long_name, "units": units}


def _attributes(provenance: Mapping[str, str]) -> dict[str, str]:
    """Return the provenance of the study as netCDF attributes."""
    return {f"provenance_{name}": value for name, value in provenance.items()}
