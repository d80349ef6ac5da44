"""Numbers as text, with the digits that their interval supports."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

__all__ = ["rounded", "rounded_parts"]

LARGE, SMALL = 1e6, 1e-4  # from and below which sizes are written with an exponent
PRECISION = 15  # significant decimal digits of float64
MORE = 2  # digits beyond those of the other limit, up to which a limit near 0 has no exponent
WITHOUT = 6  # significant digits of a number without an interval


def rounded(value: float, low: float, high: float) -> str:
    """Return an estimate with its interval as text, with the digits that the interval supports.

    The last digit of the value is the second significant digit of half the interval. That of the
    limits is the first one if that is 3 or more, else the second; a limit has more digits where it
    would be written as 0, from below as 1, or on the other side of the written value. If the value
    is a probability of 0 or 1, or a limit is infinite, only the other limit is written, rounded
    outward. Numbers without an interval have six significant digits.

    Parameters
    ----------
    value : float
        NaN is an unknown value.
    low, high : float
        ``low <= value <= high``; −inf and inf are allowed.

    Returns
    -------
    str
        "value (low–high)", "value (low to high)" if a limit is negative, "value (< high)",
        "value (> low)", "value", or "-".

    Examples
    --------
    >>> from vgsim._statistics.rounded import rounded
    >>> print(rounded(0.1098, 0.10382, 0.11607))
    0.1098 (0.104–0.116)
    >>> rounded(0, 0, 0.000384), rounded(1, 0.999616, 1)
    ('0 (< 0.0004)', '1 (> 0.9996)')
    >>> rounded(-14.0632, -14.8921, -13.2211), rounded(312.7, 210.2, float("inf"))
    ('-14.06 (-14.9 to -13.2)', '310 (> 210)')
    >>> rounded(-0.15, -0.32, -0.0049)
    '-0.15 (-0.32 to -0.005)'
    >>> print(rounded(1.2345e-7, 1.02e-7, 1.41e-7))
    1.23e-7 (1.02e-7–1.41e-7)
    """
    middle, below, above = rounded_parts(value, low, high)
    if not below and not above:
        return middle
    if not below or not above:
        return f"{middle} ({f'> {below}' if below else f'< {above}'})"
    between = " to " if below.startswith("-") or above.startswith("-") else "–"
    return f"{middle} ({below}{between}{above})"


def rounded_parts(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Return the texts of an estimate and of its limits; "" for a limit that `rounded` omits.

    Examples
    --------
    >>> from vgsim._statistics.rounded import rounded_parts
    >>> rounded_parts(0.1098, 0.10382, 0.11607), rounded_parts(0, 0, 0.000384)
    (('0.1098', '0.104', '0.116'), ('0', '', '0.0004'))
    """
    value, low, high = float(value), float(low), float(high)
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return ("-" if math.isnan(value) else f"{value:.{WITHOUT}g}"), "", ""
    if not low < high:
        return f"{value + 0.0:.{WITHOUT}g}", "", ""
    has_low = not (math.isinf(low) or low == value == 0)
    has_high = not (math.isinf(high) or high == value == 1)
    ends = [*(low,) * has_low, *(high,) * has_high]
    if not ends:
        return f"{value + 0.0:.{WITHOUT}g}", "", ""
    finite = [x for x in (value, *ends) if math.isfinite(x)]
    size = max(map(abs, finite))
    half = (max(finite) - min(finite)) / (2 if len(ends) == 2 else 1) or 0.1 * size
    most = PRECISION - _magnitude(size)
    of_value, of_limits = min(1 - _magnitude(half), most), min(-_magnitude(half / 3), most)
    scaled = not SMALL <= size < LARGE
    outward = (ROUND_FLOOR, ROUND_CEILING) if len(ends) == 1 else (ROUND_HALF_UP,) * 2
    exact = (value == low == 0) or (value == high == 1)
    middle = f"{value:g}" if exact else _written(value, of_value, ROUND_HALF_UP, scaled)

    def limit(x: float, rounding: str, beyond: Callable[[float, float], bool]) -> str:
        text = _limit(x, of_limits, rounding, scaled, exact)
        if beyond(float(text), float(middle)):  # rounded to the other side of the written value
            return _limit(x, of_value, rounding, scaled, exact)
        return text

    return (
        middle,
        limit(low, outward[0], operator.gt) if has_low else "",
        limit(high, outward[1], operator.lt) if has_high else "",
    )


def _magnitude(size: float) -> int:
    """Return the exponent of the first significant digit."""
    return math.floor(math.log10(size)) if size > 0 else 0


def _limit(x: float, decimals: int, rounding: str, scaled: bool, short: bool) -> str:
    """Return a limit with more than `decimals` where it would be written as 0, or below 1 as 1.

    `short`: without zeros at the end.
    """
    text = _written(x, decimals, rounding, scaled)
    if short and "." in text and "e" not in text:
        text = text.rstrip("0").rstrip(".")
    end = float(text)
    if (end == 0 and x != 0) or (end == 1 and x < 1):
        needed = -_magnitude(abs(x - end))
        return _written(x, needed, rounding, scaled or (end == 0 and needed > decimals + MORE))
    return text


def _written(x: float, decimals: int, rounding: str, scaled: bool) -> str:
    """Return a number rounded to `decimals`, which may be negative; `scaled`: with an exponent."""
    if math.isinf(x):
        return f"{x:g}"
    digits = Decimal(repr(float(x))).quantize(Decimal(1).scaleb(-decimals), rounding)
    if scaled and digits:
        return f"{digits:.{max(digits.adjusted() + decimals, 0)}e}"
    return f"{abs(digits) if digits == 0 else digits:.{max(decimals, 0)}f}"
