"""The parameters of one network, checked: matrices, biases, masks and the drive, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from vgsim._checks import brief, checked_items, real_array, value_error
from vgsim._networks import operations
from vgsim._networks.description import Network
from vgsim._networks.operations import Program
from vgsim._networks.parameter_shapes import (
    parameter_name,
    parameter_shapes,
    shapes_of,
    with_biases,
    with_whole_bias,
)
from vgsim._twin.recurrent import by_gate
from vgsim._twin.scaled import Array, Scaled, scaled

__all__ = ["checked_columns", "named_parameters", "separate_parameters", "takes_separate_arrays"]

T = TypeVar("T")
Check = Callable[[str, ArrayLike], Any]
NUMBERS = "must be an array of real numbers"


def named_parameters(
    network: Network, parameters: Mapping[str, ArrayLike], columns: int
) -> tuple[Program, dict[str, Any]]:
    """Check parameters that are given by name, as in ``Replay.parameters``.

    Biases that the network does not draw may be given too, for all matrices.

    Returns
    -------
    program : Program
    parameters : dict
        As :func:`vgsim._twin.walk.places_of` takes them.

    Raises
    ------
    TypeError, ValueError
        If a parameter is missing or unknown, has another shape or is not finite.
    """
    program, whole = with_whole_bias(network), with_biases(network)
    if parameters.keys() & (parameter_shapes(whole).keys() - parameter_shapes(program).keys()):
        program = whole
    shared = shapes_of(program, columns)
    checks = {name: _checked_shape(name, shape) for name, shape in shared.items()}
    if not shared:
        for place in range(1, network.depth + 1):
            for operation in program.at(place):
                checks.update(_checks(operation, place, columns))
    if missing := [name for name in checks if name not in parameters]:
        raise value_error("parameters", f"must hold {_several(missing)}")
    if unknown := [name for name in parameters if name not in checks]:
        raise value_error(
            "parameters",
            f"must hold nothing else than {brief(list(checks))}, got {_several(unknown)}",
        )
    checked = {
        name: check(f"parameters[{name!r}]", parameters[name]) for name, check in checks.items()
    }
    return program, by_gate(checked) if shared else checked


def _several(names: list[str]) -> str:
    """Return up to four names, and the number of the others."""
    shown, others = ", ".join(map(brief, names[:4])), len(names) - 4
    return f"{shown} and {others} more" if others > 0 else shown


def _checks(operation: Any, place: int, columns: int) -> dict[str, Check]:
    """Return a check for each parameter of an operation."""
    match operation:
        case operations.Weights(shape=(n, m)):
            return {parameter_name(operation, place): _checked_matrix(n, m)}
        case operations.Bias(rows=n):
            return {parameter_name(operation, place): _checked_bias(n)}
        case operations.Mask(rows=n):
            return {parameter_name(operation, place): _checked_mask(n, columns)}
    return {}


def _checked_shape(of: str, shape: tuple[int, ...]) -> Check:
    """Return a check of a parameter of a recurrent network; a drive of one column may be 2-D."""
    if of == "drive":
        return lambda name, value: _drive_array(name, value, shape)
    if len(shape) == 1:
        return lambda name, value: checked_columns(name, value, "n", shape[0], 1)[:, 0]
    return lambda name, value: _shaped(name, _finite(name, value), shape, "(n, m)")


def _checked_matrix(n: int, m: int) -> Check:
    return lambda name, value: _matrix(name, value, (n, m), "(n, m)")


def _checked_bias(n: int) -> Check:
    return lambda name, value: scaled(checked_columns(name, value, "n", n, 1))


def _checked_mask(n: int, columns: int) -> Check:
    def check(name: str, value: ArrayLike) -> Array:
        mask = _finite(name, value)
        if mask.shape != (n, columns):
            raise value_error(
                name, f"must have shape (n, columns) = {(n, columns)}, got {mask.shape}"
            )
        if not np.all((mask == 0) | (mask == 1)):
            raise value_error(name, "must be 0 or 1 in every entry")
        return mask

    return check


def takes_separate_arrays(network: Network) -> bool:
    """Whether a network has W_l and b_l of every layer, as an MLP or an RNN.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._twin.parameters import takes_separate_arrays
    >>> takes_separate_arrays(vgsim.MLP(2, 3))
    True
    """
    return network.field("activation") is not None


def separate_parameters(
    network: Network,
    weights: Iterable[ArrayLike],
    biases: Iterable[ArrayLike | None] | None,
    columns: int,
    *,
    gate_weights: Iterable[ArrayLike] | None,
    input_weights: ArrayLike | None,
    drive: ArrayLike | None,
) -> tuple[Program, dict[str, Any]]:
    """Check the parameters of an MLP or an RNN that are given as separate arguments.

    Whether there are biases and a drive is decided by the arguments, not by the network. Returns
    what `named_parameters` returns.
    """
    W, b = _weights(network, weights), _biases(network, biases)
    law: dict[str, float] = {}
    if network.shares_weights:
        _refuse("an RNN", gate_weights=gate_weights)
        U, s = _drive(network, input_weights, drive, columns)
        law["input_std"] = 1.0 if s else 0.0
        named = {"weight": W, "bias": b, "input_weight": [U], "drive": s}
    else:
        _refuse("an MLP", input_weights=input_weights, drive=drive)
        gates = _gates(network, gate_weights)
        named = {f"{i}.gate": T for i, T in enumerate(gates)}
        named |= {f"{i}.weight": W_i for i, W_i in enumerate(W)}
        named |= {f"{i}.bias": b_i for i, b_i in enumerate(b)}
    program = network.program
    biased = bool(program.of(operations.Bias) or program.of(operations.GateBias))
    if not biased and any(b_i is not None for b_i in b):
        law["bias_std"] = 1.0
    return network._with(**law).program if law else program, named


def _weights(
    network: Network, weights: Iterable[ArrayLike], argument: str = "weights"
) -> list[Scaled]:
    """Return W_1 … W_D, or W_T of every layer; [W] of a recurrent network."""
    checked = []
    for i, W in enumerate(_per_layer(network, argument, "must hold", weights)):
        shape = (network.width_at(i + 1), network.width_at(i))
        checked.append(_matrix(f"{argument}[{i}]", W, shape, f"(n_{i + 1}, n_{i})"))
    return checked


def _biases(network: Network, biases: Iterable[ArrayLike | None] | None) -> list[Scaled | None]:
    """Return b_1 … b_D as columns; [b] of a recurrent network."""
    if biases is None:
        return [None] * (1 if network.shares_weights else network.depth)
    checked: list[Scaled | None] = []
    for i, b in enumerate(_per_layer(network, "biases", "must be None or hold", biases)):
        checked.append(None)
        if b is not None:
            n = network.width_at(i + 1)
            checked[i] = scaled(checked_columns(f"biases[{i}]", b, f"n_{i + 1}", n, 1))
    return checked


def _gates(network: Network, gate_weights: Iterable[ArrayLike] | None) -> list[Scaled]:
    """Return W_T of every layer of a highway network, none of others."""
    if network.highway is None:
        _refuse("a network without highway", gate_weights=gate_weights)
        return []
    if gate_weights is None:
        raise value_error("gate_weights", "must be given: the network has highway gates")
    return _weights(network, gate_weights, "gate_weights")


def _drive(
    network: Network, input_weights: ArrayLike | None, drive: ArrayLike | None, columns: int
) -> tuple[Scaled | None, list[Scaled]]:
    """Return U and s_1 … s_steps."""
    if input_weights is None and drive is None:
        return None, []
    if input_weights is None:
        raise value_error("input_weights", "must be given together with a drive, or neither")
    if drive is None:
        raise value_error("drive", "must be given together with input weights, or neither")
    n = network.width
    U = _matrix("input_weights", input_weights, (n, n), "(n, n)")
    return U, _drives("drive", drive, (network.depth, n, columns))


def _drives(argument: str, value: ArrayLike, shape: tuple[int, int, int]) -> list[Scaled]:
    """Return s_1 … s_steps."""
    return [scaled(s_t) for s_t in _drive_array(argument, value, shape)]


def _drive_array(argument: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    s = _finite(argument, value)
    if s.shape != shape and (shape[2] > 1 or s.shape != shape[:2]):
        raise value_error(argument, f"must have shape (steps, n, B) = {shape}, got {s.shape}")
    return s.reshape(shape)


def _refuse(where: str, **arguments: object) -> None:
    """Raise an error for arguments that the network does not use."""
    for argument, value in arguments.items():
        if value is not None:
            raise value_error(argument, f"must be None: {where} has no use for it")


def _per_layer(network: Network, argument: str, must_hold: str, arrays: Iterable[T]) -> list[T]:
    """Return one array per layer, or the one array of a recurrent network."""
    count, allowed = network.depth, f"depth = {network.depth} arrays"
    if network.shares_weights:
        count, allowed = 1, "1 array, the same at every step"
    given: list[T] = checked_items(argument, arrays, f"{must_hold} {allowed}")
    if len(given) != count:
        raise value_error(argument, f"{must_hold} {allowed}, got {len(given)}")
    return given


def _matrix(argument: str, value: ArrayLike, shape: tuple[int, int], symbols: str) -> Scaled:
    array = real_array(argument, value, NUMBERS)
    matrix = scaled(_shaped(argument, array, shape, symbols), axis=None)
    if matrix.square is None:  # which is finite if it is known
        _require_finite(argument, array)
    return matrix


def _shaped(argument: str, W: Array, shape: tuple[int, ...], symbols: str) -> Array:
    """Return a matrix if it has this shape, and refuse it otherwise."""
    if W.shape != shape:
        transposed = "; transpose it" if W.shape == shape[::-1] else ""
        raise value_error(
            argument, f"must have shape {symbols} = {shape}, got {W.shape}{transposed}"
        )
    return W


def checked_columns(
    argument: str, value: ArrayLike, symbol: str, n: int, count: int | None = None
) -> Array:
    """Return an array of `n` rows and `count` columns, or any number of columns if it is None."""
    given = _finite(argument, value)
    columns = given[:, np.newaxis] if given.ndim == 1 else given
    if columns.ndim != 2 or columns.shape != (n, count or max(columns.shape[1], 1)):
        raise value_error(
            argument,
            f"must have shape ({symbol},) or ({symbol}, {count or 'B'}) with {symbol} = {n}, got "
            f"{given.shape}",
        )
    return columns


def _finite(argument: str, value: ArrayLike) -> Array:
    array = real_array(argument, value, NUMBERS)
    _require_finite(argument, array)
    return array


def _require_finite(argument: str, array: Array) -> None:
    if not np.isfinite(array).all():
        raise value_error(argument, "must be finite, got NaN or infinity")
