"""The arrays and settings of a training: dimensions, meaning and allowed values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import COUNTERS, INDICES, brief, type_error, value_error
from vgsim._domains import Boolean, Choice, Domain, Integer, Number
from vgsim._networks.description import Network, compact_json
from vgsim._networks.parameter_shapes import parameter_program, parameter_shapes
from vgsim._results.quantities import Recorded
from vgsim.typing import DType, TrainingRecord

__all__ = [
    "SETTING_DOMAINS",
    "TRAINED",
    "TRAINING_RECORDS",
    "Parameters",
    "Setting",
    "Trained",
    "TrainedQuantity",
    "check_parameters",
    "check_places",
    "check_trained",
    "checked_setting",
]

A = TypeVar("A", bound=NDArray[Any])
V = TypeVar("V")
Floats = NDArray[np.float64]
Parameters = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TrainedQuantity:
    """Description of an array of `Training`."""

    dims: tuple[str, ...]
    record: TrainingRecord
    units: str
    meaning: str

    @property
    def logarithmic(self) -> bool:
        """Whether the values are logarithms."""
        return self.units == "log10"


_STEP = ("sample", "step")
_LAYER = (*_STEP, "layer")
_WEIGHTS = (*_STEP, "weight_layer")
TRAINED = {
    "loss": TrainedQuantity(_STEP, "loss", "1", "mean loss over the minibatch"),
    "accuracy": TrainedQuantity(
        _STEP, "accuracy", "1", "fraction of the minibatch that is classified correctly"
    ),
    "output_gradient": TrainedQuantity(_STEP, "gradient", "log10", "log10 of the norm of G_D"),
    "gradient": TrainedQuantity(_LAYER, "gradient", "log10", "log10 of the norm of G_l"),
    "activation": TrainedQuantity(_LAYER, "activation", "log10", "log10 of the RMS of X_l"),
    "weight_gradient": TrainedQuantity(
        _WEIGHTS, "weight_gradient", "log10", "log10 of the norm of dL/dW_l"
    ),
    "update_ratio": TrainedQuantity(
        _WEIGHTS, "update_ratio", "log10", "log10 of the norm of the step of W_l over that of W_l"
    ),
    "movement": TrainedQuantity(
        _WEIGHTS,
        "movement",
        "log10",
        "log10 of the norm of W_l minus its initial value over that of the latter",
    ),
}
TRAINING_RECORDS: tuple[TrainingRecord, ...] = get_args(TrainingRecord)


class Trained(Recorded[A]):
    """An attribute of `Training` that exists if the training recorded it."""

    def _remedy(self, samples: Any, recorded: str) -> str:
        name = TRAINED[self._name].record if self._name in TRAINED else self._name
        return f"needs {name!r} in train's record, which had {recorded}"


class _Word(Domain):
    """A string that is not empty."""

    def check(self, argument: str, value: Any, of: str = "") -> str:
        """Return `value`."""
        if isinstance(value, str) and value:
            return value
        raise type_error(argument, f"must be a string, got {brief(value)}", of)


class _Dict(Domain):
    """A dict of JSON types."""

    def check(self, argument: str, value: Any, of: str = "") -> dict[str, Any]:
        """Return `value` as a dict."""
        if isinstance(value, Mapping):
            return dict(value)
        raise type_error(argument, f"must be a dict, got {brief(value)}", of)


_COUNT = Integer(1, COUNTERS - 1)
SETTING_DOMAINS: dict[
    str, tuple[Domain, bool]
] = {  # the domain of each, and whether it may be None
    "steps": (_COUNT, False),
    "optimizer": (_Word(), False),
    "learning_rate": (Number("a finite number", math.isfinite), True),
    "batch_size": (_COUNT, False),
    "loss": (Choice(("cross_entropy", "mse")), False),
    "clip": (_Dict(), True),
    "biases": (Boolean(), False),
    "initial": (_Word(), False),
    "data": (_Word(), False),
    "rows": (Integer(1, INDICES), True),
    "dtype": (Choice[DType](get_args(DType)), False),
}


class Setting(Generic[V]):
    """An attribute of `Training` that is an item of its `setting`."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, training: Any, owner: type) -> V:
        if training is None:
            return self  # type: ignore[return-value]  # for documentation
        found: V = training.setting[self._name]
        return found

    def __set__(self, training: object, value: object) -> None:
        raise AttributeError(f"{self._name} is read-only")


def checked_setting(setting: Any) -> dict[str, Any]:
    """Return the settings of a training as a dict of JSON types; further items are kept.

    Raises
    ------
    TypeError, ValueError
        If one is missing or out of range.

    Examples
    --------
    >>> from vgsim._results.training_arrays import checked_setting
    >>> checked_setting({"steps": 100})
    Traceback (most recent call last):
    ValueError: setting must have the item 'optimizer'
    """
    if not isinstance(setting, Mapping) or not all(isinstance(name, str) for name in setting):
        raise type_error("setting", f"must be a mapping with names, got {brief(setting)}")
    found = dict(setting)
    for name, (domain, optional) in SETTING_DOMAINS.items():
        if name not in found:
            raise value_error("setting", f"must have the item {name!r}")
        if found[name] is None and optional:
            continue
        found[name] = domain.check(name, found[name], " of setting")
    try:
        compact_json(found)
    except (TypeError, ValueError) as error:
        raise type_error("setting", f"must be of JSON types: {error}") from error
    return found


def check_places(
    network: Network,
    index: NDArray[np.int64],
    steps: NDArray[np.int64],
    layers: NDArray[np.int64],
    updates: int,
) -> None:
    """Refuse indices of samples, recorded steps and layers that no training can have."""
    if index.ndim != 1 or not index.size or index[0] < 0 or np.any(index[1:] <= index[:-1]):
        raise value_error("index", "must be a vector of increasing ints >= 0, at least one")
    if index[-1] >= INDICES:
        raise value_error("index", f"must be below 2**56, got {index[-1]}")
    increasing = steps.ndim == 1 and steps.size and not np.any(steps[1:] <= steps[:-1])
    if not increasing or steps[0] != 0 or steps[-1] != updates - 1:
        problem = f"must be increasing ints from 0 to {updates - 1}, one less than setting['steps']"
        raise value_error("steps", f"{problem}, got {brief(steps.tolist())}")
    distinct = layers.ndim == 1 and len(set(layers.tolist())) == layers.size
    if not distinct or np.any((layers < 0) | (layers > network.depth)):
        problem = f"must be distinct ints from 0 to depth = {network.depth}"
        raise value_error("layers", f"{problem}, got {brief(layers.tolist())}")


def check_trained(arrays: Mapping[str, Floats], sizes: Mapping[str, int]) -> None:
    """Refuse arrays, by the names in `TRAINED`, that no training can have recorded.

    `sizes` are those of the dimensions by name.
    """
    for name in arrays.keys() & {"gradient", "output_gradient"}:
        if not {"gradient", "output_gradient"} <= arrays.keys():
            raise value_error(name, "must be given with both gradient and output_gradient")
    if "loss" not in arrays:
        raise value_error("loss", "must be given")
    for name, array in arrays.items():
        shape = tuple(sizes[dim] for dim in TRAINED[name].dims)
        if array.shape != shape:
            raise value_error(name, f"must have shape {shape}, got {array.shape}")
        if np.isnan(array).any():
            raise value_error(name, "must not be NaN")
    loss = arrays["loss"]
    gone = loss == math.inf
    if np.any(loss < 0) or np.any(gone[:, :-1] & ~gone[:, 1:]):
        raise value_error("loss", "must be >= 0, and inf at all steps after one at which it is inf")
    if "accuracy" in arrays and not np.all((arrays["accuracy"] >= 0) & (arrays["accuracy"] <= 1)):
        raise value_error("accuracy", "must be from 0 to 1")
    for name, array in arrays.items():
        if TRAINED[name].logarithmic and np.any(array[gone] != math.inf):
            raise value_error(name, "must be inf where loss is inf")


def check_parameters(
    network: Network, parameters: Mapping[str, NDArray[Any]], n: int, biases: bool
) -> None:
    """Refuse final parameters, by name, that are not those of n samples of the network."""
    shapes = parameter_shapes(parameter_program(network, biases=biases))
    if parameters.keys() != shapes.keys():
        problem = f"must be {', '.join(shapes)}"
        raise value_error("parameters", f"{problem}, got {', '.join(parameters) or 'none'}")
    for name, array in parameters.items():
        if array.shape != (n, *shapes[name]):
            problem = f"must have shape {(n, *shapes[name])}, got {array.shape}"
            raise value_error(f"parameters[{name!r}]", problem)
        if array.dtype not in (np.float32, np.float64):
            problem = f"must be float32 or float64, got {array.dtype}"
            raise type_error(f"parameters[{name!r}]", problem)
