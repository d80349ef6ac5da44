"""The plan of a run: network, batch and data as the arrays and numbers that the kernels take.

A thread simulates one group of samples at a time. It stores what the backward pass needs of the
whole forward pass (of plain networks, sums of each layer) if that is small enough. Otherwise it
stores the activations, or their norm, at the start of each segment, and repeats the forward pass of
a segment during the backward pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import require_memory
from vgsim._engine.compile import Compiled
from vgsim._engine.plain import PlainLayers, plain_layers
from vgsim._engine.settings import Settings, places
from vgsim._engine.tables import Tables
from vgsim._kernels import Run, lanes
from vgsim._networks.description import Network
from vgsim._networks.operations import Weights

__all__ = ["Plan", "relative_cost"]

WHOLE_BYTES = 24 << 20  # largest last segment (or whole forward pass) that a thread stores
ALL_WHOLE_BYTES = 1 << 30  # the same for all threads together
SEGMENT_BYTES = 1 << 18  # least size of the other segments, of which there are at most √depth
PLAN_BYTES = 96  # bytes per layer of the arrays of a plan during their construction
CHUNK_DRAWS = 2_000_000  # random numbers per chunk of work of a thread
MODULE_PLACE = 1e6  # the same for a place of a PyTorch module, a rough guess
SCALAR_LAYER = 12.0  # units of a matrix-free layer that take as long as a narrow scalar one


@dataclass(frozen=True)
class Plan:
    """The plan for one network, with `threads` groups of samples at a time.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._engine.plan import Plan
    >>> from vgsim._engine.settings import Settings
    >>> network = vgsim.MLP(1000, 128)
    >>> Plan(network, Settings.checked().of(network), threads=2).is_plain
    True
    """

    network: Network
    settings: Settings
    threads: int
    tangents: int = 0

    def __post_init__(self) -> None:
        depth, place = self.network.depth, self.network.place
        require_memory(PLAN_BYTES * depth, f"the plan of {depth} {place}s", "lower the depth")

    @property
    def is_plain(self) -> bool:
        """Whether the pass of plain networks applies: see `Settings.is_plain`."""
        return self._plain is not None

    @property
    def _is_scalar(self) -> bool:
        return self.settings.engine == "scalar"

    @cached_property
    def _plain(self) -> PlainLayers | None:
        if not self.settings.is_plain(self.network, self.tangents):
            return None
        return plain_layers(self.network.program, self.settings.dtype)

    @property
    def columns(self) -> int:
        """Number of vectors that each weight matrix multiplies: examples and tangents."""
        return self.settings.columns(self.network) * (1 + self.tangents)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of vg_plan that do not depend on what is recorded, by name."""
        return self._fields | {"segment_ends": self.segment_ends}

    @cached_property
    def _fields(self) -> dict[str, Any]:
        net, settings, data = self.network, self.settings, self.settings.data
        plain = self._plain
        operations = plain.fields if plain else self._compiled.fields
        if plain and self._is_scalar:
            operations = operations | {"parameters": plain.slopes}
        return {
            "depth": net.depth,
            "places": net.depth,
            "widths": net.program.widths,
            "engine": settings.engine,
            "plain": self.is_plain,
            "batch": settings.columns(net),
            "tokens": net.tokens,
            "tangents": self.tangents,
            "clip": net.clip.by if net.clip else None,
            "clip_at": net.clip.bound if net.clip else 0.0,
            "loss": settings.loss,
            "zeros": settings.zeros,
            "inputs": None if data is None else data.significands,
            "input_exponents": None if data is None else data.exponents,
            "rows": 0 if data is None else data.rows,
            **operations,
        }

    def columns_of_results(
        self, layers: NDArray[np.int64], weight_layers: NDArray[np.int64]
    ) -> dict[str, Any]:
        """Return the fields of vg_plan that say which column of a result a place has."""
        depth, units = self.network.depth, layers[layers >= 1]
        column, weight_column, saturation_column = (
            places(chosen, depth) for chosen in (layers, weight_layers, units)
        )
        found = {
            "n_columns": len(layers),
            "n_weight_columns": len(weight_layers),
            "n_saturation_columns": len(units),
            "column": column,
            "weight_column": weight_column,
            "saturation_column": saturation_column,
        }
        if self._plain and self._plain.places == 2:
            matrices = np.concatenate([[-1], weight_column[1::2]])
            found["inner_column"] = np.concatenate([[-1], column[1::2]])
            found["column"] = np.ascontiguousarray(column[::2])
            found["weight_column"] = matrices
            found["saturation_column"] = np.ascontiguousarray(saturation_column[::2])
        return found

    @cached_property
    def _compiled(self) -> Compiled:
        net, clip = self.network, self.network.clip
        return Compiled(
            net.program,
            columns=self.settings.columns(net),
            stores_matrices=self.settings.engine == "dense",
            clips_values=clip is not None and clip.by == "value",
            tables=Tables.of(net.program, self.settings.dtype),
        )

    @cached_property
    def _place_bytes(self) -> NDArray[np.int64]:
        """Bytes that a forward pass stores for each place 1 … D; (depth,)."""
        fields = self._fields
        if self.is_plain:
            whole = self._run(np.array([fields["depth"]], dtype=np.int64))
            return np.full(fields["depth"], whole.body_bytes(0))
        whole = self._run(np.array([self.network.depth], dtype=np.int64))
        bodies = [whole.body_bytes(body) for body in range(len(fields["bodies"]) - 1)]
        return np.asarray(np.array(bodies, dtype=np.int64)[fields["order"]])

    def _run(self, segment_ends: NDArray[np.int64]) -> Run:
        """Return a run that computes sizes."""
        key = np.zeros(2, dtype=np.uint32)
        return Run(self.settings.dtype, key, **self._fields, segment_ends=segment_ends)

    @cached_property
    def segment_ends(self) -> NDArray[np.int64]:
        """Last place (of a plain network, layer) of each segment.

        Only the state is in use after it.
        """
        resting = np.flatnonzero(self.network.program.resting)
        if self._plain:
            resting = np.arange(len(self._plain.fields["widths"]))
        used = np.concatenate([[0], np.cumsum(self._place_bytes)])[resting]
        blocks = len(resting) - 1
        whole = 0 if self.tangents else min(WHOLE_BYTES, ALL_WHOLE_BYTES // self.threads)
        room = max(SEGMENT_BYTES, int(used[-1] / math.sqrt(blocks)))
        last = min(int(np.searchsorted(used, used[-1] - whole)), blocks - 1)
        ends = [0]
        while ends[-1] < last:
            end = int(np.searchsorted(used, used[ends[-1]] + room, side="right")) - 1
            ends.append(min(max(end, ends[-1] + 1), last))
        return np.ascontiguousarray(resting[[*ends[1:], blocks]], dtype=np.int64)

    @property
    def working_bytes(self) -> int:
        """Working memory of all threads, in bytes."""
        return self.threads * self._run(self.segment_ends).scratch_bytes

    def chunk(self, n_samples: int) -> int:
        """Return the groups of samples per chunk of work, for four or more chunks per thread."""
        draws = 2 * relative_cost(self.network, self.settings.engine, self.columns)
        side = lanes(self.settings.dtype)
        most = n_samples // (4 * side * self.threads)
        return max(1, min(int(CHUNK_DRAWS / (draws * side)), most))


def relative_cost(network: Network, engine: str, columns: int) -> float:
    """Return the relative cost of one sample: random numbers drawn, times 1 + columns/8.

    A layer of the scalar engine counts as `SCALAR_LAYER` of them, a place of a PyTorch module as
    `MODULE_PLACE`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._engine.plan import relative_cost
    >>> relative_cost(vgsim.MLP(2, 8), "matrix-free", 1), relative_cost(vgsim.MLP(2, 8), "dense", 1)
    (27.0, 144.0)
    """
    if network.own_engine:
        return MODULE_PLACE * network.depth * columns
    matrices = network.program.of(Weights).items()
    if engine == "scalar":
        layers = sum(count * (SCALAR_LAYER + w.shape[0] / 128) for w, count in matrices)
        return layers * (1 + columns / 8)
    numbers = 0.0 if engine == "dense" else float(columns * network.width_at(0))
    for weights, count in matrices:
        n, m = weights.shape
        numbers += count * (n * m if engine == "dense" else columns * (n + m) / 2)
    return max(numbers, float(columns)) * (1 + columns / 8)  # of networks without matrices too
