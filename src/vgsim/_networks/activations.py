"""Activation functions: one table with an entry for each.

Derivatives keep their relative accuracy in the tails (no ``1 - y**2``): rounding never makes that
of a smooth activation 0, which would look like a dead unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, real_array, value_error
from vgsim._domains import Number
from vgsim._networks.custom_activation import FIELDS, CustomTable, kept, table_of
from vgsim._networks.custom_functions import from_functions
from vgsim._networks.initializers import INITIALIZERS, OMEGA, Initializer
from vgsim._networks.named import Entry, Named

__all__ = ["ACTIVATIONS", "Activation", "as_activation"]

Array = NDArray[np.float64]
Slopes = tuple[float, float]
Tail = tuple[float | Array, Array]
CUSTOM = "custom"
SELU_ALPHA = 1.6732632423543772848  # Klambauer et al. 2017
SELU_SCALE = 1.0507009873554804934
SILU_MAX_DERIVATIVE = 1.0998393201288669  # at h = 2.39935728..., the root of h tanh(h/2) = 2
GELU_TANH_MAX_DERIVATIVE = 1.1289930686587718  # at h = 1.41850400..., of GELU with tanh
MISH_MAX_DERIVATIVE = 1.0884981612517279  # at h = 1.49057117...
TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


@dataclass(frozen=True, kw_only=True)
class _ActivationEntry(Entry):
    """One activation; each function takes h, if it depends on h, and then the parameters in order.

    value, derivative
        φ(h) and φ'(h).
    max_derivative
        The supremum of |φ'|. This and the slopes may be functions of the parameters.
    is_odd
        Whether φ(-h) = -φ(h).
    slope_at_zero, slope_at_infinity
        (left, right) limits of φ(h)/h.
    kinks
        The h at which φ, φ' or φ'' jumps: quadrature panels end there.
    log_value, log_derivative
        (sign, ln |·|) of φ(h) and φ'(h), valid where these underflow; None if they never underflow,
        or are exactly 0 there.
    decay
        The power p of φ'(h) ~ |h|^-p, for |h| beyond the range of floats.
    frequency
        ω if φ(h) = sin ωh, else None.
    torch
        Returns φ as a PyTorch module; its first argument is the module torch.nn.
    textbook_init
        Name of the initialiser that textbooks use with this activation. It takes over the
        parameters of the activation that it has, too.
    """

    value: Callable[..., Any]
    derivative: Callable[..., Any]
    max_derivative: float | Callable[..., float]
    is_odd: bool = False
    slope_at_zero: Slopes | Callable[..., Slopes]
    slope_at_infinity: Slopes | Callable[..., Slopes]
    kinks: tuple[float, ...] | Callable[..., tuple[float, ...]] = ()
    log_value: Callable[..., Tail] | None = None
    log_derivative: Callable[..., Tail] | None = None
    decay: int = 0
    frequency: Callable[..., float] | None = None
    torch: Callable[..., Any]
    textbook_init: str


def _exp_square(c: float, h: Array) -> Any:
    """exp(c h²), c < 0, to a few ulp: h² is split into an exact product and a small rest."""
    high = h.astype(np.float32).astype(np.float64)
    return np.exp(c * high * high) * np.exp(c * (h - high) * (h + high))


def _upper_tail(a: Array) -> Any:
    """Φ(-a) for a ≥ 0."""
    from scipy.special import erfcx

    a = np.minimum(a, 40.0)  # Φ(-40) underflows
    return 0.5 * _exp_square(-0.5, a) * erfcx(a / math.sqrt(2.0))


def _gelu(h: Array) -> Any:
    tail = _upper_tail(np.abs(h))
    return h * np.where(h < 0, tail, 1.0 - tail)


def _gelu_derivative(h: Array) -> Any:
    """Φ(h) + h Φ'(h); for h < 0 as Φ'(h) (Φ(h)/Φ'(h) + h), and φ'(-h) = 1 - φ'(h)."""
    from scipy.special import erfcx

    a = np.minimum(np.abs(h), 40.0)
    density = _exp_square(-0.5, a) / math.sqrt(2.0 * math.pi)
    tail = density * (math.sqrt(math.pi / 2.0) * erfcx(a / math.sqrt(2.0)) - a)
    return np.where(h < 0, tail, 1.0 - tail)


def _log_gelu(h: Array) -> Tail:
    from scipy.special import log_ndtr

    return np.sign(h), np.log(np.abs(h)) + log_ndtr(h)


def _log_gelu_derivative(h: Array) -> Tail:
    """φ' = Φ' (Φ/Φ' + h) < 0, with Mills' ratio Φ/Φ'."""
    from scipy.special import erfcx

    a = np.maximum(-h, 1.0)
    mills = math.sqrt(math.pi / 2.0) * erfcx(a / math.sqrt(2.0))
    return -1.0, -0.5 * a * a - 0.5 * math.log(2.0 * math.pi) + np.log(a - mills)


def _sigmoid(h: Array) -> Any:
    e = np.exp(-np.abs(h))
    return np.where(h < 0, e, 1.0) / (1.0 + e)


def _sigmoid_derivative(h: Array) -> Any:
    e = np.exp(-np.abs(h))
    return e / (1.0 + e) ** 2


def _silu_derivative(h: Array) -> Any:
    """σ(h) (1 + h σ(-h)), and φ'(-h) = 1 - φ'(h)."""
    a = np.minimum(np.abs(h), 800.0)  # e^-800 underflows
    e = np.exp(-a)
    tail = e / (1.0 + e) * (1.0 - a / (1.0 + e))
    return np.where(h < 0, tail, 1.0 - tail)


def _mish_factors(h: Array) -> tuple[Array, Array, Array]:
    """(e, r, s) with φ(h) = h e r and φ'(h) = e s, where e is 1 or e^h, which may underflow.

    φ(h)/h = N/(N + 2) with N = u (2 + u) and u = e^h, for h > 0 in terms of 1/u.
    """
    up, h = h > 0, np.clip(h, -800.0, 800.0)  # e^-800 underflows
    e = np.exp(-np.abs(h))
    top = np.where(up, 1.0 + 2.0 * e, 2.0 + e)
    below = np.where(up, top + 2.0 * e * e, 2.0 + e * top)
    slope = top / below + 4.0 * h * np.where(up, e * e, 1.0) * (1.0 + e) / below**2
    return np.where(up, 1.0, e), top / below, slope


def _mish(h: Array) -> Any:
    front, ratio, _ = _mish_factors(h)
    return h * (front * ratio)


def _mish_derivative(h: Array) -> Any:
    front, _, slope = _mish_factors(h)
    return front * slope


_GELU_SLOPE = math.sqrt(8.0 / math.pi)  # GELU with tanh is h σ(v), v = slope · (h + cube · h³)
_GELU_CUBE = 0.044715


def _gelu_argument(h: Array) -> tuple[Array, Array]:
    """V and h v'."""
    h = np.clip(h, -1e50, 1e50)  # the cube of a larger number may overflow
    cube = _GELU_CUBE * h * h
    return _GELU_SLOPE * h * (1.0 + cube), _GELU_SLOPE * h * (1.0 + 3.0 * cube)


def _gelu_decay(a: Array) -> Any:
    """exp(-v(a)) for a ≥ 0, to a few ulp.

    a is split into a high part of 11 bits and a rest, and the coefficients of v into 20 bits and a
    rest, so that both large terms of v are exact products.
    """
    high = a.astype(np.float16).astype(np.float64)
    slope, cube = (float(np.float32(c)) for c in (_GELU_SLOPE, _GELU_SLOPE * _GELU_CUBE))
    cube = math.ldexp(round(math.ldexp(cube, 23)), -23)
    low_slope, low_cube = _GELU_SLOPE - slope, _GELU_SLOPE * _GELU_CUBE - cube
    rest = low_slope * high + low_cube * high**3
    rest += (a - high) * (_GELU_SLOPE * (1.0 + _GELU_CUBE * (a * a + a * high + high * high)))
    return np.exp(-slope * high) * np.exp(-cube * high**3) * np.exp(-rest)


def _gelu_tanh(h: Array) -> Any:
    e = _gelu_decay(np.minimum(np.abs(h), 25.0))  # exp(-v(25)) underflows
    return h * (np.where(h < 0, e, 1.0) / (1.0 + e))


def _gelu_tanh_derivative(h: Array) -> Any:
    """σ(v) (1 + h v' σ(-v)), and φ'(-h) = 1 - φ'(h)."""
    a = np.minimum(np.abs(h), 25.0)
    e, growth = _gelu_decay(a), _gelu_argument(a)[1]
    tail = e / (1.0 + e) * (1.0 - growth / (1.0 + e))
    return np.where(h < 0, tail, 1.0 - tail)


def _log_gelu_tanh(h: Array) -> Tail:
    return np.sign(h), np.log(np.abs(h)) - np.logaddexp(0.0, -_gelu_argument(h)[0])


def _log_gelu_tanh_derivative(h: Array) -> Tail:
    v, growth = _gelu_argument(h)
    return -1.0, v + np.log(np.maximum(-growth - 1.0, 1.0))


def _hard_sigmoid(h: Array) -> Any:
    return np.clip(h + 3.0, 0.0, 6.0) / 6.0


def _hard_swish_derivative(h: Array) -> Any:
    return np.where(np.abs(h) < 3.0, (2.0 * np.clip(h, -3.0, 3.0) + 3.0) / 6.0, 1.0 * (h > 0))


def _hard_sigmoid_module(nn: Any) -> Any:
    class Hardsigmoid(nn.Hardsigmoid):  # type: ignore[misc]
        """PyTorch's has the slope 1/6 of float32, in float64 too."""

        def forward(self, h: Any) -> Any:
            return nn.functional.relu6(h + 3.0) / 6.0

    return Hardsigmoid()


def _angle(h: Array, omega: float) -> Any:
    """ω h, which a finite h must not make infinite."""
    return omega * np.clip(h, -1e300, 1e300)


def _sine_module(nn: Any, omega: float) -> Any:
    class Sine(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.omega = omega

        def forward(self, h: Any) -> Any:
            return (self.omega * h).sin()

    return Sine()


def _softplus(h: Array) -> Any:
    return np.maximum(h, 0.0) + np.log1p(np.exp(-np.abs(h)))


def _elu(h: Array, alpha: float) -> Any:
    return np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0.0)))


def _elu_derivative(h: Array, alpha: float) -> Any:
    return np.where(h > 0, 1.0, alpha * np.exp(np.minimum(h, 0.0)))


def _tanh_derivative(h: Array) -> Any:
    e = np.exp(-2.0 * np.minimum(np.abs(h), 400.0))  # e^-800 underflows
    return 4.0 * e / (1.0 + e) ** 2


def _erf(h: Array) -> Any:
    from scipy.special import erf

    return erf(h)


def _erf_derivative(h: Array) -> Any:
    return TWO_OVER_SQRT_PI * _exp_square(-1.0, np.minimum(np.abs(h), 30.0))  # e^-900 underflows


def _erf_module(nn: Any) -> Any:
    class Erf(nn.Module):  # type: ignore[misc]
        def forward(self, h: Any) -> Any:
            return h.erf()

    return Erf()


_RECTIFIED: Slopes = (0.0, 1.0)
_BOUNDED: Slopes = (0.0, 0.0)
_NOT_ZERO_AT_ZERO: Slopes = (math.nan, math.nan)
_SLOPE = Number("0, or from 1e-6 to 1e6", lambda x: x == 0 or 1e-6 <= x <= 1e6, default=0.01)
_ALPHA = Number("from 1e-6 to 1e6", lambda x: 1e-6 <= x <= 1e6, default=1.0)
ACTIVATIONS: dict[str, _ActivationEntry] = {
    "linear": _ActivationEntry(
        value=lambda h: h.copy(),
        derivative=np.ones_like,
        max_derivative=1.0,
        is_odd=True,
        slope_at_zero=(1.0, 1.0),
        slope_at_infinity=(1.0, 1.0),
        torch=lambda nn: nn.Identity(),
        textbook_init="glorot_normal",
    ),
    "relu": _ActivationEntry(
        value=lambda h: np.maximum(h, 0.0),
        derivative=lambda h: np.where(h > 0, 1.0, 0.0),
        max_derivative=1.0,
        slope_at_zero=_RECTIFIED,
        slope_at_infinity=_RECTIFIED,
        kinks=(0.0,),
        torch=lambda nn: nn.ReLU(),
        textbook_init="he_normal",
    ),
    "leaky_relu": _ActivationEntry(
        parameters={"slope": _SLOPE},
        value=lambda h, slope: np.where(h > 0, h, slope * h),
        derivative=lambda h, slope: np.where(h > 0, 1.0, slope),
        max_derivative=lambda slope: max(1.0, slope),
        slope_at_zero=lambda slope: (slope, 1.0),
        slope_at_infinity=lambda slope: (slope, 1.0),
        kinks=(0.0,),
        torch=lambda nn, slope: nn.LeakyReLU(slope),
        textbook_init="he_normal",
    ),
    "elu": _ActivationEntry(
        parameters={"alpha": _ALPHA},
        value=_elu,
        derivative=_elu_derivative,
        max_derivative=lambda alpha: max(1.0, alpha),
        slope_at_zero=lambda alpha: (alpha, 1.0),
        slope_at_infinity=lambda alpha: _RECTIFIED,
        log_derivative=lambda h, alpha: (1.0, h + math.log(alpha)),
        kinks=(0.0,),
        torch=lambda nn, alpha: nn.ELU(alpha),
        textbook_init="he_normal",
    ),
    "selu": _ActivationEntry(
        value=lambda h: SELU_SCALE * _elu(h, SELU_ALPHA),
        derivative=lambda h: SELU_SCALE * _elu_derivative(h, SELU_ALPHA),
        max_derivative=SELU_SCALE * SELU_ALPHA,
        slope_at_zero=(SELU_SCALE * SELU_ALPHA, SELU_SCALE),
        slope_at_infinity=(0.0, SELU_SCALE),
        log_derivative=lambda h: (1.0, h + math.log(SELU_SCALE * SELU_ALPHA)),
        kinks=(0.0,),
        torch=lambda nn: nn.SELU(),
        textbook_init="lecun_normal",
    ),
    "gelu": _ActivationEntry(
        value=_gelu,
        derivative=_gelu_derivative,
        max_derivative=0.5 + 0.5 * math.erf(1.0) + math.exp(-1.0) / math.sqrt(math.pi),
        slope_at_zero=(0.5, 0.5),
        slope_at_infinity=_RECTIFIED,
        log_value=_log_gelu,
        log_derivative=_log_gelu_derivative,
        torch=lambda nn: nn.GELU(),
        textbook_init="he_normal",
    ),
    "silu": _ActivationEntry(
        value=lambda h: h * _sigmoid(h),
        derivative=_silu_derivative,
        max_derivative=SILU_MAX_DERIVATIVE,
        slope_at_zero=(0.5, 0.5),
        slope_at_infinity=_RECTIFIED,
        log_value=lambda h: (np.sign(h), np.log(np.abs(h)) - np.logaddexp(0.0, -h)),
        log_derivative=lambda h: (-1.0, h + np.log(np.maximum(-h - 1.0, 1.0))),
        torch=lambda nn: nn.SiLU(),
        textbook_init="he_normal",
    ),
    "softplus": _ActivationEntry(
        value=_softplus,
        derivative=_sigmoid,
        max_derivative=1.0,
        slope_at_zero=_NOT_ZERO_AT_ZERO,
        slope_at_infinity=_RECTIFIED,
        log_value=lambda h: (1.0, h),
        log_derivative=lambda h: (1.0, h),
        torch=lambda nn: nn.Softplus(threshold=40.0),  # beyond 40 it equals h in float64
        textbook_init="he_normal",
    ),
    "sigmoid": _ActivationEntry(
        value=_sigmoid,
        derivative=_sigmoid_derivative,
        max_derivative=0.25,
        slope_at_zero=_NOT_ZERO_AT_ZERO,
        slope_at_infinity=_BOUNDED,
        log_value=lambda h: (1.0, h),
        log_derivative=lambda h: (1.0, -np.abs(h)),
        torch=lambda nn: nn.Sigmoid(),
        textbook_init="glorot_normal",
    ),
    "tanh": _ActivationEntry(
        value=np.tanh,
        derivative=_tanh_derivative,
        max_derivative=1.0,
        is_odd=True,
        slope_at_zero=(1.0, 1.0),
        slope_at_infinity=_BOUNDED,
        log_derivative=lambda h: (1.0, math.log(4.0) - 2.0 * np.abs(h)),
        torch=lambda nn: nn.Tanh(),
        textbook_init="glorot_normal",
    ),
    "hard_tanh": _ActivationEntry(
        value=lambda h: np.clip(h, -1.0, 1.0),
        derivative=lambda h: np.where(np.abs(h) < 1.0, 1.0, 0.0),
        max_derivative=1.0,
        is_odd=True,
        slope_at_zero=(1.0, 1.0),
        slope_at_infinity=_BOUNDED,
        kinks=(-1.0, 1.0),
        torch=lambda nn: nn.Hardtanh(),
        textbook_init="glorot_normal",
    ),
    "erf": _ActivationEntry(
        value=_erf,
        derivative=_erf_derivative,
        max_derivative=TWO_OVER_SQRT_PI,
        is_odd=True,
        slope_at_zero=(TWO_OVER_SQRT_PI, TWO_OVER_SQRT_PI),
        slope_at_infinity=_BOUNDED,
        log_derivative=lambda h: (1.0, math.log(TWO_OVER_SQRT_PI) - h * h),
        torch=_erf_module,
        textbook_init="glorot_normal",
    ),
    "softsign": _ActivationEntry(
        value=lambda h: h / (1.0 + np.abs(h)),
        derivative=lambda h: (1.0 + np.abs(h)) ** -2.0,
        max_derivative=1.0,
        is_odd=True,
        slope_at_zero=(1.0, 1.0),
        slope_at_infinity=_BOUNDED,
        log_derivative=lambda h: (1.0, -2.0 * np.log1p(np.abs(h))),
        decay=2,
        kinks=(0.0,),
        torch=lambda nn: nn.Softsign(),
        textbook_init="glorot_normal",
    ),
    "mish": _ActivationEntry(
        value=_mish,
        derivative=_mish_derivative,
        max_derivative=MISH_MAX_DERIVATIVE,
        slope_at_zero=(0.6, 0.6),
        slope_at_infinity=_RECTIFIED,
        log_value=lambda h: (np.sign(h), np.log(np.abs(h)) + h),
        log_derivative=lambda h: (-1.0, h + np.log(np.maximum(-h - 1.0, 1.0))),
        torch=lambda nn: nn.Mish(),
        textbook_init="he_normal",
    ),
    "relu6": _ActivationEntry(
        value=lambda h: np.clip(h, 0.0, 6.0),
        derivative=lambda h: np.where((h > 0) & (h < 6.0), 1.0, 0.0),
        max_derivative=1.0,
        slope_at_zero=_RECTIFIED,
        slope_at_infinity=_BOUNDED,
        kinks=(0.0, 6.0),
        torch=lambda nn: nn.ReLU6(),
        textbook_init="he_normal",
    ),
    "hard_sigmoid": _ActivationEntry(
        value=_hard_sigmoid,
        derivative=lambda h: np.where(np.abs(h) < 3.0, 1.0 / 6.0, 0.0),
        max_derivative=1.0 / 6.0,
        slope_at_zero=_NOT_ZERO_AT_ZERO,
        slope_at_infinity=_BOUNDED,
        kinks=(-3.0, 3.0),
        torch=_hard_sigmoid_module,
        textbook_init="glorot_normal",
    ),
    "hard_swish": _ActivationEntry(
        value=lambda h: h * _hard_sigmoid(h),
        derivative=_hard_swish_derivative,
        max_derivative=1.5,
        slope_at_zero=(0.5, 0.5),
        slope_at_infinity=_RECTIFIED,
        kinks=(-3.0, 3.0),
        torch=lambda nn: nn.Hardswish(),
        textbook_init="he_normal",
    ),
    "gelu_tanh": _ActivationEntry(
        value=_gelu_tanh,
        derivative=_gelu_tanh_derivative,
        max_derivative=GELU_TANH_MAX_DERIVATIVE,
        slope_at_zero=(0.5, 0.5),
        slope_at_infinity=_RECTIFIED,
        log_value=_log_gelu_tanh,
        log_derivative=_log_gelu_tanh_derivative,
        torch=lambda nn: nn.GELU(approximate="tanh"),
        textbook_init="he_normal",
    ),
    "sine": _ActivationEntry(
        parameters={"omega": OMEGA},
        value=lambda h, omega: np.sin(_angle(h, omega)),
        derivative=lambda h, omega: omega * np.cos(_angle(h, omega)),
        max_derivative=lambda omega: omega,
        is_odd=True,
        slope_at_zero=lambda omega: (omega, omega),
        slope_at_infinity=lambda omega: _BOUNDED,
        frequency=lambda omega: omega,
        torch=_sine_module,
        textbook_init="siren",
    ),
}
_CUSTOM = _ActivationEntry(**FIELDS)
_ALIASES = {"swish": "silu"}
_ELSEWHERE = {
    **_ALIASES,
    "identity": "linear",
    "none": "linear",
    "logistic": "sigmoid",
    "leaky": "leaky_relu",
    "lrelu": "leaky_relu",
    "hardtanh": "hard_tanh",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "gelu_new": "gelu_tanh",
    "sin": "sine",
    "siren": "sine",
}


def _finite(h: ArrayLike) -> Array:
    array = real_array("h", h, "must be a number or an array of numbers")
    if not np.isfinite(array).all():
        raise value_error("h", f"must be finite, got {brief(h)}")
    return array


class Activation(Named):
    """An activation function φ, applied elementwise; immutable and hashable.

    Parameters
    ----------
    name : str
        One of ``linear``, ``relu``, ``leaky_relu``, ``elu``, ``selu``, ``gelu`` (exact, with the
        error function), ``silu``, ``softplus``, ``sigmoid``, ``tanh``, ``hard_tanh``, ``erf``,
        ``softsign``, ``mish`` (h tanh(softplus h)), ``relu6``, ``hard_sigmoid``, ``hard_swish`` and
        ``gelu_tanh`` (GELU approximated with tanh), all as in PyTorch, and ``sine`` (sin ωh).
        ``swish`` is another name of ``silu``. Or ``custom``: any function, see the notes.
    slope : float, default 0.01
        ``leaky_relu`` only: φ'(h) for h ≤ 0. Either 0 or from 1e-6 to 1e6; with smaller slopes,
        float32 could not distinguish a network from a dead one.
    alpha : float, default 1.0
        ``elu`` only: -φ(-∞), from 1e-6 to 1e6.
    omega : float, default 30.0
        ``sine`` only: the angular frequency ω, from 1e-6 to 1e6.
    function, derivative : callable
        ``custom`` only: φ and φ', which take an array of float64 and return one of the same shape.
        They are called for |h| ≤ 1024 at most, once and for all: see the notes.
    kinks : sequence of float, optional
        ``custom`` only: where φ' or φ'' jumps, six points between -1024 and 1024 at most. Others
        are looked for; declaring them is of use if they are no round numbers.

    Attributes
    ----------
    name : str
    parameters : mapping of str to float
        All parameters, including those at their default.

    Raises
    ------
    ValueError
        If the name is unknown or a parameter is outside its domain; for ``custom``, if a function
        is not vectorised, finite and deterministic, if `derivative` is not the derivative of
        `function`, or if φ is constant, jumps, has a tail that is not straight, too many kinks or
        too narrow a feature, or a largest slope that is not from 1e-12 to 1e12. The error says
        which and where.
    TypeError
        If a parameter is of the wrong type, or does not belong to this activation.

    Notes
    -----
    Units of ``relu``, ``relu6``, ``hard_tanh``, ``hard_sigmoid`` and ``hard_swish`` can be dead:
    their φ' is exactly 0 on an interval. The others are never exactly flat.

    ``sine``: the phase of ωh has an error of about ε|ωh|, with ε = 1e-7 in float32 and 2e-16 in
    float64, from the rounding of h. Simulations use larger angles than 2^12 π/2 = 6,400 (float32)
    and 2^40 π/2 = 1.7e12 (float64) after division by a power of two: a phase that rounding
    determines anyway remains spread over all angles, and no unit is dead.

    A custom activation is approximated by piecewise polynomials, once for float32 and once for
    float64, to the accuracy of the type: φ(h)/h near 0 if φ(0) = 0, φ' of its own. Beyond an
    interval the tails must be straight lines a + s h, to the accuracy of float64. Where φ' tends to
    0, its logarithm is approximated, down to 2^-1000; further out φ' = 0, and units are dead. Where
    `derivative` itself has no correct digits, as ``1 - np.tanh(h)**2`` for |h| > 15, they are dead
    too: ``np.cosh(h)**-2.0`` has them all. At a kink φ' is the limit that `derivative` takes there,
    or the left one. Features of a width below about 1e-3 may not be noticed. Where φ(0) = φ'(0) =
    0, as for ``log(cosh(h))``, the slope near 0 has an error of 1e-7 (float32) or 1e-16 (float64)
    of the largest slope: a signal that vanishes in such a network, which would vanish faster from
    layer to layer, then does so by this factor only.

    The coefficients define the activation, and their SHA-256 is its parameter ``sha256``, by which
    activations are compared. They are pickled, and stored in files and stores. NumPy may round
    ``np.exp`` differently on another machine, and then the same functions give another SHA-256 and
    other samples: load the activation from a file instead.

    References
    ----------
    Mish: Misra 2019. ReLU6, hard swish, hard sigmoid: Howard et al., "Searching for MobileNetV3",
    2019. GELU: Hendrycks and Gimpel 2016. Sine: Sitzmann et al., "Implicit neural representations
    with periodic activation functions", 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> leaky = vgsim.Activation("leaky_relu", slope=0.1)
    >>> leaky.value([-2.0, 3.0])
    array([-0.2,  3. ])
    >>> leaky == vgsim.Activation("leaky_relu")
    False
    >>> vgsim.Activation("swish")
    Activation('silu')
    >>> bump = vgsim.Activation(
    ...     "custom",
    ...     function=lambda h: h * np.exp(-h * h),
    ...     derivative=lambda h: (1 - 2 * h * h) * np.exp(-h * h),
    ... )
    >>> net = vgsim.MLP(50, 64, activation=bump, gain=1.5)
    >>> bool(vgsim.simulate(net, 200).dead.any())
    False
    """

    _argument: ClassVar[str] = "activation"
    _table = ACTIVATIONS | {CUSTOM: _CUSTOM}
    _aliases = _ALIASES
    _elsewhere = _ELSEWHERE

    def __init__(self, name: str, /, **parameters: Any) -> None:
        if name == CUSTOM and "sha256" not in parameters:
            parameters = {"sha256": from_functions(**parameters).sha256}
        super().__init__(name, **parameters)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (
            (_restored, (self.table.content,))
            if self.is_custom
            else super().__reduce_ex__(protocol)
        )

    @property
    def is_custom(self) -> bool:
        """Whether a table defines the activation."""
        return bool(self.name == CUSTOM)

    @property
    def table(self) -> CustomTable:
        """The table of a custom activation."""
        return table_of(str(self._values[0]))

    @property
    def law(self) -> _ActivationEntry:
        """The entry of the table of activations; its functions take the parameters as well."""
        return self._table[self.name]

    def _of(self, entry: Any) -> Any:
        """Return an item of the table, evaluated at the parameters if it is a function of them."""
        return entry(*self._values) if callable(entry) else entry

    @property
    def textbook_init(self) -> Initializer:
        """The initialiser that textbooks use with the activation."""
        name = self.law.textbook_init
        known = INITIALIZERS[name].parameters
        shared = {key: value for key, value in self.parameters.items() if key in known}
        return Initializer(name, **shared)

    @property
    def frequency(self) -> float | None:
        """ω if φ(h) = sin ωh, else None."""
        return None if self.law.frequency is None else self._of(self.law.frequency)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The h at which φ, φ' or φ'' jumps."""
        kinks: tuple[float, ...] = self._of(self.law.kinks)
        return kinks

    @property
    def slope_below_zero(self) -> float | None:
        """φ'(h) for h < 0 if φ is linear on both sides of 0 with φ'(h > 0) = 1; else None.

        None for every custom activation.
        """
        if self.is_custom:
            return None
        left, right = self.slope_at_zero
        return left if (left, right) == self.slope_at_infinity and right == 1 else None

    @property
    def kernel_name(self) -> str:
        """The name by which the kernels know the activation."""
        return self.table.kind if self.is_custom else self.name

    @property
    def kernel_parameters(self) -> tuple[float, float]:
        """The parameters in order, padded with 0.0 to two, as the kernels take them.

        Those of a custom activation are in its table.
        """
        if self.is_custom:
            return 0.0, 0.0
        first, second, *_ = (*(float(value) for value in self._values), 0.0, 0.0)
        return first, second

    def value(self, h: ArrayLike) -> Array:
        """φ(h), elementwise.

        Parameters
        ----------
        h : array_like of finite float
            Pre-activations, of any shape.

        Returns
        -------
        ndarray of float64, the shape of h

        Raises
        ------
        TypeError, ValueError
            If h is not of finite real numbers.
        """
        h = _finite(h)
        return np.asarray(self.law.value(h, *self._values), dtype=np.float64)

    def derivative(self, h: ArrayLike) -> Array:
        """φ'(h), elementwise, with full relative accuracy in the tails.

        At a jump the value is PyTorch's: at 0 the left derivative of relu and relu6 (0), leaky_relu
        (slope), elu (alpha) and selu; where hard_tanh (±1), relu6 (6), hard_sigmoid (±3) and
        hard_swish (±3) become flat or, hard_swish at 3, the identity, that of the outer side.

        Parameters
        ----------
        h : array_like of finite float
            Pre-activations, of any shape.

        Returns
        -------
        ndarray of float64, the shape of h

        Raises
        ------
        TypeError, ValueError
            If h is not of finite real numbers.
        """
        h = _finite(h)
        return np.asarray(self.law.derivative(h, *self._values), dtype=np.float64)

    @property
    def max_derivative(self) -> float:
        """The supremum of |φ'| over all h, relative to which a unit counts as saturated."""
        return float(self._of(self.law.max_derivative))

    @property
    def slope_at_zero(self) -> Slopes:
        """(left, right) limits of φ(h)/h as h → 0; nan where φ(0) is not 0."""
        slopes: Slopes = self._of(self.law.slope_at_zero)
        return slopes

    @property
    def slope_at_infinity(self) -> Slopes:
        """(left, right) limits of φ(h)/h as h → ∓∞."""
        slopes: Slopes = self._of(self.law.slope_at_infinity)
        return slopes


def _restored(content: bytes) -> Activation:
    """Return the custom activation with that table."""
    return Activation(CUSTOM, sha256=kept(CustomTable.from_content(content)).sha256)


def as_activation(value: str | Activation) -> Activation:
    """Return `value` if it is an Activation, else the activation of that name with its defaults.

    Raises
    ------
    ValueError, TypeError
        If there is no such activation; the message lists the names.

    Examples
    --------
    >>> from vgsim._networks.activations import as_activation
    >>> as_activation("tanh")
    Activation('tanh')
    """
    made: Activation = Activation._made(value, {})
    return made
