"""Checks of arguments and memory, and constants that several packages share."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from vgsim.typing import CountedEvent, Event, RangeEvent, RelativeEvent

__all__ = [
    "COUNTED",
    "COUNTERS",
    "DECADE",
    "EVENTS",
    "INDICES",
    "RANGE",
    "RELATIVE",
    "TABULATED",
    "THRESHOLD",
    "brief",
    "checked_dtype",
    "checked_items",
    "checked_numbers",
    "either",
    "listed",
    "meant",
    "memory_error",
    "plain",
    "real_array",
    "require_memory",
    "type_error",
    "value_error",
]

COUNTERS = 2**32  # layers and blocks of random numbers are counted in 32 bits
INDICES = 2**56  # samples of one seed
DECADE = 2.0 * math.log(10.0)  # ln ‖G‖² = DECADE · log10 ‖G‖

# Events of ‖G_l‖/‖G_D‖, with a threshold; of a floating-point format; with columns in tables
RELATIVE: tuple[RelativeEvent, ...] = get_args(RelativeEvent)
RANGE: tuple[RangeEvent, ...] = get_args(RangeEvent)
COUNTED: tuple[CountedEvent, ...] = get_args(CountedEvent)
EVENTS: tuple[Event, ...] = get_args(Event)
TABULATED: tuple[CountedEvent, ...] = ("vanishing", "exploding", "dead")
THRESHOLD = 1e-6
MOST_SHOWN = 200  # largest number of characters of a value in a message
BYTES = (bytes, bytearray, memoryview)
MOST_UNASKED = 1 << 20  # bytes: `require_memory` does not ask the system about less


def value_error(argument: str, problem: str, of: str = "") -> ValueError:
    """Return a ValueError with the attributes ``argument`` and ``problem``.

    Its message consists of both. The command line replaces ``argument`` by the name of its option.

    Examples
    --------
    >>> from vgsim._checks import value_error
    >>> error = value_error("slope", "must be positive, got -1", " of activation 'leaky_relu'")
    >>> error
    ValueError("slope of activation 'leaky_relu' must be positive, got -1")
    >>> error.argument, error.problem
    ('slope', 'must be positive, got -1')
    """
    return _knowing(ValueError(f"{argument}{of} {problem}"), argument, problem)


def type_error(argument: str, problem: str, of: str = "") -> TypeError:
    """Return a TypeError with the attributes ``argument`` and ``problem``: see `value_error`."""
    return _knowing(TypeError(f"{argument}{of} {problem}"), argument, problem)


def memory_error(argument: str, problem: str) -> MemoryError:
    """Return a MemoryError with the attributes ``argument`` and ``problem``: see `value_error`."""
    return _knowing(MemoryError(f"{argument} {problem}"), argument, problem)


E = TypeVar("E", bound=Exception)
S = TypeVar("S", bound=str)


def _knowing(error: E, argument: str, problem: str) -> E:
    error.__dict__.update(argument=argument, problem=problem)
    return error


def brief(value: object) -> str:
    """Return the repr of a value, on one line and of bounded length, for messages.

    Examples
    --------
    >>> from vgsim._checks import brief
    >>> brief("ab"), len(brief("a" * 10_000))
    ("'ab'", 203)
    """
    try:
        text = " ".join(repr(value).splitlines())
    except Exception:  # a repr can raise anything
        text = f"an unprintable {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def plain(value: object) -> str | int | float | None:
    """Return a string, an int or a real number as Python's own type; None for anything else.

    The result is None for bools, durations and arrays, including arrays of shape ().

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._checks import plain
    >>> plain(np.int8(3)), plain(np.float32(0.5)), plain(np.str_("a")), plain(np.array(3))
    (3, 0.5, 'a', None)
    """
    try:
        if isinstance(value, (bool, np.bool_, np.ndarray, np.timedelta64)):
            return None
        if isinstance(value, str):
            return str.__str__(value)
        if hasattr(value, "__index__"):
            return int(operator.index(value))
        return float(value) if isinstance(value, Real) else None
    except OverflowError:
        return math.inf
    except Exception:  # a conversion can raise anything
        return None


def checked_dtype(argument: str, value: object, names: tuple[S, ...]) -> S:
    """Return the name of a floating-point format in native byte order.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._checks import checked_dtype
    >>> checked_dtype("dtype", np.float16, ("float16", "float32"))
    'float16'
    """
    name = plain(value)
    if isinstance(name, str) and name in names:
        return names[names.index(name)]
    problem = f"must be {' or '.join(map(repr, names))}, got {brief(value)}"
    if not isinstance(value, (str, type, np.dtype)):
        raise type_error(argument, problem)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = np.dtype(name if isinstance(name, str) else value)
    except Exception:  # numpy.dtype raises errors of several types
        raise type_error(argument, problem) from None
    if found.name not in names or not found.isnative:
        raise value_error(argument, problem)
    return names[names.index(found.name)]


def checked_items(argument: str, value: Any, allowed: str) -> list[Any]:
    """Return the items of an iterable; text, bytes, mappings and masked arrays are refused.

    Examples
    --------
    >>> from vgsim._checks import checked_items
    >>> checked_items("depths", b"ab", "must be a sequence of ints")
    Traceback (most recent call last):
    TypeError: depths must be a sequence of ints, got b'ab'
    """
    reason = None
    if not isinstance(value, (str, *BYTES, Mapping, np.ma.MaskedArray)):
        try:
            return list(value)
        except Exception as error:  # an iterator can raise anything
            reason = error
    raise type_error(argument, f"{allowed}, got {brief(value)}") from reason


def real_array(argument: str, value: Any, allowed: str) -> NDArray[np.float64]:
    """Return real numbers as a float64 array, without a copy if `value` is one.

    Tensors of PyTorch and arrays of JAX are converted, whatever their floating-point format. Masked
    arrays, dates, objects, bytes and finite numbers beyond the range of float64 are refused. NaN
    and infinity are allowed.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._checks import real_array
    >>> real_array("x", np.ma.masked_array([1.0, 2.0], [True, False]), "must be numbers")
    Traceback (most recent call last):
    TypeError: x must be numbers, got a masked array
    """
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value
    parts = (value, *value) if isinstance(value, (list, tuple)) else (value,)
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise type_error(argument, f"{allowed}, got a masked array")
    if _is_tensor(type(value)):
        value = _dense_array(argument, value, allowed)
    elif any(map(_is_tensor, {type(part) for part in parts})):
        value = [real_array(argument, part, allowed) for part in value]
    array = None
    if not isinstance(value, BYTES):
        try:
            array = np.asarray(value)
        except ValueError:
            raise value_error(argument, f"{allowed}, got rows of different lengths") from None
        except Exception as error:  # a conversion can raise anything
            raise type_error(argument, f"{allowed}, got {brief(value)}") from error
    if array is not None and array.dtype.kind == "V" and np.can_cast(array.dtype, np.float64):
        array = array.astype(np.float64)  # formats that NumPy does not have, such as bfloat16
    if array is None or array.dtype.kind not in "iuf":
        raise type_error(argument, f"{allowed}, got {brief(value)}")
    with np.errstate(over="ignore"):
        numbers = np.asarray(array, dtype=np.float64)
    if array.dtype.itemsize > numbers.itemsize and np.any(np.isinf(numbers) & ~np.isinf(array)):
        raise value_error(argument, f"must lie within the range of float64, got {brief(value)}")
    return numbers


def _is_tensor(kind: type) -> bool:
    """Whether a type is that of PyTorch's tensors, which is not imported for this."""
    return all(hasattr(kind, name) for name in ("detach", "layout", "is_meta"))


def _dense_array(argument: str, value: Any, allowed: str) -> NDArray[Any]:
    """Return a tensor of any device and format as an array, its gradient left aside."""
    kinds = {"meta": value.is_meta, "quantized": value.is_quantized}
    kinds["sparse"] = str(value.layout) != "torch.strided"
    if any(kinds.values()):
        kind = next(kind for kind, applies in kinds.items() if applies)
        raise type_error(argument, f"{allowed}, got a {kind} tensor")
    try:
        tensor = value.detach().cpu()
        tensor = tensor.double() if tensor.is_floating_point() else tensor
        return np.asarray(tensor.numpy(force=True))
    except Exception as error:  # a subclass of tensors can raise anything
        raise type_error(argument, f"{allowed}, got {brief(value)}") from error


def checked_numbers(argument: str, value: Any) -> NDArray[np.float64]:
    """Return a number or an array of numbers as float64; infinity is allowed, NaN is not.

    Examples
    --------
    >>> from vgsim._checks import checked_numbers
    >>> checked_numbers("q", None)
    Traceback (most recent call last):
    TypeError: q must be a number or an array of numbers, got None
    """
    numbers = real_array(argument, value, "must be a number or an array of numbers")
    if np.isnan(numbers).any():
        raise value_error(argument, f"must not be NaN, got {brief(value)}")
    return numbers


def meant(name: str, known: Iterable[str]) -> str:
    """Return the known name that is closest to a misspelt one; "" if none is close.

    Examples
    --------
    >>> from vgsim._checks import meant
    >>> meant("max-samples", ["max_samples", "seed"])
    'max_samples'
    """
    near = get_close_matches(name[:MOST_SHOWN].lower().replace("-", "_"), known, 1, 0.7)
    return near[0] if near else ""


def either(names: Iterable[str]) -> str:
    """Return names as alternatives: "a, b or c".

    Examples
    --------
    >>> from vgsim._checks import either
    >>> either(["a", "b", "c"]), either(["a"])
    ('a, b or c', 'a')
    """
    *others, last = names
    return " or ".join([", ".join(others), last] if others else [last])


def listed(names: Iterable[object]) -> str:
    """Return names in quotes, separated by commas."""
    return ", ".join(repr(name) for name in names)


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError, with the remedy, if fewer than `needed` bytes are available for `what`."""
    if needed < MOST_UNASKED:  # the query would take longer than the work
        return
    available = _available()
    if available is not None and needed > available:
        raise MemoryError(
            f"{what} needs about {needed / 2**30:.3g} GiB and {available / 2**30:.3g} GiB are "
            f"available: {remedy}"
        )


def _available() -> int | None:
    """Return the bytes available to this process; None if the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        sizes.append(limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(sizes, default=None)
