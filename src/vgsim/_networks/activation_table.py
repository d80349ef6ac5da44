"""The table of activation functions: all that Python knows of each, and the formulas.

Derivatives keep their relative accuracy in the tails (no ``1 - y**2``): rounding never makes that
of a smooth activation 0, which would look like a dead unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._domains import Number
from vgsim._networks.initializers import OMEGA
from vgsim._networks.named import Entry

__all__ = ["ACTIVATIONS", "ActivationEntry", "Array", "Slopes", "Tail"]

Array = NDArray[np.float64]
Slopes = tuple[float, float]
Tail = tuple[float | Array, Array]
SELU_ALPHA = 1.6732632423543772848  # Klambauer et al. 2017
SELU_SCALE = 1.0507009873554804934
SILU_MAX_DERIVATIVE = 1.0998393201288669  # at h = 2.39935728..., the root of h tanh(h/2) = 2
GELU_TANH_MAX_DERIVATIVE = 1.1289930686587718  # at h = 1.41850400..., of GELU with tanh
MISH_MAX_DERIVATIVE = 1.0884981612517279  # at h = 1.49057117...
TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


@dataclass(frozen=True, kw_only=True)
class ActivationEntry(Entry):
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
ACTIVATIONS: dict[str, ActivationEntry] = {
    "linear": ActivationEntry(
        value=lambda h: h.copy(),
        derivative=np.ones_like,
        max_derivative=1.0,
        is_odd=True,
        slope_at_zero=(1.0, 1.0),
        slope_at_infinity=(1.0, 1.0),
        torch=lambda nn: nn.Identity(),
        textbook_init="glorot_normal",
    ),
    "relu": ActivationEntry(
        value=lambda h: np.maximum(h, 0.0),
        derivative=lambda h: np.where(h > 0, 1.0, 0.0),
        max_derivative=1.0,
        slope_at_zero=_RECTIFIED,
        slope_at_infinity=_RECTIFIED,
        kinks=(0.0,),
        torch=lambda nn: nn.ReLU(),
        textbook_init="he_normal",
    ),
    "leaky_relu": ActivationEntry(
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
    "elu": ActivationEntry(
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
    "selu": ActivationEntry(
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
    "gelu": ActivationEntry(
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
    "silu": ActivationEntry(
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
    "softplus": ActivationEntry(
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
    "sigmoid": ActivationEntry(
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
    "tanh": ActivationEntry(
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
    "hard_tanh": ActivationEntry(
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
    "erf": ActivationEntry(
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
    "softsign": ActivationEntry(
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
    "mish": ActivationEntry(
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
    "relu6": ActivationEntry(
        value=lambda h: np.clip(h, 0.0, 6.0),
        derivative=lambda h: np.where((h > 0) & (h < 6.0), 1.0, 0.0),
        max_derivative=1.0,
        slope_at_zero=_RECTIFIED,
        slope_at_infinity=_BOUNDED,
        kinks=(0.0, 6.0),
        torch=lambda nn: nn.ReLU6(),
        textbook_init="he_normal",
    ),
    "hard_sigmoid": ActivationEntry(
        value=_hard_sigmoid,
        derivative=lambda h: np.where(np.abs(h) < 3.0, 1.0 / 6.0, 0.0),
        max_derivative=1.0 / 6.0,
        slope_at_zero=_NOT_ZERO_AT_ZERO,
        slope_at_infinity=_BOUNDED,
        kinks=(-3.0, 3.0),
        torch=_hard_sigmoid_module,
        textbook_init="glorot_normal",
    ),
    "hard_swish": ActivationEntry(
        value=lambda h: h * _hard_sigmoid(h),
        derivative=_hard_swish_derivative,
        max_derivative=1.5,
        slope_at_zero=(0.5, 0.5),
        slope_at_infinity=_RECTIFIED,
        kinks=(-3.0, 3.0),
        torch=lambda nn: nn.Hardswish(),
        textbook_init="he_normal",
    ),
    "gelu_tanh": ActivationEntry(
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
    "sine": ActivationEntry(
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
