"""The data of a training: rows with classes or targets, checked; or a random teacher."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, plain, real_array, type_error, value_error
from vgsim._networks.description import Network

__all__ = ["TEACHER", "TrainingData", "checked_data"]

TEACHER = "teacher"
PAIR = "must be (X, y), rows and their classes or targets, or 'teacher'"


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Rows with classes or targets, or the law of a teacher, in the form that a training takes.

    Attributes
    ----------
    inputs : ndarray or None
        (N, n_0), with tokens (N, tokens, n_0); (N, steps, n) are sequences that drive a recurrent
        network. None: a teacher.
    targets : ndarray or None
        Classes (N,) or (N, tokens), int32; or targets (N, n_D) or (N, tokens, n_D).
    identity : str
        "sha256:…" of shapes and values; or "teacher".
    drives : bool
        Whether the inputs are sequences that drive a recurrent network.
    """

    inputs: NDArray[Any] | None
    targets: NDArray[Any] | None
    identity: str
    drives: bool = False

    @property
    def rows(self) -> int | None:
        """The number N of rows among which minibatches are drawn; None for a teacher."""
        return None if self.inputs is None else len(self.inputs)

    def baseline(self, loss: str) -> float:
        """Return the loss of the best constant prediction; not for a teacher.

        The entropy of the class frequencies (natural log), or half of the summed variances of the
        targets.

        Examples
        --------
        >>> import numpy as np
        >>> import vgsim
        >>> from vgsim._training.data import checked_data
        >>> net = vgsim.MLP(2, [3, 4, 2])
        >>> data = checked_data((np.ones((4, 3)), [0, 1, 0, 1]), net, "cross_entropy")
        >>> round(data.baseline("cross_entropy"), 4)
        0.6931
        """
        assert self.targets is not None
        return baseline_of(self.targets, loss)


def baseline_of(targets: NDArray[Any], loss: str) -> float:
    """Return the loss of the best constant prediction of classes or targets."""
    if loss == "cross_entropy":
        counts = np.bincount(targets.ravel())
        shares = counts[counts > 0] / targets.size
        return float(max(-np.sum(shares * np.log(shares)), 0.0))
    columns = targets.reshape(-1, targets.shape[-1]).astype(np.float64)
    return float(0.5 * np.sum(np.var(columns, axis=0)))


def checked_data(data: object, network: Network, loss: str) -> TrainingData:
    """Check the argument `data` of :func:`vgsim.train` for a network and a loss.

    Raises
    ------
    TypeError, ValueError
        If `data` is not a pair of arrays of matching shapes, or holds NaN, infinity or labels out
        of range.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._training.data import checked_data
    >>> checked_data(([[0.0, 1.0]], [2]), vgsim.MLP(1, 2), "cross_entropy")
    Traceback (most recent call last):
    ValueError: data[1] must be classes from 0 to 1 for the 2 outputs of the network, got 2
    """
    if isinstance(word := plain(data), str):
        if word != TEACHER:
            raise value_error("data", f"{PAIR}, got {brief(data)}")
        return TrainingData(None, None, TEACHER)
    if not isinstance(data, Sequence) or len(data) != 2:
        raise type_error("data", f"{PAIR}, got {brief(data)}")
    inputs, drives = _inputs(data[0], network)
    if loss == "cross_entropy":
        targets = _classes(data[1], inputs, network)
    else:
        targets = _targets(data[1], inputs, network)
    content = hashlib.sha256(repr((inputs.shape, targets.shape, targets.dtype.kind)).encode())
    content.update(np.ascontiguousarray(inputs, dtype="<f8").data)
    kind = "<i8" if targets.dtype.kind == "i" else "<f8"
    content.update(np.ascontiguousarray(targets, dtype=kind).data)
    return TrainingData(inputs, targets, f"sha256:{content.hexdigest()}", drives)


def _finite(argument: str, given: ArrayLike) -> NDArray[Any]:
    """Return an array of finite real numbers."""
    array = real_array(argument, given, "must be an array of real numbers")
    if not np.isfinite(array).all():
        raise value_error(argument, "must be finite, got NaN or infinity", " of data")
    return array


def _inputs(given: ArrayLike, network: Network) -> tuple[NDArray[Any], bool]:
    """Return X, and whether it drives a recurrent network."""
    X = _finite("data[0]", given)
    n_0, tokens = network.width_at(0), network.tokens
    shapes: dict[str, tuple[int, ...]] = {"(N, n_0)": (n_0,)}
    if tokens > 1:
        shapes = {"(N, tokens, n_0)": (tokens, n_0)}
    elif network.shares_weights and network.input_std > 0:
        shapes["(N, steps, n_0)"] = (network.depth, n_0)
    if len(X) == 0 or X.shape[1:] not in shapes.values():
        allowed = " or ".join(
            f"{symbols} = (N{''.join(f', {size}' for size in shape)})"
            for symbols, shape in shapes.items()
        )
        raise value_error("data[0]", f"must have shape {allowed} with N >= 1, got {X.shape}")
    return X, network.shares_weights and X.ndim == 3


def _classes(given: ArrayLike, X: NDArray[Any], network: Network) -> NDArray[Any]:
    """Return classes, one for each row, or for each token."""
    y = np.asarray(given)
    outputs = network.width_at(-1)
    if y.dtype.kind not in "iu":
        raise type_error(
            "data[1]", f"must be integer classes with loss 'cross_entropy', got dtype {y.dtype}"
        )
    allowed = {X.shape[:1], X.shape[:2] if network.tokens > 1 else X.shape[:1]}
    if y.shape not in allowed:
        names = "(N,) or (N, tokens)" if network.tokens > 1 else "(N,)"
        raise value_error(
            "data[1]", f"must have shape {names} for data[0] of shape {X.shape}, got {y.shape}"
        )
    wrong = y[(y < 0) | (y >= outputs)]
    if wrong.size:
        raise value_error(
            "data[1]",
            f"must be classes from 0 to {outputs - 1} for the {outputs} outputs of the network, "
            f"got {wrong.flat[0]}",
        )
    if y.ndim < X.ndim - 1 and network.tokens > 1:
        y = np.repeat(y[:, np.newaxis], network.tokens, axis=1)
    return y.astype(np.int32)


def _targets(given: ArrayLike, X: NDArray[Any], network: Network) -> NDArray[Any]:
    """Return targets, n_D numbers for each row, or for each token."""
    y = _finite("data[1]", given)
    n_D = network.width_at(-1)
    leading = X.shape[:2] if network.tokens > 1 else X.shape[:1]
    if y.ndim == 1 and n_D == 1:
        y = y[:, np.newaxis]
    if y.shape != (*leading, n_D):
        raise value_error(
            "data[1]",
            f"must have shape {(*leading, n_D)} with loss 'mse': one target for each output and "
            f"row of data[0], got {y.shape}",
        )
    return y
