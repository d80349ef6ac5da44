"""From two functions φ and φ' to the table of a custom activation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, checked_items, type_error, value_error
from vgsim._domains import Number
from vgsim._networks.custom_activation import CUSTOM_HEAD, CustomActivation
from vgsim._networks.custom_table import KINDS, CustomTable, kept
from vgsim._networks.custom_table import OF_ACTIVATION as OF
from vgsim._networks.kinks import NotSmooth, smooth_intervals
from vgsim._networks.piecewise import Function, Piecewise, Unfit, fitted, joined

__all__ = ["approximated", "from_functions"]

Array = NDArray[np.float64]
FAR = (1024.0, 512.0, 256.0, 128.0, 64.0, 32.0)  # the functions are called up to the first possible
CUTS = (
    0.5,
    1.0,
    2.0,
    3.0,
    4.0,
    6.0,
    8.0,
    12.0,
    16.0,
    24.0,
    32.0,
    48.0,
    64.0,
    96.0,
    128.0,
    192.0,
    256.0,
)
STRAIGHT = {"float32": 2.0**-25, "float64": 2.0**-51}  # relative deviation of a tail from a line
SMALLEST = 2.0**-1000  # of φ and φ' on a tail; smaller values lose digits
DIFFERENT = 1e-6  # relative error of a derivative that is refused
CURVED = 1e-6  # relative change of the slope along a tail that is refused at once
MOST_KINKS = 6
LARGEST = 1e12  # of |φ| on [-1, 1] and max |φ'|; float32 must hold the coefficients
KINK = Number(f"between {-FAR[0]:g} and {FAR[0]:g}", lambda h: abs(h) < FAR[0])
PROBES = 2**17  # points in [-16, 16] at which a table is compared with the functions
TAIL_POINTS = 2049
TAIL_NOISE = 2.0**-42  # of log2 |φ'|, beyond which φ' is cancellation


@dataclass(frozen=True)
class _Function:
    """A function of the user; it is called on arrays, and its values are checked."""

    name: str
    function: Callable[..., Any]

    def __call__(self, h: Array) -> Array:
        given = h.copy()
        if not given.size:
            return given  # np.vectorize, for one, takes no empty arrays
        with np.errstate(all="ignore"):
            try:
                returned = self.function(given)
                values = np.asarray(returned)
            except Exception as error:
                problem = f"must take an array of float64, and raised {error!r}"
                raise value_error(self.name, problem, OF) from error
        masked = isinstance(returned, np.ma.MaskedArray)
        if masked or values.shape != h.shape or values.dtype.kind not in "fiub":
            got = f"an array of shape {values.shape} and dtype {values.dtype}"
            got = "a masked array" if masked else got
            raise value_error(
                self.name,
                f"must be vectorised: from an array of shape {h.shape} it must return real numbers "
                f"of the same shape, and returned {got}",
                OF,
            )
        return values.astype(np.float64)

    def check(self) -> None:
        """Refuse a function that is not callable, elementwise and deterministic."""
        if not callable(self.function):
            raise type_error(self.name, f"must be callable, got {brief(self.function)}", OF)
        h = np.linspace(-3.0, 3.0, 24)[7 * np.arange(24) % 24]
        once, again, rows = self(h), self(h), self(h.reshape(4, 6)).ravel()
        single = np.array([self(h[k : k + 1])[0] for k in (0, 11, 23)])
        if not np.array_equal(once, again, equal_nan=True):
            raise value_error(
                self.name, "must be deterministic: two calls returned two results", OF
            )
        near = np.allclose(once, rows, 1e-12, 1e-12, True)
        if not near or not np.allclose(once[[0, 11, 23]], single, 1e-12, 1e-12, True):
            raise value_error(
                self.name, "must act on each element alone, whatever the shape of the array", OF
            )


@dataclass(frozen=True)
class _Tail:
    """A straight tail a + s h of φ for sign · h > cut, and how far the functions are known."""

    sign: int
    far: float
    a: float
    s: float


def approximated(
    function: Callable[..., Any], derivative: Callable[..., Any], kinks: Iterable[float] = ()
) -> CustomTable:
    """Approximate φ and φ' by piecewise polynomials, to the accuracy of float32 and of float64.

    Parameters
    ----------
    function, derivative : callable
        φ and φ', from an array of float64 to an array of the same shape.
    kinks : iterable of float, optional
        Where φ' or φ'' jumps, as far as known, between -1024 and 1024; others are looked for.

    Raises
    ------
    TypeError, ValueError
        If a function is not vectorised, finite and deterministic, if `derivative` is not the
        derivative of `function`, if φ is constant, jumps, has too many kinks, a tail that is not
        straight or too narrow a feature, or if its slope is not of a moderate size.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.custom_functions import approximated
    >>> approximated(np.abs, np.sign).kinks
    (0.0,)
    """
    f, df = _Function("function", function), _Function("derivative", derivative)
    f.check()
    df.check()
    given = checked_items("kinks", kinks, "must be a sequence of numbers")
    declared = [KINK.check("kinks", kink, f"[{i}]{OF}") for i, kink in enumerate(given)]
    low, high = -_far(f, df, -1), _far(f, df, 1)
    steepest = float(np.abs(df(_scan(low, high))).max())
    size = float(np.abs(f(np.linspace(-1.0, 1.0, 65))).max())
    for end in (low, high):
        slopes = df(end * np.linspace(0.25, 1.0, 33))
        if np.ptp(slopes) > CURVED * steepest:
            middles = end * np.array([0.25, 0.5, 0.99])
            _checked_slopes(f, df, middles - 0.25, middles + 0.25)
            raise _curved(df, end)
    found = _kinks(f, df, low, high, declared)
    beside = [kink + step for kink in found for step in (-1e-9, 1e-9)]
    steepest = max(steepest, *np.abs(df(np.array(beside))), 0.0)
    _check_size(steepest, size, low, high)
    tails = [_tail(f, df, sign, far, found, steepest) for sign, far in ((-1, -low), (1, high))]
    at_zero = float(f(np.zeros(1))[0])
    through_zero = abs(at_zero) <= 2.0**-50 * size
    bounded = all(tail.s == 0 for tail in tails)
    kind = KINDS[(1 if bounded else 0) if through_zero else (2 if bounded else 3)]
    tables = {
        dtype: _table(f, df, found, tails, through_zero, steepest, dtype)
        for dtype in ("float32", "float64")
    }
    table = CustomTable(kind, tuple(found), steepest, tables)
    _compare(f, df, table, low, high)
    return table


def _check_size(steepest: float, size: float, low: float, high: float) -> None:
    """Refuse constants, and functions whose coefficients float32 might not hold."""
    if steepest == 0.0:
        raise value_error(
            "derivative",
            f"must not be 0 everywhere, and is from h = {low:g} to {high:g}: every network would "
            "be dead",
            OF,
        )
    if not 1.0 / LARGEST <= steepest <= LARGEST:
        raise value_error(
            "derivative",
            f"must have a largest |value| from {1.0 / LARGEST:g} to {LARGEST:g}, got "
            f"{steepest:.6g}; a factor of φ may be part of the gain",
            OF,
        )
    if size > LARGEST:
        problem = f"must be at most {LARGEST:g} for |h| <= 1, got {size:.6g}"
        raise value_error("function", problem, OF)


def _compare(f: _Function, df: _Function, table: CustomTable, low: float, high: float) -> None:
    """Refuse functions that differ from their table: they have a feature that was not found."""
    h = np.linspace(max(low, -16.0), min(high, 16.0), PROBES) + 1.234567e-5
    for kink in table.kinks:
        h = h[np.abs(h - kink) > 1e-6]
    phi, steepest = CustomActivation(table), table.max_derivative
    errors = np.abs(phi.derivative(h) - df(h)) / steepest
    values = f(h)
    scale = np.abs(values) + steepest * np.maximum(1.0, np.abs(h))
    errors = np.maximum(errors, np.abs(phi.value(h) - values) / scale)
    at = float(h[np.argmax(errors)])
    if errors.max() > DIFFERENT:
        raise value_error(
            "function",
            f"or its derivative changes too fast near h = {at:.6g} for a table; declare a kink "
            "there, or rescale it",
            OF,
        )


def _scan(low: float, high: float) -> Array:
    """Return points between the ends, denser near 0."""
    near = np.linspace(-16.0, 16.0, 6401)
    far = np.geomspace(16.0, max(-low, high), 400)
    points = np.concatenate([-far[::-1], near, far])
    return points[(points >= low) & (points <= high)]


def _far(f: _Function, df: _Function, sign: int) -> float:
    """Return how far from 0 both functions can be called on one side."""
    for far in FAR:
        h = sign * np.concatenate([np.linspace(0.0, 32.0, 1025), np.geomspace(32.0, far, 200)])
        h += 0.0  # no -0.0 in messages
        if all(np.isfinite(g(h)).all() for g in (f, df)):
            return far
    for g in (f, df):
        values = g(h)
        if not np.isfinite(values).all():
            at = np.flatnonzero(~np.isfinite(values))[0]
            raise value_error(
                g.name, f"must be finite for |h| <= 32, got {values[at]} at h = {h[at]:.6g}", OF
            )
    raise AssertionError


def _kinks(
    f: _Function, df: _Function, low: float, high: float, declared: list[float]
) -> list[float]:
    """Return all kinks; refuse jumps, and a derivative that is not that of the function."""
    try:
        found, a, b = smooth_intervals([f, df], low, high, declared)
    except NotSmooth as error:
        problem = f"or its derivative {error}; both must compute in float64"
        raise value_error("function", problem, OF) from None
    slopes = _checked_slopes(f, df, a, b)
    for kink in found:
        step = 1e-9 * max(1.0, abs(kink))
        below, nearer_below, nearer_above, above = f(kink + step * np.array([-1, -0.1, 0.1, 1]))
        slope = float(np.abs(slopes).max())
        if abs(above - below) > 1e-9 * max(abs(above), abs(below)) + 4 * step * slope:
            is_jump = abs(nearer_above - nearer_below) > 0.5 * abs(above - below)
            raise value_error(
                "function",
                f"{'jumps' if is_jump else 'is too steep'} at h = {kink:.12g}, from {below:.12g} "
                f"to {above:.12g}: its gradient would not be that of the network",
                OF,
            )
    if len(found) > MOST_KINKS:
        shown = ", ".join(f"{kink:.6g}" for kink in found[:MOST_KINKS])
        raise value_error(
            "function",
            f"must have at most {MOST_KINKS} kinks, it has {len(found)}: at h = {shown}, ...",
            OF,
        )
    return found


def _checked_slopes(f: _Function, df: _Function, a: Array, b: Array) -> Array:
    """Return φ' in intervals where it is smooth; refuse it if its mean is not the rise of φ."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    h = 0.5 * (a + b)[:, np.newaxis] + 0.5 * (b - a)[:, np.newaxis] * nodes
    slopes = df(h.ravel()).reshape(h.shape)
    rises, areas = f(b) - f(a), 0.5 * (b - a) * (slopes @ weights)
    steepest = np.maximum(float(np.abs(slopes).max()) * 1e-3, np.abs(slopes).max(axis=1))
    rounding = 2.0**-48 * np.maximum(np.abs(f(a)), np.abs(f(b)))
    wrong = np.abs(rises - areas) > DIFFERENT * (b - a) * steepest + rounding
    if wrong.any():
        k = int(np.argmin(np.where(wrong, np.abs(a + b), np.inf)))
        raise value_error(
            "derivative",
            f"must be the derivative of function: from h = {a[k]:.6g} to {b[k]:.6g} its mean is "
            f"{areas[k] / (b - a)[k]:.6g}, and function rises by {rises[k] / (b - a)[k]:.6g} per "
            "unit",
            OF,
        )
    return slopes


def _tail(
    f: _Function, df: _Function, sign: int, far: float, kinks: list[float], steepest: float
) -> _Tail:
    """Return a and s of the straight line that φ follows far from 0 on one side."""
    s = float(df(np.array([sign * far]))[0])
    end = float(f(np.array([sign * far]))[0])
    size = float(np.abs(f(np.linspace(-1.0, 1.0, 65))).max())
    tail = _Tail(sign, far, 0.0 if abs(end) <= 2.0**-60 * size else end, 0.0)
    if abs(s) > 2.0**-50 * steepest:
        for cut in CUTS:
            a = float(f(np.array([sign * cut]))[0]) - sign * s * cut
            tail = _Tail(sign, far, 0.0 if abs(a) <= 2.0**-50 * abs(s) * cut else a, s)
            if _cut(f, df, tail, kinks, "float64", steepest, (cut,)) is not None:
                break
    if _cut(f, df, tail, kinks, "float64", steepest) is None:
        raise _curved(df, sign * far)
    return tail


def _curved(df: _Function, end: float) -> ValueError:
    """Return the error of a tail that is not straight."""
    h = np.array([0.25, 0.5, 1.0]) * end
    shown = ", ".join(f"{slope:.10g} at {at:g}" for slope, at in zip(df(h), h, strict=True))
    return value_error(
        "function",
        f"has a curved tail on the {'right' if end > 0 else 'left'}: its slope is {shown}. For "
        f"|h| > {0.25 * abs(end):g} it must be a straight line a + s h, to the accuracy of "
        "float64, which h**2, sin(h), log(1 + abs(h)) and h/(1 + abs(h)) are not",
        OF,
    )


def _cut(
    f: _Function,
    df: _Function,
    tail: _Tail,
    kinks: list[float],
    dtype: str,
    steepest: float,
    cuts: tuple[float, ...] = CUTS,
) -> float | None:
    """Return the first |h| beyond which φ is on its tail, to the accuracy of a dtype."""
    size = float(np.abs(f(np.linspace(-1.0, 1.0, 65))).max())
    accuracy = STRAIGHT[dtype]
    for cut in cuts:
        if 4.0 * cut > tail.far or any(tail.sign * kink >= cut for kink in kinks):
            continue
        h = tail.sign * np.geomspace(cut, tail.far, 200)
        line = tail.a + tail.s * h
        scale = np.abs(line) if (tail.a, tail.s) != (0.0, 0.0) else size
        slope = abs(tail.s) or steepest
        bent = np.abs(f(h) - line) > accuracy * scale
        if not bent.any() and (np.abs(df(h) - tail.s) <= accuracy * slope).all():
            return cut
    return None


def _table(
    f: _Function,
    df: _Function,
    kinks: list[float],
    tails: list[_Tail],
    through_zero: bool,
    steepest: float,
    dtype: str,
) -> NDArray[np.floating[Any]]:
    """Return the table of vg_custom.h."""
    cuts = [_cut(f, df, tail, kinks, dtype, steepest) for tail in tails]
    left, right = (float(np.dtype(dtype).type(cut)) for cut in cuts if cut is not None)
    knots = sorted({-left, 0.0, *kinks, right})
    inclusive = [kink for kink in kinks if _is_right(df, kink)]
    value: Function = f
    if through_zero:
        value, near = _over_h(f, df, kinks)
        knots = sorted({*knots, *near})
    try:
        core = fitted([value, df], knots, dtype, most=12, inclusive=inclusive)
    except Unfit as error:
        raise value_error(
            "function",
            f"or its derivative changes too fast between h = {error.low:.6g} and {error.high:.6g} "
            "for a table; declare the kinks there, or rescale it",
            OF,
        ) from None
    before, signs_before, low = _rest(f, df, tails[0], left, dtype)
    after, signs_after, high = _rest(f, df, tails[1], right, dtype)
    inner, outer = core.table(dtype), joined([before, after]).table(dtype)
    head = np.zeros(CUSTOM_HEAD)
    head[:4] = -left, right, low, high
    head[4:8] = tails[0].a, tails[0].s, *signs_before
    head[8:12] = tails[1].a, tails[1].s, *signs_after
    head[12] = CUSTOM_HEAD + inner.size
    return np.concatenate([head.astype(dtype), inner, outer])


def _over_h(f: _Function, df: _Function, kinks: list[float]) -> tuple[Function, list[float]]:
    """Return φ(h)/h, and knots of it: within ±w it is the mean of φ' where φ loses digits at 0."""
    w = min([0.0625, *(0.5 * abs(kink) for kink in kinks if kink)])
    nodes, weights = np.polynomial.legendre.leggauss(16)

    def mean(h: Array) -> Array:
        return df((h[:, np.newaxis] * (0.5 + 0.5 * nodes)).ravel()).reshape(-1, 16) @ (
            0.5 * weights
        )

    def ratio(h: Array) -> Array:
        h = np.where(h < 0, np.minimum(h, -(2.0**-60)), np.maximum(h, 2.0**-60))
        return f(h) / h

    def both(h: Array) -> Array:
        found = ratio(h)
        near = np.abs(h) < w
        found[near] = mean(h[near])
        return found

    tiny = np.array([-(2.0**-30), -(2.0**-20), 2.0**-20, 2.0**-30])
    means = mean(tiny)
    if (np.abs(ratio(tiny) - means) <= 2.0**-40 * np.abs(means)).all():
        return ratio, []
    return both, [-w, w]


def _is_right(df: _Function, kink: float) -> bool:
    """Whether φ' at a kink has its value on the right."""
    step = 1e-9 * max(1.0, abs(kink))
    below, at, above = df(np.array([kink - step, kink, kink + step]))
    return bool(abs(at - above) < abs(at - below))


def _rest(
    f: _Function, df: _Function, tail: _Tail, cut: float, dtype: str
) -> tuple[Piecewise, tuple[float, float], float]:
    """Return log2 of |φ| and |φ'| on a tail that tends to 0, their signs, and its end."""
    nothing: Function = np.zeros_like
    distance = np.geomspace(cut, tail.far, TAIL_POINTS)
    known: list[tuple[Function, float]] = []
    for g, tends_to_zero in ((f, tail.a == tail.s == 0), (df, tail.s == 0)):
        values = g(tail.sign * distance)
        sign = float(np.sign(values[0]))
        good = (np.abs(values) >= SMALLEST) & (np.sign(values) == sign)
        good &= _is_smooth(np.log2(np.maximum(np.abs(values), 2.0**-1074)))
        last = distance.size - 1 if good.all() else int(np.argmin(good)) - 1
        if tends_to_zero and last > 0:
            known.append((_log2_of(g), sign))
            distance = distance[: last + 1]
        else:
            known.append((nothing, 0.0))
    functions, signs = [g for g, _ in known], (known[0][1], known[1][1])
    end = float(distance[-1])
    for _ in range(4):
        if not any(signs) or end <= 1.05 * cut:
            break
        try:
            ends = sorted([tail.sign * cut, tail.sign * end])
            pieces = fitted(functions, ends, dtype, most=7, widest=cut)
            return pieces, signs, tail.sign * end
        except Unfit as error:
            end = min(abs(error.low), abs(error.high))
    ends = sorted([tail.sign * cut, tail.sign * 2.0 * cut])
    return fitted([nothing, nothing], ends, dtype), (0.0, 0.0), ends[0 if tail.sign < 0 else 1]


def _is_smooth(values: Array) -> NDArray[np.bool_]:
    """Whether values on a fine grid are not rounding errors, by their sixth differences."""
    rough = np.abs(np.diff(values, 6)) > TAIL_NOISE * (1.0 + np.abs(values[3:-3]))
    near = np.convolve(rough, np.ones(7)) > 0.5
    return np.asarray(~near)


def _log2_of(g: _Function) -> Function:
    """log2 |g|."""
    return lambda h: np.log2(np.maximum(np.abs(g(h)), 2.0**-1074))


def from_functions(
    function: Any = None, derivative: Any = None, kinks: Any = (), **others: Any
) -> CustomTable:
    """Return the table of two functions, the parameters of a custom activation.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._networks.custom_functions import from_functions
    >>> from_functions(function=np.abs, derivative=np.sign).kind
    'custom_homogeneous'
    """
    if others:
        raise type_error(
            "activation",
            "'custom' takes only 'function', 'derivative' and 'kinks', got "
            + ", ".join(f"{name}={brief(value)}" for name, value in others.items()),
        )
    if function is None or derivative is None:
        missing = "function" if function is None else "derivative"
        raise type_error(
            missing,
            "is missing: Activation('custom', function=..., derivative=...) needs φ and φ' as "
            "functions of NumPy arrays",
            OF,
        )
    return kept(approximated(function, derivative, kinks))
