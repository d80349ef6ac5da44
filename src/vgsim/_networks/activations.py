"""Activation functions by their names, and custom ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from vgsim._checks import brief, real_array, value_error
from vgsim._networks.activation_table import ACTIVATIONS, ActivationEntry, Array, Slopes
from vgsim._networks.custom_activation import FIELDS
from vgsim._networks.custom_functions import from_functions
from vgsim._networks.custom_table import CustomTable, kept, table_of
from vgsim._networks.initializers import INITIALIZERS, Initializer
from vgsim._networks.named import Named
from vgsim.typing import ActivationName

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Activation", "as_activation"]

CUSTOM: Literal["custom"] = "custom"
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


class Parameters(TypedDict, total=False):
    """The parameters of all activations; each takes its own only."""

    slope: float
    alpha: float
    omega: float
    function: Callable[[Array], ArrayLike]
    derivative: Callable[[Array], ArrayLike]
    kinks: Sequence[float]
    sha256: str


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
        They are called for ``|h|`` ≤ 1024 at most, once and for all: see the notes.
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
    `derivative` itself has no correct digits, as ``1 - np.tanh(h)**2`` beyond 15, they are dead
    too: ``np.cosh(h)**-2.0`` has them all. At a kink φ' is the limit that `derivative` takes there,
    or the left one. Features of a width below about 1e-3 may not be noticed. Where φ(0) = φ'(0) =
    0, as for ``log(cosh(h))``, the slope near 0 has an error of 1e-7 (float32) or 1e-16 (float64)
    of the largest slope: a signal that vanishes in such a network, which would vanish faster from
    layer to layer, then does so by this factor only. Simulations of networks without biases and
    norms warn of it.

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
    _table = ACTIVATIONS | {CUSTOM: ActivationEntry(**FIELDS)}
    _aliases = _ALIASES
    _elsewhere = _ELSEWHERE

    def __init__(
        self, name: ActivationName | Literal["custom"], /, **parameters: Unpack[Parameters]
    ) -> None:
        given: dict[str, Any] = {**parameters}
        if name == CUSTOM and "sha256" not in given:
            given = {"sha256": from_functions(**given).sha256}
        super().__init__(name, **given)

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
    def law(self) -> ActivationEntry:
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
        return Initializer._called(name, **shared)

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


def as_activation(value: ActivationName | Activation) -> Activation:
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
