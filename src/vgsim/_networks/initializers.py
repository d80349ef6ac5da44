"""Weight initialisers: one table of their names, parameters, laws and standard deviations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from vgsim._checks import COUNTERS, value_error
from vgsim._domains import Choice, Integer, Number
from vgsim._networks.named import Entry, Named

__all__ = [
    "GAIN",
    "INITIALIZERS",
    "OMEGA",
    "STD",
    "UNITS",
    "Initializer",
    "check_bias",
    "check_matrix",
    "check_weight_std",
    "padded",
]

MIN_STD, MAX_STD = 1e-200, 1e200
UNITS = Integer(1, COUNTERS - 1)
GAIN = Number("a finite number > 0", lambda x: x > 0)
OMEGA = Number("from 1e-6 to 1e6", lambda x: 1e-6 <= x <= 1e6, default=30.0)
STD = Number(f"0, or from {MIN_STD} to {MAX_STD}", lambda x: x == 0 or MIN_STD <= x <= MAX_STD)

Distribution = Literal["normal", "uniform", "truncated_normal", "orthogonal", "identity"]


@dataclass(frozen=True, kw_only=True)
class _InitializerEntry(Entry):
    """One initialiser: the law of a weight and its std as a function of fans and parameters."""

    distribution: Distribution
    weight_std: Callable[..., float]
    bias_limit: Callable[[int], float] | None = None
    is_recurrent: bool = False


def _lecun(fan_in: int, fan_out: int) -> float:
    return math.sqrt(1.0 / fan_in)


def _glorot(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2.0 / (fan_in + fan_out))


def _he(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2.0 / fan_in)


def _siren(fan_in: int, fan_out: int, omega: float) -> float:
    return math.sqrt(2.0 / fan_in) / omega


def _scaled(fan_in: int, fan_out: int, scale: float, mode: str) -> float:
    fan = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2.0, "fan_out": fan_out}[mode]
    return math.sqrt(scale / fan)


_POSITIVE = Number("from 1e-100 to 1e100", lambda x: 1e-100 <= x <= 1e100)
_SCALE = Number(_POSITIVE.allowed, _POSITIVE.accepts, default=1.0)
_MODE = Choice(("fan_in", "fan_avg", "fan_out"), default="fan_in")
INITIALIZERS: dict[str, _InitializerEntry] = {
    "lecun_normal": _InitializerEntry(distribution="normal", weight_std=_lecun),
    "lecun_uniform": _InitializerEntry(distribution="uniform", weight_std=_lecun),
    "glorot_normal": _InitializerEntry(distribution="normal", weight_std=_glorot),
    "glorot_uniform": _InitializerEntry(distribution="uniform", weight_std=_glorot),
    "he_normal": _InitializerEntry(distribution="normal", weight_std=_he),
    "he_uniform": _InitializerEntry(distribution="uniform", weight_std=_he),
    "truncated_normal": _InitializerEntry(
        parameters={"scale": _SCALE, "mode": _MODE},
        distribution="truncated_normal",
        weight_std=_scaled,
    ),
    "normal": _InitializerEntry(
        parameters={"std": _POSITIVE},
        distribution="normal",
        weight_std=lambda fan_in, fan_out, std: std,
    ),
    "uniform": _InitializerEntry(
        parameters={"limit": _POSITIVE},
        distribution="uniform",
        weight_std=lambda fan_in, fan_out, limit: limit / math.sqrt(3.0),
    ),
    "torch_default": _InitializerEntry(
        distribution="uniform",
        weight_std=lambda fan_in, fan_out: math.sqrt(1.0 / (3.0 * fan_in)),
        bias_limit=lambda fan_in: 1.0 / math.sqrt(fan_in),
    ),
    "torch_recurrent": _InitializerEntry(
        distribution="uniform",
        weight_std=lambda fan_in, fan_out: math.sqrt(1.0 / (3.0 * fan_in)),
        bias_limit=lambda fan_in: 1.0 / math.sqrt(fan_in),
        is_recurrent=True,
    ),
    "orthogonal": _InitializerEntry(
        distribution="orthogonal",
        weight_std=lambda fan_in, fan_out: math.sqrt(1.0 / max(fan_in, fan_out)),
    ),
    "identity": _InitializerEntry(distribution="identity", weight_std=_lecun),
    "siren": _InitializerEntry(
        parameters={"omega": OMEGA}, distribution="uniform", weight_std=_siren
    ),
}
_ELSEWHERE = {
    "he": "he_normal",
    "kaiming": "he_normal",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "glorot": "glorot_normal",
    "xavier": "glorot_normal",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
    "lecun": "lecun_normal",
    "gaussian": "normal",
    "random_normal": "normal",
    "random_uniform": "uniform",
    "trunc_normal": "truncated_normal",
    "variance_scaling": "truncated_normal",
    "haar": "orthogonal",
    "orthonormal": "orthogonal",
    "eye": "identity",
    "default": "torch_default",
    "pytorch": "torch_default",
    "sine": "siren",
}


class Initializer(Named):
    """The law of a weight matrix: i.i.d. weights of mean 0, an orthogonal matrix or the identity.

    Immutable and hashable.

    Parameters
    ----------
    name : str
        ``lecun_normal``, ``lecun_uniform`` (variance 1/fan_in), ``glorot_normal``,
        ``glorot_uniform`` (2/(fan_in + fan_out)), ``he_normal``, ``he_uniform`` (2/fan_in),
        ``truncated_normal``, ``normal``, ``uniform``, ``torch_default``, ``torch_recurrent``,
        ``orthogonal`` or ``identity``. The normal ones are not truncated (as in PyTorch).
        ``torch_default`` is the law of ``torch.nn.Linear``: weights and biases uniform on
        ±1/√fan_in. ``torch_recurrent`` is that of ``torch.nn.RNN``, ``LSTM`` and ``GRU``, for
        recurrent networks only: weights, those of the drive too, and two biases uniform on ±1/√n.
        ``orthogonal`` is uniform over the orthogonal matrices (Haar measure); a matrix that is not
        square is a submatrix of a square one, with orthonormal rows or columns, as in PyTorch and
        Keras. ``identity`` is the identity matrix, for recurrent networks only. ``siren`` is that
        of networks with the activation ``sine``: uniform on ±√(6/fan_in)/omega, so that ω W x has
        the variance 1 if the mean square of x is ½, that of a sine. Sitzmann et al. draw the first
        layer from ±1/fan_in; here it has the law of the others.
    std : float
        ``normal`` only, required: standard deviation of a weight, the same at all widths.
    limit : float
        ``uniform`` only, required: weights are uniform on (-limit, limit).
    omega : float, default 30.0
        ``siren`` only: the ω of the activation, from 1e-6 to 1e6.
    scale : float, default 1.0
        ``truncated_normal`` only: variance of a weight times the fan.
    mode : {"fan_in", "fan_avg", "fan_out"}, default "fan_in"
        ``truncated_normal`` only: the fan in scale/fan, the variance of a weight. The normal law is
        truncated at ±2 of its standard deviations; scale/fan is the variance after truncation (as
        in Keras' VarianceScaling).

    Attributes
    ----------
    name : str
    parameters : mapping of str to float or str
        All parameters, including those at their default.

    Raises
    ------
    ValueError
        If the name is unknown or a parameter is outside its domain.
    TypeError
        If a parameter is missing, of the wrong type, or does not belong to this initialiser.

    Notes
    -----
    A weight matrix is n_l × n_{l-1}, its fan_in n_{l-1} and its fan_out n_l. Lecun et al. 1998,
    Glorot and Bengio 2010, He et al. 2015; orthogonal: Saxe, McClelland and Ganguli 2014; identity:
    Le, Jaitly and Hinton 2015; siren: Sitzmann et al. 2020.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.Initializer("normal", std=0.01).weight_std(fan_in=128, fan_out=128)
    0.01
    >>> vgsim.Initializer("he_normal").weight_std(fan_in=8, fan_out=32)
    0.5
    """

    _argument: ClassVar[str] = "init"
    _table = INITIALIZERS
    _elsewhere = _ELSEWHERE

    @property
    def distribution(self) -> Distribution:
        """The law of a weight: "normal", "uniform" or "truncated_normal" (at ±2σ).

        For laws of the whole matrix, "orthogonal" or "identity".
        """
        return INITIALIZERS[self.name].distribution

    @property
    def is_recurrent(self) -> bool:
        """Whether it is the law of PyTorch's recurrent modules, with two biases for each gate."""
        return INITIALIZERS[self.name].is_recurrent

    def weight_std(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation of one weight, after truncation and without gain.

        For an orthogonal matrix it is 1/√max(fan_in, fan_out), and for the identity the root mean
        square of all entries.
        """
        fans = UNITS.check("fan_in", fan_in), UNITS.check("fan_out", fan_out)
        return INITIALIZERS[self.name].weight_std(*fans, *self._values)

    def bias_limit(self, fan_in: int) -> float | None:
        """Return the limit of the uniform biases; None if the initialiser has no law of biases."""
        limit = INITIALIZERS[self.name].bias_limit
        return None if limit is None else limit(UNITS.check("fan_in", fan_in))


def padded(n: int) -> int:
    """Return the number of draws for a column of n numbers: n rounded up to a multiple of 4.

    Examples
    --------
    >>> from vgsim._networks.initializers import padded
    >>> padded(4), padded(5)
    (4, 8)
    """
    return -(-n // 4) * 4


def check_matrix(init: Initializer, fan_in: int, fan_out: int) -> None:
    """Refuse a weight matrix with more entries than its stream has random numbers."""
    if init.distribution == "orthogonal":  # drawn as a square matrix
        fan_in = fan_out = max(fan_in, fan_out)
    if fan_out * padded(fan_in) >= COUNTERS:
        square = " (orthogonal matrices are drawn square)" if init.name == "orthogonal" else ""
        raise value_error(
            "width",
            f"must give weight matrices of fewer than 2**32 = {COUNTERS} entries, with rows padded "
            f"to a multiple of 4, got widths {fan_in} and {fan_out} in a row: {fan_out} x "
            f"{padded(fan_in)}{square}",
        )


def check_weight_std(
    init: Initializer,
    fan_in: int,
    fan_out: int,
    gain: float,
    last_gain: float = 1.0,
    argument: str = "gain",
) -> None:
    """Refuse weights whose standard deviation is outside the range of the arithmetic."""
    for factor, times in ((1.0, ""), (last_gain, f" times last_gain {last_gain!r}")):
        std = gain * init.weight_std(fan_in, fan_out) * factor
        if not MIN_STD <= std <= MAX_STD:
            raise value_error(
                argument,
                f"must give weights of a standard deviation from {MIN_STD} to {MAX_STD}, got {std} "
                f"from gain {gain!r}{times} with init {init.name!r}",
            )


def check_bias(init: Initializer, bias_std: float) -> None:
    """Refuse normal biases with an initialiser that has its own law of biases."""
    if init.bias_limit(1) is not None and bias_std > 0:
        raise value_error(
            "bias_std",
            f"must be 0 with init {init.name!r}, which draws its own uniform biases, "
            f"got {bias_std!r}; for normal biases use init 'lecun_uniform' with gain 3**-0.5 = "
            "0.57735, which has the same law of weights",
        )
