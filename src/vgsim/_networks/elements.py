"""Layers of composed networks: linear maps, normalisation, dropout and attention."""

from __future__ import annotations

from dataclasses import KW_ONLY, replace
from typing import cast, get_args

from vgsim._checks import value_error
from vgsim._domains import Boolean, Choice, NamedDomain, Number
from vgsim._networks.described import described
from vgsim._networks.description import Field
from vgsim._networks.initializers import (
    GAIN,
    STD,
    UNITS,
    Initializer,
    check_bias,
    check_matrix,
    check_weight_std,
)
from vgsim._networks.layers import Element, X
from vgsim._networks.operations import Attend, Bias, Mask, Normalise, Operation, Weights
from vgsim.typing import InitializerName, NormKind

__all__ = ["Attention", "Dropout", "Linear", "Norm"]

LECUN = "lecun_normal"


def check_law(init: Initializer, bias_std: float, of: str) -> None:
    """Refuse a law of weights that is for recurrent networks, or that has its own biases."""
    if init.distribution == "identity" or init.is_recurrent:
        problem = f"must not be {init.name!r}, which is for recurrent networks"
        raise value_error("init", problem, of)
    check_bias(init, bias_std)


def weights(
    init: Initializer, gain: float, shape: tuple[int, int], target: int, name: str
) -> Weights:
    """Return a matrix of shape (n, m) that acts on register 0."""
    n, m = shape
    std, parameters = gain * init.weight_std(m, n), init.law_parameters(m, n)
    return Weights(X, target, shape, init.distribution, std, name, parameters=parameters)


def biases(
    init: Initializer,
    bias_std: float,
    shape: tuple[int, int],
    target: int,
    name: str,
    shared: bool = False,
) -> list[Operation]:
    """Return the bias that follows a matrix of shape (n, m), if there is one."""
    n, m = shape
    limit = init.bias_limit(m) or 0.0
    bias = Bias(target, n, bias_std, limit, name, shared=shared)
    return [bias] if bias_std > 0 or limit > 0 else []


@described
class Linear(Element):
    """A linear map with a bias: x ← W x + b, in the list of a `Sequential`.

    Parameters
    ----------
    width : int, optional
        Number of units that come out; by default as many as come in.
    init : str or Initializer, default "lecun_normal"
        The law of W, whose shape is (units out, units in).
    gain : float, default 1.0
        Factor of W.
    bias_std : float, default 0.0
        Standard deviation of the normal biases: 0, or from 1e-200 to 1e200. It must be 0 with
        ``torch_default``, which has its own law of biases.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.Sequential(64, [vgsim.Linear(256, init="he_normal"), "relu", vgsim.Linear(10)]).widths
    (64, 256, 256, 10)
    """

    width: Field[int | None, int | None] = Field(UNITS, default=None, optional=True)
    _: KW_ONLY
    init: Field[Initializer, InitializerName | Initializer] = Field(
        NamedDomain(Initializer), default=LECUN
    )
    gain: Field[float, float] = Field(GAIN, default=1.0)
    bias_std: Field[float, float] = Field(STD, default=0.0)

    def __post_init__(self) -> None:
        check_law(self.init, self.bias_std, " of Linear")

    @property
    def sets_width(self) -> int:  # type: ignore[override]
        """The number of units that come out, or 0 if it is the number that comes in."""
        return self.width or 0

    def check_width(self, n: int) -> None:
        """Refuse n units if the matrix would be too large or its entries out of range."""
        check_matrix(self.init, n, self.width or n)
        check_weight_std(self.init, n, self.width or n, self.gain)

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations: see `Element`."""
        init, shape = self.init, (self.width or n, n)
        return [
            weights(init, self.gain, shape, X, f"{prefix}weight"),
            *biases(init, self.bias_std, shape, X, f"{prefix}bias"),
        ]


@described
class Norm(Element):
    """Normalisation without affine parameters, in the list of a `Sequential`.

    Parameters
    ----------
    kind : {"batch", "layer", "rms"}
        "batch" by mean and variance over all columns of the batch, of which it needs two or more;
        "layer" by mean and variance over the units, of which it needs two or more; "rms" by the
        root mean square over the units.
    eps : float, default 1e-5
        Added to the variance or the mean square under the square root; from 1e-12 to 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    In JSON and in study files `kind` is called ``norm``: ``{"kind": "Norm", "norm": "layer"}``.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.Sequential(8, [vgsim.Norm("layer"), vgsim.Linear(), "tanh"])
    >>> net.depth
    3
    """

    kind: Field[NormKind, NormKind] = Field(Choice(get_args(NormKind)), key="norm")
    _: KW_ONLY
    eps: Field[float, float] = Field(
        Number("from 1e-12 to 1", lambda x: 1e-12 <= x <= 1), default=1e-5
    )

    @property
    def mixes_examples(self) -> bool:  # type: ignore[override]
        """Whether the columns of a batch act on each other."""
        return self.kind == "batch"

    def check_width(self, n: int) -> None:
        """Refuse a single unit, which "layer" maps to 0."""
        if self.kind == "layer" and n == 1:
            problem = "'layer' needs a width of at least 2, because it maps a single unit to 0"
            raise value_error("kind", problem)

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations: see `Element`."""
        return [Normalise(X, self.kind, self.eps)]


@described
class Dropout(Element):
    """Dropout: x ← m ∘ x/(1 − rate), in the list of a `Sequential`.

    The entries of m are independent, 0 with probability `rate` and 1 otherwise, for every unit and
    column. The gradient passes through the same m.

    Parameters
    ----------
    rate : float
        From 0 to 1 − 2**-32.

    Raises
    ------
    TypeError, ValueError
        If the rate is of the wrong type or out of range.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 2014.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.Sequential(8, [vgsim.Linear(), "relu", vgsim.Dropout(0.1)] * 4).depth
    12
    """

    rate: Field[float, float] = Field(
        Number("at least 0 and at most 1 - 2**-32", lambda x: 0 <= x <= 1 - 2**-32)
    )

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations: see `Element`."""
        return [Mask(X, n, self.rate, f"{prefix}mask")]


@described
class Attention(Element):
    """Multi-head softmax attention between the tokens of a sequence, in a `Sequential`.

    x ← W_o heads, with queries, keys and values W_q x, W_k x and W_v x. All four matrices are
    n × n, n the width of x. Head h uses n/heads rows of each: the output of a token is the mean of
    the values of the sequence, with the softmax of kᵀ q/√(n/heads) over the keys k as weights.

    Parameters
    ----------
    heads : int, default 1
        Number of heads, a divisor of the width.
    causal : bool, default False
        Whether a token sees only itself and the tokens before it.
    init : str or Initializer, default "lecun_normal"
        The law of the four matrices.
    gain : float, default 1.0
        Factor of W_q and W_k, and of W_v and W_o unless these have their own.
    value_gain, output_gain : float, optional
        Factors of W_v and of W_o.
    bias_std : float, default 0.0
        Standard deviation of the normal biases that are added after each of the four matrices.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, "Attention is all you
    need", NeurIPS 2017.

    Examples
    --------
    >>> import vgsim
    >>> attention = vgsim.Skip([vgsim.Norm("layer"), vgsim.Attention(4, causal=True)])
    >>> mlp = vgsim.Skip([vgsim.Norm("layer"), vgsim.Linear(256), "gelu", vgsim.Linear(64)])
    >>> vgsim.Sequential(64, [attention, mlp] * 24, tokens=16).depth
    48
    """

    heads: Field[int, int] = Field(UNITS, default=1)
    _: KW_ONLY
    causal: Field[bool, bool] = Field(Boolean(), default=False)
    init: Field[Initializer, InitializerName | Initializer] = Field(
        NamedDomain(Initializer), default=LECUN
    )
    gain: Field[float, float] = Field(GAIN, default=1.0)
    value_gain: Field[float | None, float | None] = Field(GAIN, default=None, optional=True)
    output_gain: Field[float | None, float | None] = Field(GAIN, default=None, optional=True)
    bias_std: Field[float, float] = Field(STD, default=0.0)

    mixes_tokens = True

    def __post_init__(self) -> None:
        check_law(self.init, self.bias_std, " of Attention")

    @property
    def gains(self) -> dict[str, float]:
        """The factors of W_q, W_k, W_v and W_o, by the names of the matrices."""
        value = self.gain if self.value_gain is None else self.value_gain
        output = self.gain if self.output_gain is None else self.output_gain
        return {"query": self.gain, "key": self.gain, "value": value, "output": output}

    def check_width(self, n: int) -> None:
        """Refuse n units if the heads do not divide them, or a matrix is out of range."""
        if n % self.heads:
            problem = f"must divide the width of what comes in, {n}, got {self.heads}"
            raise value_error("heads", problem)
        check_matrix(self.init, n, n)
        for name, gain in self.gains.items():
            own = f"{name}_gain"
            argument = "gain" if getattr(self, own, None) is None else own
            check_weight_std(self.init, n, n, gain, argument=argument)

    def operations(self, n: int, free: int, prefix: str) -> list[Operation]:
        """Return the operations: see `Element`."""
        registers = {"query": free, "key": free + 1, "value": X, "output": X}
        found: dict[str, list[Operation]] = {}
        for name, register in registers.items():
            found[name] = [
                weights(self.init, self.gains[name], (n, n), register, prefix + name),
                *biases(self.init, self.bias_std, (n, n), register, f"{prefix}{name}_bias"),
            ]
        dependent = ["key", "query"] if self.heads == 1 and not self.causal else ["key"]
        for name in dependent:
            found[name][0] = replace(cast(Weights, found[name][0]), balanced=True)
        before = [*found["query"], *found["key"], *found["value"]]
        return [*before, Attend(X, free, free + 1, self.heads, self.causal), *found["output"]]
