"""A warning for networks in which rounding decides the gradient of some samples."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from vgsim._networks.activations import Activation
from vgsim._networks.description import Network
from vgsim._networks.operations import (
    Activate,
    Attend,
    Bias,
    Body,
    Copy,
    Drive,
    GateBias,
    Mask,
    Mix,
    Multiply,
    Normalise,
    Operation,
    Program,
    Shift,
    Sum,
    Weights,
)
from vgsim._networks.repetition import runs

__all__ = ["warn_of_rounding"]

ALL_BUT_SHUT = 2.0**-12  # smaller slopes below 0 count as 0
ALL_BUT_NONE = 2.0**-10  # a bias below this fraction of the pre-activation counts as 0
RARE = 1e-3  # fraction of samples up to which there is no warning
FLAT = 1e-9  # slope at 0, relative to the largest, below which φ counts as flat there
X = 0  # the register of the places


def warn_of_rounding(network: Network, columns: int, tangents: int) -> None:
    """Warn if rounding decides the gradient of more than 0.1 % of the samples of a batch.

    The fraction is estimated as in docs/law.md, section 11.

    Examples
    --------
    >>> import warnings
    >>> import vgsim
    >>> from vgsim._engine.rounding import warn_of_rounding
    >>> net = vgsim.MLP(10, 4, activation="relu", norm="layer", bias_std=1e-9)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_of_rounding(net, 1, 0)
    >>> str(caught[0].message)[:52]
    'rounding decides the gradient, and whether it is 0, '
    """
    share = _share(network, columns, tangents)
    if share > RARE:
        warnings.warn(
            f"rounding decides the gradient, and whether it is 0, in about {min(share, 1.0):.1%} "
            f"of the samples of {network!r}: those in which only one unit or example is open in "
            "some layer; with wider layers there are fewer (docs/law.md, section 11)",
            stacklevel=4,
        )
    for phi in _flat_at_zero(network.program):
        warnings.warn(
            f"rounding decides the gradient of {network!r} in samples whose pre-activations fall "
            f"below 1e-7 in float32, or 1e-16 in float64: {phi!r} has phi(0) = phi'(0) = 0, and "
            "the table of a custom activation holds its slope there to this accuracy; biases or a "
            "norm keep the pre-activations larger",
            stacklevel=4,
        )


def _flat_at_zero(program: Program) -> list[Activation]:
    """Return activations with φ(0) = φ'(0) = 0, if nothing keeps their arguments away from 0."""
    if any(program.of(kind) for kind in (Bias, GateBias, Drive, Normalise)):
        return []
    found = {o.activation for o in program.of(Activate) if isinstance(o, Activate)}
    return [
        phi for phi in found if max(map(abs, phi.slope_at_zero)) < FLAT * float(phi.max_derivative)
    ]


def _share(network: Network, columns: int, tangents: int) -> float:
    """Return an estimate of the fraction of samples whose gradient is decided by rounding."""
    if not network.has_norm:
        return 0.0
    program = network.program
    if not any(map(_closes, program.of(Activate))) and not program.of(Mask):
        return 0.0
    by_value = network.clip is not None and network.clip.by == "value"
    followed = tangents == 0 and not by_value
    grouped = followed and program.is_batch_normalised_chain
    return _Backward(program, columns, followed, grouped or columns <= 2).share()


def _closes(operation: Operation) -> bool:
    """Whether an operation is an activation that is 0, or nearly, on one side."""
    if not isinstance(operation, Activate):
        return False
    slope = operation.activation.slope_below_zero
    return slope is not None and slope < ALL_BUT_SHUT


@dataclass(frozen=True)
class _State:
    """What follows from the operations behind a point of the list, for register 0.

    Attributes
    ----------
    norm : bool
        Whether G · X is nearly 0, for each column, because of a layer or RMS normalisation.
    known : bool
        Whether the kernels carry G · X, so that they need not compute it as a difference.
    batch : bool
        Whether the same holds for each unit, because of batch normalisation.
    kept : float or None
        Probability that masks up to the next matrix let a unit pass; None before an activation.
    skips : tuple of (int, bool or None)
        The registers of open skip connections. True: both of its paths are multiplied if X is, and
        G · X of the sum is nearly 0. None: the skip connection is 0.
    """

    norm: bool = False
    known: bool = False
    batch: bool = False
    kept: float | None = 1.0
    skips: tuple[tuple[int, bool | None], ...] = ()

    def without(self) -> _State:
        """Return the state before an operation after which nothing is nearly 0."""
        skips = tuple((r, None if both is None else False) for r, both in self.skips)
        return _State(skips=skips)


@dataclass(frozen=True)
class _Backward:
    """The pass from the last operation to the first.

    Attributes
    ----------
    program : Program
    columns : int
    followed : bool
        Whether the kernels carry G · X behind layer and RMS normalisations.
    grouped : bool
        Whether the kernels tell columns apart that batch normalisation makes equal.
    """

    program: Program
    columns: int
    followed: bool
    grouped: bool

    def share(self) -> float:
        """Return the expected number of places at which rounding decides the gradient."""
        program = self.program
        keys = program.order << 32 | program.widths[:-1]
        distinct, order = np.unique(keys, return_inverse=True)
        cases = [(program.bodies[key >> 32], key & 0xFFFFFFFF) for key in distinct.tolist()]
        order, state, total = order.ravel(), _State(), 0.0
        known: dict[tuple[int, _State], tuple[float, _State]] = {}
        for run in reversed(list(runs(order))):
            period = order[run.first : run.first + run.period].tolist()[::-1]
            for done in range(run.times):
                before, own = state, 0.0
                for case in period:
                    if (case, state) not in known:
                        body, width = cases[case]
                        known[case, state] = self._place(body, width, state)
                    more, state = known[case, state]
                    own += more
                if state == before:
                    total += own * (run.times - done)
                    break
                total += own
        return total

    def _place(self, body: Body, width: int, state: _State) -> tuple[float, _State]:
        """Return the expected number of cases in a place, and the state before it."""
        rows = [width]  # of register 0 before each operation
        for o in body:
            rows.append(o.shape[0] if isinstance(o, Weights) and o.target == X else rows[-1])
        total = 0.0
        for i in range(len(body) - 1, -1, -1):
            total += self._cases(body[i], rows[i], state)
            state = self._before(body, i, state)
        return total, state

    def _cases(self, o: Operation, n: int, state: _State) -> float:
        """Return the probability that an operation on n units leaves one unit or example open."""
        kept = 1.0 if state.kept is None else state.kept
        found = 0.0
        unknown = state.norm and not state.known
        if _closes(o):
            found = _one_of(n, 0.5 * kept) if unknown else 0.0
            if state.batch and not self.grouped:
                found += self.columns * (2.0 * self.columns) ** -n
        elif isinstance(o, (Weights, Normalise)) and unknown and kept < 1.0:
            found = _one_of(n, kept)
        return found

    def _before(self, body: Body, i: int, state: _State) -> _State:
        """Return the state before operation i of a body."""
        match body[i]:
            case Weights(source, target):
                return replace(state, kept=1.0) if source == target else state.without()
            case Bias(register, cancels=cancels) if register != X or cancels:
                return state
            case Bias():
                small = _is_small(body, i)
                return replace(state, known=False) if small else state.without()
            case Normalise(kind=kind):
                skips = state.without().skips
                if kind == "batch":
                    return _State(batch=True, skips=skips)
                return _State(norm=True, known=self.followed, skips=skips)
            case Activate(activation=phi):
                degree_one = phi.slope_below_zero is not None
                return replace(state, kept=None) if degree_one else state.without()
            case Mask(rate=rate):
                kept = state.kept
                return replace(state, kept=None if kept is None else kept * (1.0 - rate))
            case Sum(_, other, skip):
                both = state.norm if skip else None
                skips = (*state.without().skips, (other, both))
                return _State(norm=state.norm and not skip, skips=skips)
            case Copy(_, target):
                return _before_copy(state, target)
            case Shift(register) if register != X:
                return state
            case Shift() | GateBias() | Drive() | Multiply() | Mix() | Attend():
                return state.without()


def _before_copy(state: _State, register: int) -> _State:
    """Return the state before the copy that a skip connection adds later."""
    if not state.skips or state.skips[-1][0] != register:
        return state.without()
    *outer, (_, both) = state.skips
    norm = state.norm if both is None else both
    return _State(norm=norm, skips=tuple(outer))


def _one_of(n: int, p: float) -> float:
    """Return the probability that exactly one of n units is open, each with probability p."""
    return n * p * (1.0 - p) ** (n - 1)


def _is_small(body: Body, i: int) -> bool:
    """Whether the bias of index i is much smaller than the product before it."""
    bias, before = body[i], body[i - 1] if i else None
    if not isinstance(bias, Bias) or not isinstance(before, Weights):
        return False
    std = bias.limit / math.sqrt(3.0) if bias.limit > 0 else bias.std
    return std < ALL_BUT_NONE * before.std * math.sqrt(before.shape[1])
