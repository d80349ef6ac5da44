"""Weight initialisers: one table of their names, parameters, laws and standard deviations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict, get_args

from numpy.typing import ArrayLike

from vgsim._checks import COUNTERS, value_error
from vgsim._domains import Choice, Domain, Integer, Number
from vgsim._networks.custom_table import CustomTable, kept
from vgsim._networks.custom_weights import from_quantile, quantile_of
from vgsim._networks.named import Entry, Named
from vgsim.typing import LawName, Mode

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "GAIN",
    "INDEPENDENT",
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

Independent = Literal[  # laws of matrices with independent entries of mean 0
    "normal",
    "uniform",
    "truncated_normal",
    "student_t",
    "laplace",
    "rademacher",
    "sparse",
    "custom",
]
INDEPENDENT: tuple[str, ...] = get_args(Independent)
Distribution = Literal[Independent, "diagonal", "orthogonal", "identity"]
CUSTOM: Literal["custom"] = "custom"


@dataclass(frozen=True, kw_only=True)
class _InitializerEntry(Entry):
    """One initialiser: the law of a weight, its std and the parameters of the law.

    Both are functions of the fans and of the parameters of the initialiser.
    """

    distribution: Distribution
    weight_std: Callable[..., float]
    law_parameters: Callable[..., tuple[float | str, ...]] = lambda *_: ()
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


def _scaled(fan_in: int, fan_out: int, *parameters: Any) -> float:
    """Return √(scale/fan); scale and mode are the last parameters."""
    *_, scale, mode = parameters
    fan = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2.0, "fan_out": fan_out}[mode]
    return math.sqrt(scale / fan)


def _relative_diagonal(
    fan_in: int, fan_out: int, diagonal: float, *scaling: Any
) -> tuple[float | str, ...]:
    """Return the diagonal in standard deviations of the noise."""
    return (diagonal / _scaled(fan_in, fan_out, *scaling),)


_POSITIVE = Number("from 1e-100 to 1e100", lambda x: 1e-100 <= x <= 1e100)
_SCALE = Number(_POSITIVE.allowed, _POSITIVE.accepts, default=1.0)
_MODE: Choice[Mode] = Choice(get_args(Mode), default="fan_in")
_SCALING: dict[str, Number | Choice[Mode]] = {"scale": _SCALE, "mode": _MODE}
_NOISE = Number("from 1e-12 to 1e12", lambda x: 1e-12 <= x <= 1e12, default=1.0)
_DF = Number("> 2, for a finite variance, and at most 1e6", lambda x: 2 < x <= 1e6, example=3)
_DENSITY = Number("from 2**-32 to 1", lambda x: 2**-32 <= x <= 1)
_DIAGONAL = Number("from -1e6 to 1e6", lambda x: abs(x) <= 1e6, default=1.0)
INITIALIZERS: dict[str, _InitializerEntry] = {
    "lecun_normal": _InitializerEntry(distribution="normal", weight_std=_lecun),
    "lecun_uniform": _InitializerEntry(distribution="uniform", weight_std=_lecun),
    "glorot_normal": _InitializerEntry(distribution="normal", weight_std=_glorot),
    "glorot_uniform": _InitializerEntry(distribution="uniform", weight_std=_glorot),
    "he_normal": _InitializerEntry(distribution="normal", weight_std=_he),
    "he_uniform": _InitializerEntry(distribution="uniform", weight_std=_he),
    "truncated_normal": _InitializerEntry(
        parameters=_SCALING, distribution="truncated_normal", weight_std=_scaled
    ),
    "student_t": _InitializerEntry(
        parameters={"df": _DF, **_SCALING},
        distribution="student_t",
        weight_std=_scaled,
        law_parameters=lambda fan_in, fan_out, df, *scaling: (df,),
    ),
    "laplace": _InitializerEntry(parameters=_SCALING, distribution="laplace", weight_std=_scaled),
    "rademacher": _InitializerEntry(
        parameters=_SCALING, distribution="rademacher", weight_std=_scaled
    ),
    "sparse": _InitializerEntry(
        parameters={"density": _DENSITY, **_SCALING},
        distribution="sparse",
        weight_std=_scaled,
        law_parameters=lambda fan_in, fan_out, density, *scaling: (density,),
    ),
    "diagonal": _InitializerEntry(
        parameters={"diagonal": _DIAGONAL, "scale": _NOISE, "mode": _MODE},
        distribution="diagonal",
        weight_std=_scaled,
        law_parameters=_relative_diagonal,
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


class _Fingerprint(Domain):
    """The SHA-256 of the table of a law of weights that this process knows."""

    default = None

    def check(self, argument: str, value: Any, of: str = "") -> str:
        """Return `value`; raise TypeError or ValueError if there is no such table."""
        return quantile_of(value).sha256


_CUSTOM = _InitializerEntry(
    parameters={"sha256": _Fingerprint(), **_SCALING},
    distribution="custom",
    weight_std=_scaled,
    law_parameters=lambda fan_in, fan_out, sha256, *scaling: (sha256,),
)
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
    "t": "student_t",
    "student": "student_t",
    "double_exponential": "laplace",
    "binary": "rademacher",
    "sign": "rademacher",
    "bernoulli": "rademacher",
    "haar": "orthogonal",
    "orthonormal": "orthogonal",
    "eye": "identity",
    "default": "torch_default",
    "pytorch": "torch_default",
    "sine": "siren",
}


class Parameters(TypedDict, total=False):
    """The parameters of all initialisers; each takes its own only."""

    std: float
    limit: float
    omega: float
    df: float
    density: float
    diagonal: float
    scale: float
    mode: Mode
    quantile: Callable[[Any], ArrayLike]
    sha256: str


class Initializer(Named):
    """The law of a weight matrix: i.i.d. weights of mean 0, an orthogonal matrix or the identity.

    Immutable and hashable.

    Parameters
    ----------
    name : str
        ``lecun_normal``, ``lecun_uniform`` (variance 1/fan_in), ``glorot_normal``,
        ``glorot_uniform`` (2/(fan_in + fan_out)), ``he_normal``, ``he_uniform`` (2/fan_in),
        ``truncated_normal``, ``student_t``, ``laplace``, ``rademacher``, ``sparse``, ``custom``
        (variance scale/fan), ``diagonal``, ``normal``, ``uniform``, ``torch_default``,
        ``torch_recurrent``, ``orthogonal``, ``identity`` or ``siren``. The normal ones are not
        truncated (as in PyTorch). ``rademacher`` weights are ±1 times their standard deviation. A
        ``sparse`` weight is 0 with probability 1 − density, else normal, independently of the
        others. ``diagonal`` is the unit matrix (ones where i = j) times `diagonal`, plus
        independent normal weights of variance scale/fan. ``torch_default`` is the law of
        ``torch.nn.Linear``: weights and biases uniform on ±1/√fan_in. ``torch_recurrent`` is that
        of ``torch.nn.RNN``, ``LSTM`` and ``GRU``, for recurrent networks only: weights uniform on
        ±1/√n, and two biases of that law, which are added; the weights of the drive are uniform
        too, on ±1/√n if input_std is 3**-0.5. ``orthogonal`` is uniform over the orthogonal
        matrices (Haar measure); a matrix that is not square is a submatrix of a square one, with
        orthonormal rows or columns, as in PyTorch and Keras. ``identity`` is the identity matrix,
        for recurrent networks only. ``siren`` is that of networks with the activation ``sine``:
        uniform on ±√(6/fan_in)/omega, so that ω W x has the variance 1 if the mean square of x is
        ½, that of a sine. Sitzmann et al. draw the first layer from ±1/fan_in; here it has the law
        of the others.
    quantile : callable
        ``custom`` only, required: the quantile function of the weights, a NumPy function on (0, 1)
        of mean 0 and variance 1, increasing, and smooth but for a few points. It is approximated
        once by piecewise polynomials, with the accuracy of float32, and its tails end at the
        probability 2**-33. The SHA-256 of the coefficients is the parameter ``sha256``, by which
        initialisers are compared, as custom activations are.
    std : float
        ``normal`` only, required: standard deviation of a weight, the same at all widths.
    limit : float
        ``uniform`` only, required: weights are uniform on (-limit, limit).
    omega : float, default 30.0
        ``siren`` only: the ω of the activation, from 1e-6 to 1e6.
    df : float
        ``student_t`` only, required: degrees of freedom, > 2 and at most 1e6. The fourth moment is
        infinite for df ≤ 4.
    density : float
        ``sparse`` only, required: probability of a weight that is not 0, from 2**-32 to 1. Those
        weights have the variance scale/(density · fan).
    diagonal : float, default 1.0
        ``diagonal`` only: the mean of the weights on the diagonal, from -1e6 to 1e6. Gains multiply
        it too.
    scale : float, default 1.0
        ``truncated_normal``, ``student_t``, ``laplace``, ``rademacher``, ``sparse``, ``custom``
        and ``diagonal``: variance of a weight times the fan; from 1e-100 to 1e100, with
        ``diagonal`` from 1e-12 to 1e12.
    mode : {"fan_in", "fan_avg", "fan_out"}, default "fan_in"
        With `scale`: the fan in scale/fan, the variance of a weight. ``truncated_normal`` is
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
    Le, Jaitly and Hinton 2015; siren: Sitzmann et al. 2020. Student's t is drawn by the polar
    method of Bailey 1994.

    The matrix-free engine takes the normal and the orthogonal ones, the dense engine all of them.
    It draws ``student_t`` and ``laplace`` weights from uniforms of 31 bits (float32) or 52 bits
    (float64) and a sign, so that their tails end at the probability 2**-32 or 2**-53. For
    ``student_t`` the part 2**(-32 (1 - 2/df)) of the variance lies beyond, or 2**(-53 (1 - 2/df)):
    0.0006 or 5e-6 for df = 3, but 0.35 or 0.17 for df = 2.1.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.Initializer("normal", std=0.01).weight_std(fan_in=128, fan_out=128)
    0.01
    >>> vgsim.Initializer("he_normal").weight_std(fan_in=8, fan_out=32)
    0.5
    """

    _argument: ClassVar[str] = "init"
    _table = INITIALIZERS | {CUSTOM: _CUSTOM}
    _elsewhere = _ELSEWHERE

    def __init__(self, name: LawName, /, **parameters: Unpack[Parameters]) -> None:
        given: dict[str, Any] = {**parameters}
        if name == CUSTOM and "sha256" not in given:
            table = from_quantile(given.pop("quantile", None))
            given = {"sha256": table.sha256, **given}
        super().__init__(name, **given)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.name != CUSTOM:
            return super().__reduce_ex__(protocol)
        return _restored, (quantile_of(self._values[0]).content, dict(self._parameters))

    @property
    def distribution(self) -> Distribution:
        """The law of a weight: "normal", "uniform", "truncated_normal" (at ±2σ), "laplace", ….

        For laws of the whole matrix, "diagonal", "orthogonal" or "identity".
        """
        return self._table[self.name].distribution

    def law_parameters(self, fan_in: int, fan_out: int) -> tuple[float | str, ...]:
        """Return the parameters of the law of a weight, apart from its standard deviation.

        These are the degrees of freedom of "student_t", the density of "sparse", and the diagonal
        of "diagonal" in standard deviations of the noise, and the SHA-256 of "custom"; other laws
        have none.
        """
        return self._table[self.name].law_parameters(fan_in, fan_out, *self._values)

    @property
    def is_recurrent(self) -> bool:
        """Whether it is the law of PyTorch's recurrent modules, with two biases for each gate."""
        return self._table[self.name].is_recurrent

    def weight_std(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation of one weight, after truncation and without gain.

        For an orthogonal matrix it is 1/√max(fan_in, fan_out), with "diagonal" that of the noise,
        and for the identity the root mean square of all entries.
        """
        fans = UNITS.check("fan_in", fan_in), UNITS.check("fan_out", fan_out)
        return self._table[self.name].weight_std(*fans, *self._values)

    def bias_limit(self, fan_in: int) -> float | None:
        """Return the limit of the uniform biases; None if the initialiser has no law of biases."""
        limit = self._table[self.name].bias_limit
        return None if limit is None else limit(UNITS.check("fan_in", fan_in))


def _restored(content: bytes, parameters: dict[str, Any]) -> Initializer:
    """Return a pickled initialiser with a custom law."""
    kept(CustomTable.from_content(content))
    return Initializer(CUSTOM, **parameters)


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
