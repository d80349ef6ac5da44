"""The data of a training: rows with classes or targets, checked; or a random teacher."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import BYTES, brief, plain, real_array, type_error, value_error
from vgsim._networks.description import Network

__all__ = ["TEACHER", "TrainingData", "baseline_of", "read_data", "require_range"]

TEACHER = "teacher"
PAIR = "must be (X, y), rows and their classes or targets, or 'teacher'"


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Rows with classes or targets, or the law of a teacher.

    Attributes
    ----------
    inputs : ndarray or None
        (N, n_0), with tokens (N, tokens, n_0); (N, steps, n) are sequences that drive a recurrent
        network. None: a teacher.
    targets : ndarray or None
        Classes (N,) or (N, tokens), ints; or targets (N, n_D) or (N, tokens, n_D).
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
        >>> from vgsim._training.data import read_data
        >>> data = read_data((np.ones((4, 3)), [0, 1, 0, 1]), "cross_entropy")
        >>> round(data.baseline("cross_entropy"), 4)
        0.6931
        """
        assert self.targets is not None
        return baseline_of(self.targets, loss)

    def fitted(self, network: Network, loss: str) -> TrainingData:
        """Return the data in the form that the training of a network takes.

        Raises
        ------
        ValueError
            If the shapes do not match, or classes are out of range.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._training.data import read_data
        >>> read_data(([[0, 1]], [2]), "cross_entropy").fitted(vgsim.MLP(1, 2), "cross_entropy")
        Traceback (most recent call last):
        ValueError: data[1] must be classes from 0 to 1 for the 2 outputs of the network, got 2
        """
        if self.inputs is None or self.targets is None:
            return self
        drives = _drives(self.inputs, network)
        targets = _classes if loss == "cross_entropy" else _targets
        y = targets(self.targets, self.inputs, network)
        return replace(self, targets=y, drives=drives)


def baseline_of(targets: NDArray[Any], loss: str) -> float:
    """Return the loss of the best constant prediction of classes or targets."""
    if loss == "cross_entropy":
        counts = np.bincount(targets.ravel())
        shares = counts[counts > 0] / targets.size
        return float(max(-np.sum(shares * np.log(shares)), 0.0))
    columns = targets.reshape(-1, targets.shape[-1]).astype(np.float64)
    return float(0.5 * np.sum(np.var(columns, axis=0)))


def read_data(data: object, loss: str) -> TrainingData:
    """Read the argument `data` of :func:`vgsim.train`, as far as networks do not matter.

    Raises
    ------
    TypeError, ValueError
        If `data` is not a pair of arrays of finite real numbers and classes or targets.

    Examples
    --------
    >>> from vgsim._training.data import read_data
    >>> read_data(([[0.0, float("nan")]], [2]), "cross_entropy")
    Traceback (most recent call last):
    ValueError: data[0] must be finite, got NaN or infinity
    """
    if isinstance(word := plain(data), str):
        if word != TEACHER:
            raise value_error("data", f"{PAIR}, got {brief(data)}")
        return TrainingData(None, None, TEACHER)
    if not isinstance(data, Sequence) or isinstance(data, BYTES) or len(data) != 2:
        raise type_error("data", f"{PAIR}, got {brief(data)}")
    X = _finite("data[0]", data[0])
    y = _integers(data[1]) if loss == "cross_entropy" else _finite("data[1]", data[1])
    content = hashlib.sha256(repr((X.shape, y.size, y.dtype.kind)).encode())
    for array, kind in ((X, "<f8"), (y, "<i8" if y.dtype.kind == "i" else "<f8")):
        content.update(np.ascontiguousarray(array, dtype=kind).data)
    return TrainingData(X, y, f"sha256:{content.hexdigest()}")


def require_range(argument: str, array: NDArray[Any], dtype: str) -> None:
    """Raise ValueError if a number of an array is out of the range of a floating-point format.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._training.data import require_range
    >>> require_range("data[0]", np.array([1.0, -1e50]), "float32")
    Traceback (most recent call last):
    ValueError: data[0] must lie within the range of 'float32', which ends at 3.4e+38, got -1e+50
    """
    most = float(np.finfo(dtype).max)
    for value in (float(array.max(initial=0.0)), float(array.min(initial=0.0))):
        if abs(value) > most:
            problem = f"must lie within the range of {dtype!r}, which ends at {most:.2g}"
            raise value_error(argument, f"{problem}, got {value:.6g}")


def _finite(argument: str, given: ArrayLike) -> NDArray[Any]:
    """Return an array of finite real numbers."""
    array = real_array(argument, given, "must be an array of real numbers")
    if not np.isfinite(array).all():
        raise value_error(argument, "must be finite, got NaN or infinity")
    return array


def _integers(given: Any) -> NDArray[Any]:
    """Return an array of ints."""
    allowed = "must be integer classes with loss 'cross_entropy'"
    array = real_array("data[1]", given, allowed)
    is_tensor = hasattr(given, "is_floating_point")
    dtype = given.dtype if is_tensor else np.asarray(given).dtype
    if given.is_floating_point() if is_tensor else dtype.kind not in "iu":
        raise type_error("data[1]", f"{allowed}, got dtype {dtype}")
    if np.any(abs(array) >= 2.0**53):
        raise value_error("data[1]", f"{allowed}, got {abs(array).max():.0f}")
    return array.astype(np.int64)


def _drives(X: NDArray[Any], network: Network) -> bool:
    """Check the shape of X, and return whether it drives a recurrent network."""
    n_0, tokens = network.width_at(0), network.tokens
    shapes: dict[str, tuple[int, ...]] = {"(N, n_0)": (n_0,)}
    if tokens > 1:
        shapes = {"(N, tokens, n_0)": (tokens, n_0)}
    elif network.shares_weights and network.input_std > 0:
        shapes["(N, steps, n_0)"] = (network.depth, n_0)
    if X.size == 0 or X.shape[1:] not in shapes.values():
        allowed = " or ".join(
            f"{symbols} = (N{''.join(f', {size}' for size in shape)})"
            for symbols, shape in shapes.items()
        )
        raise value_error("data[0]", f"must have shape {allowed} with N >= 1, got {X.shape}")
    return network.shares_weights and X.ndim == 3


def _classes(y: NDArray[Any], X: NDArray[Any], network: Network) -> NDArray[Any]:
    """Return classes as int32, one for each row, or for each token."""
    outputs = network.width_at(-1)
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


def _targets(y: NDArray[Any], X: NDArray[Any], network: Network) -> NDArray[Any]:
    """Return targets, n_D numbers for each row, or for each token."""
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
