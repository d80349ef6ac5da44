"""Settings of a run (seed, batch, data, loss, engine, dtype), and keys of the random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import (
    COUNTERS,
    brief,
    checked_dtype,
    checked_items,
    listed,
    meant,
    plain,
    type_error,
    value_error,
)
from vgsim._domains import Choice, Integer
from vgsim._engine.data import Data, checked_data
from vgsim._engine.rounding import warn_of_rounding
from vgsim._engine.scalar import scalar_is_cheaper, scalar_obstacle
from vgsim._networks.description import Network, checked_network
from vgsim._networks.initializers import padded
from vgsim._networks.operations import Normalise, Weights
from vgsim._results.quantities import CORRELATIONS, RECORDS
from vgsim.typing import DType, Engine, Loss

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
    "foreign_stream",
    "network_key",
    "places",
    "widest_side",
]

ENGINES: tuple[Engine, ...] = get_args(Engine)
OWN_ENGINES = ("torch", "measured")  # of networks without a description, for which "auto" is these
LOSSES: tuple[Loss, ...] = get_args(Loss)
DTYPES: tuple[DType, ...] = get_args(DType)
DEFAULT_LAYERS = 33
LEAST_NORMALISED = 48  # units of the layers of a plain network with norms
_BATCH_SIZE = Integer(1, COUNTERS - 1)
_LOSS, _ENGINE = Choice(LOSSES), Choice[str]((*ENGINES, *OWN_ENGINES))
UInt32s = NDArray[np.uint32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """The settings with which samples are drawn, for any network: see `Settings.checked`.

    Attributes
    ----------
    seed : int
    batch_size : int
        Examples, or sequences of the network's `tokens` columns.
    data : Data or None
        Inputs are rows of this matrix, or sequences of this array; None: normal inputs, or zeros.
    loss, dtype : str
    engine : str
        "auto" is resolved by `of`, for a network.
    zeros : bool, default False
        Whether all inputs are 0.
    """

    seed: int
    batch_size: int
    data: Data | None
    loss: str
    engine: str
    dtype: str
    zeros: bool = False

    @classmethod
    def checked(
        cls,
        *,
        seed: int | None = 0,
        batch_size: int = 1,
        inputs: Literal["normal", "zeros"] | ArrayLike = "normal",
        loss: Loss = "linear",
        engine: Engine = "auto",
        dtype: DType | DTypeLike = "float32",
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
        word = plain(inputs)
        named = isinstance(word, str) and word in ("normal", "zeros")
        return cls(
            seed=_entropy() if seed is None else checked_seed(seed),
            batch_size=_BATCH_SIZE.check("batch_size", batch_size),
            data=None if named else checked_data(inputs),
            loss=_LOSS.check("loss", loss),
            engine=_ENGINE.check("engine", engine),
            dtype=checked_dtype("dtype", dtype, DTYPES),
            zeros=named and word == "zeros",
        )

    @property
    def inputs(self) -> str:
        """The identity of the data, "sha256:…" of their shape and values; or "normal", "zeros"."""
        if self.data is not None:
            return self.data.digest
        return "zeros" if self.zeros else "normal"

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
        >>> Settings.checked().of(vgsim.MLP(10, 100, activation="relu")).engine
        'scalar'
        """
        columns = self.columns(checked_network(network))
        if network.own_engine:
            return self._of_undescribed(network)
        self._check_entries(network, columns)
        if network.mixes_examples and columns == 1:
            raise value_error(
                "batch_size",
                "must be at least 2 with norm 'batch', got 1: batch normalisation of a single "
                "example is always 0, and so is the gradient",
            )
        if self.loss == "cross_entropy" and (last := network.width_at(-1)) < 2:
            raise value_error(
                "loss", f"'cross_entropy' needs 2 outputs (classes) or more, got width {last}"
            )
        self._check_inputs(network)
        warn_of_rounding(network, columns, tangents)
        return replace(self, engine=self._resolved(network, columns, tangents))

    def _of_undescribed(self, network: Network) -> Settings:
        """Check the settings for a network that is not described, and return them."""
        own = network.own_engine
        if self.engine not in ("auto", own):
            problem = f"must be 'auto' or {own!r} for {network!r}, got {self.engine!r}"
            raise value_error("engine", problem)
        self._check_inputs(network)
        return replace(self, engine=own)

    def _check_inputs(self, network: Network) -> None:
        """Refuse inputs that the network does not take."""
        if self.data is not None:
            _check_data(self.data, network, self.batch_size)
        if self.zeros and not network.takes_zeros:
            raise value_error(
                "inputs",
                "'zeros', a zero initial state, is for recurrent networks; it must be 'normal' or "
                f"an array for {network!r}",
            )

    def columns(self, network: Network) -> int:
        """Return the columns of a batch: batch_size times the tokens of a sequence."""
        return int(self.batch_size * network.tokens)

    def is_plain(self, network: Network, tangents: int = 0) -> bool:
        """Whether the pass of plain networks applies (docs/law.md, section 14).

        It takes one column and layers W, b, norm, φ with normal W and b, but no clipping by value.
        Narrow networks with a norm, and those of a single input unit, whose gradient G_0 is
        G_0 · X_0, are left to the general pass, which follows G · X. The engine must not be "auto".

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._engine.settings import Settings
        >>> network = vgsim.MLP(10, 100, bias_std=0.1)
        >>> Settings.checked(engine="matrix-free").is_plain(network)
        True
        >>> Settings.checked(engine="dense").is_plain(network)
        False
        """
        program, clip = network.program, network.clip
        if self.engine == "dense" or self.columns(network) * (1 + tangents) > 1:
            return False
        by_value = clip is not None and clip.by == "value"
        widths = program.widths
        narrow = int(widths[1:].min()) < LEAST_NORMALISED or widths[0] == 1
        normalised = bool(program.of(Normalise))
        return bool(
            program.layer_places
            and program.is_normal
            and not by_value
            and not (normalised and narrow)
        )

    def rotates_biases(self, network: Network) -> bool:
        """Whether W x + b is drawn as one normal vector, from which W x and b follow by a rotation.

        So it is in the pass of plain networks. The engine must not be "auto".

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._engine.settings import Settings
        >>> network = vgsim.MLP(10, 100, bias_std=0.1)
        >>> Settings.checked().of(network).rotates_biases(network)
        True
        >>> Settings.checked(engine="dense").of(network).rotates_biases(network)
        False
        """
        return self.is_plain(network)

    def _check_entries(self, network: Network, columns: int) -> None:
        """Refuse batches of 2**32 entries or more, at any place or inside it."""
        # a network bounds its matrices, and so one column
        widest = widest_side(network) if columns > 1 else network.width_at(0)
        tokens = network.tokens
        if columns * padded(widest) >= COUNTERS:
            raise value_error(
                "batch_size",
                f"must be below {-(-COUNTERS // (tokens * padded(widest)))} at width {widest}"
                + (f" and {tokens} tokens" if tokens > 1 else "")
                + f", for a batch of fewer than 2**32 = {COUNTERS} entries, got {self.batch_size}",
            )

    def _resolved(self, network: Network, columns: int, tangents: int) -> str:
        """Return the engine; "auto" is resolved by network, columns and loss only."""
        if self.engine in OWN_ENGINES:
            problem = f"{self.engine!r} is for networks that are not described layer by layer"
            raise value_error("engine", f"{problem}, got {network!r}")
        obstacle = network.matrix_free_obstacle
        scalar = scalar_obstacle(network, columns, self.loss, tangents)
        if self.engine == "scalar" and scalar:
            raise value_error("engine", f"'scalar' {scalar}; use 'auto' or another engine")
        if self.engine == "matrix-free" and obstacle:
            raise value_error("engine", f"'matrix-free' {obstacle}; use 'dense' or 'auto'")
        if self.engine != "auto":
            return self.engine
        if scalar is None and scalar_is_cheaper(network):
            return "scalar"
        every = (1 + tangents) * columns
        cheaper = obstacle is None and _matrix_free_is_cheaper(network, every)
        return "matrix-free" if cheaper else "dense"

    def key(self, network: Network) -> UInt32s:
        """Return the key of the random numbers of a network: see `network_key`."""
        return network_key(network.canonical_json(), self.seed)


def widest_side(network: Network) -> int:
    """Return the largest number of units of a place or inside it."""
    sides = {side for weights, _ in _matrices(network) for side in weights.shape}
    return max(int(network.program.widths.max()), *sides, 1)


def _matrix_free_is_cheaper(network: Network, columns: int) -> bool:
    """Whether drawing products of the weights costs less than drawing them: the rule of "auto".

    An n × m Gaussian matrix has n m entries, and its products n + m numbers a column, forward and
    backward. Both engines were measured to take the same time at 0.4 times the mean width in
    columns, for widths from 16 to 512. For orthogonal matrices drawing products always costs less.
    """
    if columns == 1:
        return True
    entries = products = 0
    for weights, count in _matrices(network):
        if weights.law == "orthogonal":
            return True
        n, m = weights.shape
        entries += count * n * m
        products += count * (n + m)
    return not products or columns <= 0.4 * (2 * entries / products)


def _matrices(network: Network) -> list[tuple[Weights, int]]:
    """Return the kinds of matrices of a network, with the number of places of each."""
    found = network.program.of(Weights).items()
    return [(weights, count) for weights, count in found if isinstance(weights, Weights)]


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


def _check_data(data: Data, network: Network, batch_size: int) -> None:
    """Refuse data of another shape than the network's input, or with fewer rows than a batch."""
    n_0, tokens = network.width_at(0), network.tokens
    if (data.width, data.tokens) != (n_0, tokens):
        shape, sizes = "(N, n_0)", f"n_0 = {n_0}"
        if tokens > 1:
            shape, sizes = "(N, tokens, n_0)", f"tokens = {tokens} and n_0 = {n_0}"
        names = "'normal', 'zeros'" if network.takes_zeros else "'normal'"
        raise value_error(
            "inputs",
            f"must be {names} or an array of shape {shape} with {sizes}, got shape {data.shape}",
        )
    if data.rows < batch_size:
        raise value_error(
            "inputs",
            f"must have at least batch_size = {batch_size} {'sequences' if tokens > 1 else 'rows'},"
            f" drawn without replacement, got shape {data.shape}",
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


def checked_record(record: Collection[str], network: Network, settings: Settings) -> frozenset[str]:
    """Return the names of the quantities to record."""
    allowed = f"must be a collection of names out of {listed(RECORDS)}"
    if isinstance(record, str):
        raise type_error("record", f"{allowed}, got {record!r}; for one name write ({record!r},)")
    given = checked_items("record", record, allowed)
    names = frozenset(map(plain, given)) & frozenset(RECORDS)
    if unknown := [name for name in given if plain(name) not in names]:
        near = meant(str(unknown[0]), RECORDS)
        hint = f"; did you mean {near!r}?" if near else ""
        raise value_error("record", f"{allowed}, got {brief(unknown[0])}{hint}")
    if "clipped" in names and network.clip is None:
        raise value_error(
            "record",
            "'clipped' needs a network with gradient clipping, by norm or by value, "
            f"got {network!r}",
        )
    if "saturation" in names and network.own_engine == "torch":
        problem = "'saturation' needs the activations of a network, which are not known of a module"
        raise value_error("record", problem)
    if settings.columns(network) == 1 and (pairs := names & frozenset(CORRELATIONS)):
        raise value_error(
            "record",
            f"{min(map(str, pairs))!r} is over pairs of columns: it needs a batch_size of at least "
            "2, or a network with tokens, got one column",
        )
    return frozenset(map(str, names))


STREAM_VERSION = 2  # raised when any sample of an existing network changes
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
    "replay_directions": 15,
}


def foreign_stream(made_by: Mapping[str, str]) -> str | None:
    """Return why samples with this provenance are refused: another stream version; else None.

    Samples without a stream version, which vgsim did not draw, are allowed.

    Examples
    --------
    >>> from vgsim._engine.settings import foreign_stream
    >>> print(foreign_stream({"vgsim": "0.1.0", "stream_version": "1"}))
    has samples of stream version 1, made by vgsim 0.1.0; this vgsim draws those of version 2, \
which are other samples, so the two cannot be compared, joined or continued: use the vgsim that \
made it
    >>> foreign_stream({"stream_version": "2"})
    """
    version = made_by.get("stream_version", str(STREAM_VERSION))
    if version == str(STREAM_VERSION):
        return None
    maker = f", made by vgsim {made_by['vgsim']}" if "vgsim" in made_by else ""
    return (
        f"has samples of stream version {version}{maker}; this vgsim draws those of version "
        f"{STREAM_VERSION}, which are other samples, so the two cannot be compared, joined or "
        "continued: use the vgsim that made it"
    )


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
