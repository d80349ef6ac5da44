"""Where the scalar engine applies: chains of Gaussian matrices and piecewise linear activations."""

from __future__ import annotations

from vgsim._networks.description import Network
from vgsim._networks.operations import (
    Activate,
    Attend,
    Bias,
    Copy,
    Drive,
    Mask,
    Mix,
    Normalise,
    Operation,
    Program,
    Shift,
    Sum,
    Weights,
)

__all__ = ["scalar_is_cheaper", "scalar_obstacle"]

LEAST_MEAN_WIDTH = 24  # the matrix-free engine is faster in narrower networks
FOREIGN: dict[type[Operation], str] = {
    Normalise: "a normalisation",
    Mask: "dropout",
    Copy: "a skip connection",
    Sum: "a skip connection",
    Mix: "a gate",
    Attend: "attention",
    Drive: "a drive",
    Shift: "a constant shift",
}


def scalar_obstacle(network: Network, columns: int, loss: str, tangents: int = 0) -> str | None:
    """Return why the scalar engine cannot simulate a network; None if it can.

    Parameters
    ----------
    network : Network
    columns : int
        Columns of a batch: batch_size times tokens.
    loss : str
    tangents : int
        Tangent vectors per example.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._engine.scalar import scalar_obstacle
    >>> print(scalar_obstacle(vgsim.MLP(10, 100, activation="relu"), 1, "linear"))
    None
    >>> scalar_obstacle(vgsim.MLP(10, 100, activation="tanh"), 1, "linear")
    "needs activation 'linear', 'relu' or 'leaky_relu', got 'tanh'"
    """
    program = network.program
    if columns > 1:
        return f"needs a single input, batch_size 1 and no tokens, got {columns} columns"
    if loss == "cross_entropy":
        return "needs loss 'linear' or 'mse', got 'cross_entropy'"
    if tangents:
        return "has a backward pass only, and Lyapunov exponents need tangents"
    if network.clip is not None and network.clip.by != "norm":
        return "needs gradients that are clipped by norm, and those of the network are by value"
    return _foreign_operation(program) or _other_order(program)


def _foreign_operation(program: Program) -> str | None:
    """Return which operation, law or activation has no scalar form."""
    for o in (o for body in program.bodies for o in body):
        match o:
            case Activate(activation=phi) if phi.slope_below_zero is None:
                return f"needs activation 'linear', 'relu' or 'leaky_relu', got {phi.name!r}"
            case Weights(shared=True):
                return (
                    "needs independent weights in every layer, and all steps of a recurrent "
                    "network share theirs"
                )
            case Weights(law=law) if law != "normal":
                return f"needs Gaussian weights, got {law} ones"
            case Bias(limit=limit) if limit > 0:
                return "needs Gaussian biases, got uniform ones"
    for o in (o for body in program.bodies for o in body):
        if type(o) in FOREIGN:
            return f"needs layers of weights, biases and φ only, got {FOREIGN[type(o)]}"
    return None


def _other_order(program: Program) -> str | None:
    """Return why the operations are not layers W (+ b), φ of one kind."""
    if len(program.of(Activate)) > 1:
        return "needs one activation for all layers, got several"
    if program.layer_places:
        return None
    return "needs layers of one matrix and φ, W and φ alternately, one place each or both in one"


def scalar_is_cheaper(network: Network) -> bool:
    """Whether the scalar engine, where it applies, is faster than the matrix-free one.

    The matrix-free engine draws two normals per unit, the scalar engine a random bit per unit and
    some ten numbers per layer. `LEAST_MEAN_WIDTH` was measured.
    """
    counts = [(weights.shape[0], count) for weights, count in network.program.of(Weights).items()]
    return sum(n * count for n, count in counts) >= LEAST_MEAN_WIDTH * sum(c for _, c in counts)
