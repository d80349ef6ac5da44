"""The list of operations of a network, which the kernels, the twin and PyTorch's modules follow.

An operation acts on registers: batches of columns, numbered from 0. At the start of place l
register 0 holds X_{l-1}, at its end X_l. The other registers hold the input of a skip connection,
the argument of a gate, or the queries and keys of attention.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.activations import Activation
from vgsim._networks.initializers import INDEPENDENT

__all__ = [
    "Activate",
    "Attend",
    "Bias",
    "Copy",
    "Drive",
    "GateBias",
    "Mask",
    "Mix",
    "Multiply",
    "Normalise",
    "Operation",
    "Program",
    "Shift",
    "Sum",
    "Weights",
    "body_of",
]


@dataclass(frozen=True, slots=True)
class Weights:
    """target ← W source. W is n × m = `shape`, of a law and a standard deviation of its entries.

    `parameters`: those of the law (`Initializer.law_parameters`).
    `recorded`: whether the matrix is among those of "weight_gradient" and "update_ratio". `shared`:
    whether it is the same matrix at all places. A recurrent cell has several shared matrices of one
    shape, which are stacked: `gate` is the number of this one, from 0, and its rows of "weight" are
    gate · n … `balanced`: whether the columns of ∂L/∂(W X) in every sequence are linearly
    dependent. Those of the keys of attention sum to 0, and those of the queries of one head are
    combinations of differences of keys.
    """

    source: int
    target: int
    shape: tuple[int, int]
    law: str
    std: float
    name: str
    recorded: bool = True
    shared: bool = False
    balanced: bool = False
    gate: int = 0
    parameters: tuple[float | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bias:
    """register ← register + b, the same b for all columns.

    The entries of b are uniform on ±limit if limit > 0, else normal. `cancels`: whether batch
    normalisation, which follows, removes b exactly.
    """

    register: int
    rows: int
    std: float
    limit: float
    name: str
    cancels: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class GateBias:
    """register ← register + b_k, the rows k n … of the bias of a recurrent cell, k = `gate`.

    b_k = sign (ζ + shift + ln u), the same for all columns and at all places: ζ is the sum of
    `count` (0, 1 or 2) independent vectors, whose entries are uniform on ±limit if limit > 0, else
    normal with standard deviation std; ln u is there if most > 0, with u uniform on [1, most]. ζ
    and u are drawn with the number `drawn_as` of a gate, so that two gates may share them.
    """

    register: int
    rows: int
    gate: int
    std: float = 0.0
    limit: float = 0.0
    count: int = 0
    shift: float = 0.0
    most: float = 0.0
    sign: float = 1.0
    drawn_as: int = 0
    name: str = "bias"


@dataclass(frozen=True, slots=True)
class Shift:
    """register ← register + value, in every entry."""

    register: int
    value: float


@dataclass(frozen=True, slots=True)
class Drive:
    """register ← register + U_k s_t, with s_t of N(0, 1), drawn anew at every step.

    U_k has the rows k n … of "input_weight", k = `gate`. Its entries are of the law "normal" or
    "uniform", with standard deviation std.
    """

    register: int
    rows: int
    std: float
    gate: int = 0
    law: str = "normal"


@dataclass(frozen=True, slots=True)
class Normalise:
    """register ← its normalisation: "batch" over the columns, "layer" or "rms" over the units."""

    register: int
    kind: str
    eps: float


@dataclass(frozen=True, slots=True)
class Activate:
    """register ← φ(register), elementwise."""

    register: int
    activation: Activation


@dataclass(frozen=True, slots=True)
class Mask:
    """register ← m ∘ register/(1 − rate), m of Bernoulli(1 − rate) entries."""

    register: int
    rows: int
    rate: float
    name: str


@dataclass(frozen=True, slots=True)
class Copy:
    """target ← source; the gradient of the source is the sum of both."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Sum:
    """register ← skip · other + branch · register."""

    register: int
    other: int
    skip: float
    branch: float


@dataclass(frozen=True, slots=True)
class Multiply:
    """register ← other ∘ register, elementwise."""

    register: int
    other: int


@dataclass(frozen=True, slots=True)
class Mix:
    """register ← T ∘ register + (1 − T) ∘ other, with T = σ(gate).

    `counted`: whether "saturation" counts the units of the gate.
    """

    register: int
    other: int
    gate: int
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Attend:
    """register ← softmax attention of queries and keys, with the values in the register."""

    register: int
    query: int
    key: int
    heads: int
    causal: bool


Operation = (
    Weights
    | Bias
    | GateBias
    | Shift
    | Drive
    | Normalise
    | Activate
    | Mask
    | Copy
    | Sum
    | Multiply
    | Mix
    | Attend
)
Body = tuple[Operation, ...]
CHAIN = (  # which operation follows which
    (Weights, Activate),
    (Normalise, Weights),
    (Activate, Normalise),
    (Activate, Weights),
)
Kind = TypeVar("Kind", bound=Operation)


def body_of(operations: Sequence[Operation]) -> Body:
    """Return operations, with biases marked that a batch normalisation right after them removes."""
    found = list(operations)
    for i, (one, following) in enumerate(pairwise(operations)):
        if isinstance(one, Bias) and isinstance(following, Normalise):
            cancels = following.kind == "batch" and following.register == one.register
            found[i] = replace(one, cancels=cancels)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Program:
    """The operations of all places of a network.

    Attributes
    ----------
    bodies : tuple of tuple of Operation
        The distinct lists of operations.
    order : ndarray of int, (depth,)
        The body of each place 1 … depth.
    widths : ndarray of int, (depth + 1,)
        The units of X_0 … X_depth.
    resting : ndarray of bool, (depth + 1,)
        Whether only the registers of the state are in use after place l, so that the rest of the
        network depends on them alone.
    tokens : int
        Columns per sequence.
    state : int
        The number of registers of the state, 0 … state − 1. Register 0 holds X_l; that of an LSTM
        is followed by the cell c_l. G_l is the gradient by all of them, as independent variables.

    Examples
    --------
    >>> import vgsim
    >>> program = vgsim.MLP(3, 8).program
    >>> program.order
    array([0, 0, 0])
    >>> [type(operation).__name__ for operation in program.bodies[0]]
    ['Weights', 'Activate']
    """

    bodies: tuple[Body, ...]
    order: NDArray[np.int64]
    widths: NDArray[np.int64]
    resting: NDArray[np.bool_]
    tokens: int = 1
    state: int = 1

    def at(self, place: int) -> Body:
        """Return the operations of a place 1 … depth."""
        return self.bodies[self.order[place - 1]]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many places have each body."""
        return np.bincount(self.order, minlength=len(self.bodies))

    def of(self, kind: type[Kind]) -> Counter[Kind]:
        """Return the operations of one kind, with the number of their places."""
        found: Counter[Kind] = Counter()
        for body, count in zip(self.bodies, self.counts.tolist(), strict=True):
            for operation in body:
                if isinstance(operation, kind):
                    found[operation] += count
        return found

    @cached_property
    def shares_weights(self) -> bool:
        """Whether all places have the same matrices, as the steps of a recurrent network."""
        return any(weights.shared for weights in self.of(Weights))

    @cached_property
    def is_batch_normalised_chain(self) -> bool:
        """Whether the operations are W (+ b), batch normalisation, φ, again and again.

        A last W (+ b), or W (+ b), φ may follow. Columns that are equal then remain equal.
        """
        kinds = [[type(o) for o in body if not isinstance(o, Bias)] for body in self.bodies]
        norms = self.of(Normalise)
        if not norms or any(norm.kind != "batch" for norm in norms):
            return False
        if not all(kind in (Weights, Normalise, Activate) for body in kinds for kind in body):
            return False
        before: type[Operation] = Activate
        ends = False  # a layer without normalisation is the last
        for body in self.order.tolist():
            for kind in kinds[body]:
                if ends or (kind, before) not in CHAIN:
                    return False
                ends, before = (kind, before) == (Activate, Weights), kind
        return before is not Normalise

    @cached_property
    def layer_places(self) -> int:
        """How many places a layer W, b, φ of a plain network has; 0 if the network is not plain.

        A plain network consists of layers W x, or W x + b, and φ, with independent entries of W.
        W, b, φ are one place (1), or W, b and φ are one place each (2). A layer that is one place
        may have a norm before φ, "layer" or "rms". All layers have W, b, norm and φ of one kind.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(3, 8).program.layer_places
        1
        >>> vgsim.Sequential(8, [vgsim.Linear(), "tanh"] * 3).program.layer_places
        2
        >>> vgsim.Sequential(8, [vgsim.Linear()] * 3).program.layer_places
        0
        """
        biases = {"uniform" if o.limit > 0 else "normal" for o in self.of(Bias)}
        laws = {o.law for o in self.of(Weights)}
        if len(laws) != 1 or len(biases) > 1 or len({o.activation for o in self.of(Activate)}) != 1:
            return 0
        norms = {tuple(o for o in body if isinstance(o, Normalise)) for body in self.bodies}
        if all(_is_layer(body) for body in self.bodies):
            return int(len(norms) == 1)
        affine = np.array([_is_affine(body) for body in self.bodies])
        units = np.array([len(body) == 1 and isinstance(body[0], Activate) for body in self.bodies])
        order = self.order
        alternate = affine[order[::2]].all() and units[order[1::2]].all()
        return 2 if len(order) % 2 == 0 and alternate else 0

    @cached_property
    def is_normal(self) -> bool:
        """Whether all matrices and biases have independent normal entries.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(3, 8).program.is_normal, vgsim.MLP(3, 8, init="he_uniform").program.is_normal
        (True, False)
        """
        laws = {o.law for o in self.of(Weights)}
        return laws <= {"normal"} and not any(o.limit > 0 for o in self.of(Bias))

    def numbers(self, kind: type[Kind]) -> NDArray[np.int64]:
        """Return the number of operations of a kind before each place; (depth + 1,).

        The draws of a matrix, of its bias and of a mask have a stream of their own, which is
        counted from 1. Shared matrices do not count.
        """
        own = [
            sum(isinstance(o, kind) and not getattr(o, "shared", False) for o in body)
            for body in self.bodies
        ]
        return np.concatenate([[0], np.cumsum(np.array(own, dtype=np.int64)[self.order])])

    @property
    def matrix_counts(self) -> NDArray[np.int64]:
        """The number of recorded matrices of each place 1 … depth; (depth,)."""
        own = [sum(isinstance(o, Weights) and o.recorded for o in body) for body in self.bodies]
        return np.array(own, dtype=np.int64)[self.order]


def _is_layer(body: Body) -> bool:
    """Whether the operations are W, b, norm, φ, of which b and the norm may be missing."""
    if len(body) < 2 or not isinstance(body[-1], Activate):
        return False
    before = body[-2]
    normalised = isinstance(before, Normalise) and before.kind != "batch"
    return _is_affine(body[: -2 if normalised else -1])


def _is_affine(body: Body) -> bool:
    """Whether the operations are W x, or W x + b, with a matrix of independent entries."""
    if not body or not isinstance(body[0], Weights):
        return False
    weights, biases = body[0], body[1:]
    own = weights.law in INDEPENDENT and not weights.shared and weights.source == weights.target
    return own and len(biases) <= 1 and all(isinstance(bias, Bias) for bias in biases)
