"""The events of a gradient, such as vanishing: their conditions and checks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._checks import (
    EVENTS,
    RANGE,
    RELATIVE,
    THRESHOLD,
    brief,
    checked_dtype,
    plain,
    type_error,
    value_error,
)
from vgsim._domains import Choice, check_threshold
from vgsim.typing import Event, NumberFormat

__all__ = [
    "LOG10_RANGE",
    "Condition",
    "checked_event",
    "column_of",
    "condition",
    "event_in_words",
    "event_label",
    "limits_in_words",
    "ratio_at",
    "require_living",
]

# log10 of half the smallest subnormal number, and of the largest finite number
LOG10_RANGE: dict[NumberFormat, tuple[float, float]] = {
    "float16": (-25 * math.log10(2), math.log10(65504)),
    "bfloat16": (-134 * math.log10(2), math.log10((2 - 2**-7) * 2.0**127)),
    "float32": (-150 * math.log10(2), math.log10((2 - 2**-23) * 2.0**127)),
}
_EVENT = Choice(EVENTS)


class Condition(NamedTuple):
    """An event as a condition on one quantity of a sample at a layer.

    quantity
        "ratio", R_l = log10(‖G_l‖/‖G_D‖), or "rms_min" or "rms_max" of `Samples`.
    holds
        Maps an array of the quantity to a bool array: whether the event happened.
    distance
        Maps an array of the quantity to its distance from the bound of the event, in decades:
        negative where the event happened.
    """

    quantity: str
    holds: Callable[[Any], NDArray[np.bool_]]
    distance: Callable[[Any], Any]


def condition(
    event: Event, threshold: float = THRESHOLD, dtype: NumberFormat | None = None
) -> Condition:
    """Return the condition of an event that has passed `checked_event`.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.events import condition
    >>> condition("vanishing", 1e-6).holds(np.array([-7.0, -6.0, -np.inf]))
    array([ True, False,  True])
    """
    level = math.log10(threshold)
    if event == "vanishing":
        return Condition("ratio", lambda r: r < level, lambda r: r - level)
    if event == "exploding":
        return Condition("ratio", lambda r: r > -level, lambda r: -level - r)
    if event == "healthy":
        return Condition(
            "ratio", lambda r: ~((r < level) | (r > -level)), lambda r: np.abs(r) + level
        )
    if event == "dead":
        return Condition("ratio", np.isneginf, lambda r: np.where(np.isneginf(r), -1.0, 1.0))
    assert dtype is not None
    smallest, largest = LOG10_RANGE[dtype]
    if event == "underflow":
        low = np.float64(smallest)
        return Condition("rms_min", lambda x: x < low, lambda x: x - low)
    high = np.float64(largest)
    return Condition("rms_max", lambda x: x > high, lambda x: high - x)


def column_of(layer: int, layers: NDArray[np.int64], done: str, argument: str = "layer") -> int:
    """Return the index of a layer in `layers`; `done` is "recorded" or "tallied", for errors.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.events import column_of
    >>> column_of(10, np.array([0, 10]), "recorded")
    1
    """
    wanted = plain(layer)
    if isinstance(wanted, int):
        found = np.flatnonzero(layers == wanted)
        if found.size:
            return int(found[0])
    problem = f"must be one of the {done} layers, {layers.tolist()}, got {brief(layer)}"
    if not isinstance(wanted, int):
        raise type_error(argument, problem)
    only = f"; pass {argument}={layers[0]}" if layers.size == 1 and argument == "layer" else ""
    raise value_error(argument, problem + only)


def require_living(name: str, needed: int, living: int, n: int, layer: int) -> None:
    """Raise ValueError if fewer samples than a statistic needs are not dead at a layer.

    Examples
    --------
    >>> from vgsim._results.events import require_living
    >>> require_living("std", 2, 1, 10, 0)
    Traceback (most recent call last):
    ValueError: std needs 2 or more samples that are not dead at layer 0, got 1 of 10
    """
    if living < needed:
        raise ValueError(
            f"{name} needs {needed} or more samples that are not dead at layer {layer}, "
            f"got {living} of {n}"
        )


def checked_event(
    event: object, threshold: object = THRESHOLD, dtype: object = None
) -> tuple[Event, float, NumberFormat | None]:
    """Return an event, its threshold and the name of its dtype; refuse those that do not apply.

    Examples
    --------
    >>> from vgsim._results.events import checked_event
    >>> checked_event("dead", 1e-6, "float16")
    Traceback (most recent call last):
    ValueError: dtype is for underflow and overflow only, got 'float16' with event 'dead'
    """
    level, name = check_threshold(threshold), _EVENT.check("event", event)
    format_ = None if dtype is None else checked_dtype("dtype", dtype, tuple(LOG10_RANGE))
    if name in RANGE and format_ is None:
        known = ", ".join(LOG10_RANGE)
        problem = f"must be given: event {name!r} needs a dtype, one of {known}, got None"
        raise value_error("dtype", problem)
    if name not in RANGE and format_ is not None:
        raise value_error(
            "dtype", f"is for underflow and overflow only, got {brief(dtype)} with event {name!r}"
        )
    if name not in RELATIVE and level != THRESHOLD:
        raise value_error(
            "threshold",
            f"is for vanishing, exploding and healthy only, got {level!r} with event {name!r}",
        )
    return name, level, format_


def limits_in_words(threshold: float) -> tuple[str, str]:
    """Return the values of R below which gradients vanish and above which they explode, as text.

    Examples
    --------
    >>> from vgsim._results.events import limits_in_words
    >>> limits_in_words(1e-6), limits_in_words(1.0)
    (('-6', '6'), ('0', '0'))
    """
    power = math.log10(threshold)
    return f"{power + 0.0:.6g}", f"{0.0 - power:.6g}"


def ratio_at(place: str) -> str:
    """Return R at a place, in matplotlib's mathematical notation.

    Examples
    --------
    >>> from vgsim._results.events import ratio_at
    >>> ratio_at("l"), ratio_at("10")
    ('R_l', 'R_{10}')
    """
    return f"R_{{{place}}}" if len(place) > 1 else f"R_{place}"


def event_label(event: str, place: str, threshold: float) -> str:
    """Return the label of an axis for a probability, in matplotlib's mathematical notation.

    Examples
    --------
    >>> from vgsim._results.events import event_label
    >>> event_label("vanishing", "0", 1e-6), event_label("dead", "0", 1e-6)
    ('$P(R_0 < -6)$', 'P(dead)')
    """
    low, high = limits_in_words(threshold)
    r = ratio_at(place)
    laws = {
        "vanishing": f"$P({r} < {low})$",
        "exploding": f"$P({r} > {high})$",
        "healthy": rf"$P({low} \leq {r} \leq {high})$",
    }
    return laws.get(event, f"P({event})")


def event_in_words(event: Event, threshold: float, dtype: DTypeLike | None) -> str:
    """Return the definition of an event for titles, with R in decades.

    Examples
    --------
    >>> from vgsim._results.events import event_in_words
    >>> event_in_words("vanishing", 1e-6, None)
    'vanishing: R < -6'
    """
    low, high = limits_in_words(threshold)
    words = {
        "vanishing": f"R < {low}",
        "exploding": f"R > {high}",
        "healthy": f"{low} <= R <= {high}",
        "dead": "a gradient of exactly 0",
        "underflow": f"an RMS below half the smallest number of {dtype}",
        "overflow": f"an RMS above the largest number of {dtype}",
    }
    return f"{event}: {words[event]}"
