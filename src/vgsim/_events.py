"""What can become of a gradient, decided sample by sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vgsim._parameters import Number

if TYPE_CHECKING:
    from vgsim._samples import Samples

RELATIVE = ("vanishing", "exploding", "healthy")
RANGE = ("underflow", "overflow")
EVENTS = (*RELATIVE, "dead", *RANGE)
THRESHOLD = 1e-6
_THRESHOLD = Number("0 < threshold <= 1", lambda threshold: 0 < threshold <= 1)

LOG10_RANGE = {  # of half the smallest subnormal number, and of the largest finite one
    "float16": (-25 * math.log10(2), math.log10(65504)),
    "bfloat16": (-134 * math.log10(2), math.log10((2 - 2**-7) * 2.0**127)),
    "float32": (-150 * math.log10(2), math.log10((2 - 2**-23) * 2.0**127)),
}


def happened(
    samples: Samples, event: str, layer: int, threshold: float, dtype: DTypeLike | None
) -> NDArray[np.bool_]:
    """Return where an event happened: see :meth:`Samples.probability`.

    Returns
    -------
    bool array, shape (n,)

    Raises
    ------
    TypeError, ValueError
        If an argument is unknown, out of range, or does not belong to the event.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._events import happened
    >>> s = vgsim.simulate(vgsim.MLP(depth=50, width=32, activation="sigmoid"), 3)
    >>> happened(s, "vanishing", 0, 1e-6, None)
    array([ True,  True,  True])
    """
    format_ = dtype_name(dtype)
    check(event, threshold, format_)
    if event == "dead" and layer == 0:
        return samples.dead  # known without a recorded layer
    column = samples.column(layer)
    if event == "dead":
        return np.isneginf(samples.gradient[:, column])
    if event == "underflow":
        return samples.rms_min[:, column] < np.float64(LOG10_RANGE[str(format_)][0])
    if event == "overflow":
        return samples.rms_max[:, column] > np.float64(LOG10_RANGE[str(format_)][1])
    ratio = samples.gradient[:, column] - samples.output_gradient
    vanishing, exploding = ratio < math.log10(threshold), ratio > -math.log10(threshold)
    if event == "healthy":
        return ~(vanishing | exploding)
    return vanishing if event == "vanishing" else exploding


def check(event: str, threshold: float, dtype: str | None) -> None:
    """Refuse an unknown event, and a threshold or a dtype that is wrong or not the event's.

    Examples
    --------
    >>> from vgsim._events import check
    >>> check("dead", 1e-6, "float16")
    Traceback (most recent call last):
    ValueError: dtype is for underflow and overflow only, got dtype='float16' with event='dead'
    """
    check_threshold(threshold)
    if event not in EVENTS:
        raise ValueError(f"event must be one of {', '.join(EVENTS)}, got {event!r}")
    if event in RANGE and dtype not in tuple(LOG10_RANGE):
        raise ValueError(
            f"event={event!r} needs dtype, one of {', '.join(LOG10_RANGE)}, got {dtype!r}"
        )
    if event not in RANGE and dtype is not None:
        raise ValueError(
            f"dtype is for underflow and overflow only, got dtype={dtype!r} with event={event!r}"
        )
    if event not in RELATIVE and threshold != THRESHOLD:
        raise ValueError(
            f"threshold is for vanishing, exploding and healthy only, got threshold={threshold!r} "
            f"with event={event!r}"
        )


def check_threshold(threshold: float) -> None:
    """Refuse a threshold outside (0, 1].

    Examples
    --------
    >>> from vgsim._events import check_threshold
    >>> check_threshold(2)
    Traceback (most recent call last):
    ValueError: threshold must be 0 < threshold <= 1, got 2
    """
    _THRESHOLD.check("threshold", threshold)


def dtype_name(dtype: DTypeLike | None) -> str | None:
    """Return the name of a dtype, which may be none of `LOG10_RANGE`; a name as it is.

    Raises
    ------
    TypeError
        If it is no dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._events import dtype_name
    >>> dtype_name(np.float16)
    'float16'
    """
    if dtype is None or isinstance(dtype, str):
        return dtype
    try:
        return np.dtype(dtype).name
    except TypeError:
        raise TypeError(f"dtype must be one of {', '.join(LOG10_RANGE)}, got {dtype!r}") from None
