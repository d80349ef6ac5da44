"""Settings of a run (seed, batch, data, loss, engine, dtype), and keys of the random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import (
    COUNTERS,
    Choice,
    Integer,
    brief,
    checked_dtype,
    checked_items,
    listed,
    plain,
    type_error,
    value_error,
)
from vgsim._engine.data import Data, checked_data
from vgsim._engine.rounding import warn_of_rounding
from vgsim._networks.description import Network, checked_network
from vgsim._networks.initializers import padded
from vgsim._results.samples import RECORDS

__all__ = [
    "DTYPES",
    "ENGINES",
    "LOSSES",
    "STREAMS",
    "STREAM_VERSION",
    "Settings",
    "checked_layers",
    "checked_record",
    "default_layers",
    "network_key",
    "places",
]

ENGINES = ("auto", "matrix-free", "dense")
LOSSES = ("linear", "mse", "cross_entropy")
DTYPES = ("float32", "float64")
DEFAULT_LAYERS = 33
_BATCH_SIZE = Integer(1, COUNTERS - 1)
_LOSS, _ENGINE = Choice(LOSSES), Choice(ENGINES)
UInt32s = NDArray[np.uint32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """The settings with which samples are drawn, for any network: see `Settings.checked`.

    Attributes
    ----------
    seed : int
    batch_size : int
    data : Data or None
        Inputs are rows of this matrix; None: normal inputs.
    loss, dtype : str
    engine : str
        "auto" is resolved by `of`, for a network.
    """

    seed: int
    batch_size: int
    data: Data | None
    loss: str
    engine: str
    dtype: str

    @classmethod
    def checked(
        cls,
        *,
        seed: int | None = 0,
        batch_size: int = 1,
        inputs: Literal["normal"] | ArrayLike = "normal",
        loss: str = "linear",
        engine: str = "auto",
        dtype: DTypeLike = "float32",
    ) -> Settings:
        """Check everything that does not depend on the network; arguments are those of `simulate`.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or out of range.

        Examples
        --------
        >>> from vgsim._engine.settings import Settings
        >>> Settings.checked(loss="hinge")
        Traceback (most recent call last):
        ValueError: loss must be one of 'linear', 'mse', 'cross_entropy', got 'hinge'
        """
        return cls(
            seed=_entropy() if seed is None else checked_seed(seed),
            batch_size=_BATCH_SIZE.check("batch_size", batch_size),
            data=None if _is_normal(inputs) else checked_data(inputs),
            loss=_LOSS.check("loss", loss),
            engine=_ENGINE.check("engine", engine),
            dtype=checked_dtype("dtype", dtype, DTYPES),
        )

    @property
    def inputs(self) -> str:
        """The identity of the data, "sha256:…" of their shape and values; "normal" if none."""
        return "normal" if self.data is None else self.data.digest

    @property
    def identity(self) -> dict[str, Any]:
        """All that a sample depends on except its network and index, as JSON types."""
        names = "seed", "engine", "dtype", "batch_size", "loss", "inputs"
        return {name: getattr(self, name) for name in names}

    def of(self, network: Network, tangents: int = 0) -> Settings:
        """Check the settings for a network, and return them with "auto" resolved.

        `tangents` is the number of tangent vectors per example.

        Raises
        ------
        TypeError, ValueError
            If `network` is not a network, or does not allow the batch size, the data, the loss or
            the engine.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._engine.settings import Settings
        >>> Settings.checked().of(vgsim.MLP(10, 100)).engine
        'matrix-free'
        >>> Settings.checked(batch_size=100).of(vgsim.MLP(10, 100)).engine
        'dense'
        """
        network, B = checked_network(network), self.batch_size
        width = network.width
        widest = width if isinstance(width, int) else max(width)
        first, last = (width, width) if isinstance(width, int) else (width[0], width[-1])
        if B * padded(widest) >= COUNTERS:
            raise value_error(
                "batch_size",
                f"must be below {-(-COUNTERS // padded(widest))} at width {widest}, for a batch of "
                f"fewer than 2**32 = {COUNTERS} entries, got {B}",
            )
        if network.mixes_examples and B == 1:
            raise value_error(
                "batch_size",
                "must be at least 2 with norm 'batch', got 1: batch normalisation of a single "
                "example is always 0, and so is the gradient",
            )
        if self.loss == "cross_entropy" and last < 2:
            raise value_error(
                "loss", "'cross_entropy' needs 2 outputs (classes) or more, got width 1"
            )
        if self.data is not None:
            _check_rows(self.data, first, B)
        if network.norm is not None:
            warn_of_rounding(network, B, tangents)
        return replace(self, engine=self._resolved(network, (1 + tangents) * B))

    def _resolved(self, network: Network, columns: int) -> str:
        """Return the engine; "auto" is resolved by network and number of columns only."""
        obstacle = network.matrix_free_obstacle
        if self.engine == "matrix-free" and obstacle:
            raise value_error("engine", f"'matrix-free' {obstacle}; use 'dense' or 'auto'")
        if self.engine != "auto":
            return self.engine
        cheaper = obstacle is None and _matrix_free_is_cheaper(network, columns)
        return "matrix-free" if cheaper else "dense"

    def key(self, network: Network) -> UInt32s:
        """Return the key of the random numbers of a network: see `network_key`."""
        return network_key(network.canonical_json(), self.seed)


def _matrix_free_is_cheaper(network: Network, columns: int) -> bool:
    """Whether drawing products of the weights costs less than drawing them: the rule of "auto".

    For Gaussian weights both engines were measured to take the same time at 0.4 times the mean
    width in columns, for widths from 16 to 512. For orthogonal matrices drawing products always
    costs less.
    """
    if columns == 1 or network.init.distribution == "orthogonal":
        return True
    width = network.width
    mean = width if isinstance(width, int) else sum(width) / len(width)
    return columns <= 0.4 * mean


def _is_normal(inputs: object) -> bool:
    """Whether `inputs` is "normal"."""
    word = plain(inputs)
    return isinstance(word, str) and word == "normal"


def _entropy() -> int:
    """Return fresh entropy as a seed."""
    return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]


def checked_seed(seed: object) -> int:
    """Return a seed, an int >= 0 of any size."""
    entropy = plain(seed)
    if isinstance(entropy, int) and entropy >= 0:
        return entropy
    problem = f"must be an int >= 0, got {brief(seed)}"
    raise (value_error if isinstance(entropy, int) else type_error)("seed", problem)


def _check_rows(data: Data, n_0: int, batch_size: int) -> None:
    """Refuse data whose width is not n_0, or with fewer rows than a batch."""
    if data.shape[1] != n_0:
        raise value_error(
            "inputs",
            f"must be 'normal' or an array of shape (N, n_0) with n_0 = {n_0}, "
            f"got shape {data.shape}",
        )
    if data.shape[0] < batch_size:
        raise value_error(
            "inputs",
            f"must have at least batch_size = {batch_size} rows, drawn without replacement, "
            f"got shape {data.shape}",
        )


def checked_layers(layers: Iterable[int], depth: int) -> NDArray[np.int64]:
    """Return distinct layers from 0 to `depth`, at least one, in the order given."""
    allowed = f"must be a sequence of distinct ints from 0 to depth = {depth}"
    given = checked_items("layers", layers, allowed)
    each = Integer(0, depth, f"depth = {depth}")
    chosen = [each.check("layers", l, f"[{i}]") for i, l in enumerate(given)]
    if not chosen or len(set(chosen)) < len(chosen):
        problem = f"must be distinct ints, one or more of them, got {brief(chosen)}"
        raise value_error("layers", problem)
    return np.array(chosen, dtype=np.int64)


def default_layers(depth: int) -> NDArray[np.int64]:
    """Return the default layers: 0, `depth` and a geometric grid between.

    Examples
    --------
    >>> from vgsim._engine.settings import default_layers
    >>> default_layers(5)
    array([0, 1, 2, 3, 4, 5])
    """
    grid = np.geomspace(1, depth, DEFAULT_LAYERS - 1)
    return np.unique(np.concatenate([[0], np.rint(grid)])).astype(np.int64)


def places(columns: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
    """Return the column of each layer 0 … depth, -1 where it is not recorded."""
    found = np.full(depth + 1, -1, dtype=np.int64)
    found[columns] = np.arange(len(columns))
    return found


def checked_record(record: Collection[str], network: Network) -> frozenset[str]:
    """Return the names of the quantities to record."""
    allowed = f"must be a collection of names out of {listed(RECORDS)}"
    if isinstance(record, str):
        raise type_error("record", f"{allowed}, got {record!r}; for one name write ({record!r},)")
    given = checked_items("record", record, allowed)
    names = frozenset(map(plain, given)) & frozenset(RECORDS)
    if unknown := [name for name in given if plain(name) not in names]:
        raise value_error("record", f"{allowed}, got {brief(unknown[0])}")
    if "clipped" in names and network.clip is None:
        raise value_error(
            "record",
            "'clipped' needs a network with gradient clipping, by norm or by value, "
            f"got {network!r}",
        )
    return frozenset(map(str, names))


STREAM_VERSION = 1  # raised when any sample of an existing network changes
STREAMS: dict[str, int] = {
    "input": 0,
    "forward": 1,
    "backward": 2,
    "bias": 3,
    "cotangent": 6,
    "targets": 7,
    "replay_rest": 8,
    "norm": 9,
    "input_weights": 10,
    "drive": 11,
    "tangent": 13,
    "mask": 14,
}


def network_key(canonical_json: str, seed: int) -> UInt32s:
    """Return the key of the random numbers of a network under a seed.

    Parameters
    ----------
    canonical_json : str
        :meth:`vgsim.MLP.canonical_json` of the network.
    seed : int
        Any int ≥ 0.

    Returns
    -------
    ndarray of uint32, (2,)
        ``SeedSequence(seed, spawn_key=h).generate_state(2)``, with h the first four words
        (big-endian) of the sha256 of the JSON. So networks are independent under one seed.

    Raises
    ------
    TypeError, ValueError
        If the seed is not an int ≥ 0.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._engine.settings import network_key
    >>> network_key(vgsim.MLP(depth=10, width=8).canonical_json(), seed=0)
    array([3572065298, 1122064661], dtype=uint32)
    """
    entropy = checked_seed(seed)
    digest = hashlib.sha256(canonical_json.encode("ascii")).digest()
    spawn_key = tuple(int.from_bytes(digest[4 * i : 4 * i + 4], "big") for i in range(4))
    sequence = np.random.SeedSequence(entropy, spawn_key=spawn_key)
    return np.asarray(sequence.generate_state(2), dtype=np.uint32)
