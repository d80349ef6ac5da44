"""The plan of a run: network, batch and data as the arrays and numbers that the kernels take.

A thread simulates one group of samples at a time. It stores the whole forward pass if that is small
enough. Otherwise it stores the activations at the start of each segment, and repeats the forward
pass of a segment during the backward pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import require_memory
from vgsim._engine.settings import Settings
from vgsim._kernels import lanes
from vgsim._networks.description import Network

__all__ = ["Plan", "relative_cost"]

WHOLE_BYTES = 24 << 20  # largest last segment (or whole forward pass) that a thread stores
ALL_WHOLE_BYTES = 1 << 30  # the same for all threads together
SEGMENT_BYTES = 1 << 18  # least size of the other segments, of which there are at most √depth
LAYER_BYTES = 1 << 10  # bytes per stored layer and example, in addition to the units
PLAN_BYTES = 96  # bytes per layer of the arrays of a plan during their construction
OUTCOME = 3  # numbers stored per layer
CHUNK_DRAWS = 2_000_000  # random numbers per chunk of work of a thread


# Standard deviations of the raw draws: N(0, 1), U(-1, 1), and N(0, 1) truncated to ±2.
RAW_STD = {"normal": 1.0, "uniform": 3**-0.5, "truncated_normal": 0.87962566103423978}


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
        """Whether the fused pass applies: one input, independent weights, no techniques."""
        net = self.network
        return (
            not net.shares_weights
            and self.columns == 1
            and self.settings.loss == "linear"
            and not net.techniques
            and net.init.distribution != "orthogonal"
        )

    @property
    def columns(self) -> int:
        """Number of vectors that each weight matrix multiplies: examples and tangents."""
        return self.settings.batch_size * (1 + self.tangents)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of vg_plan that do not depend on what is recorded, by name."""
        net, settings = self.network, self.settings
        limits = net.bias_limits
        uniform_bias = bool(np.any(limits > 0))
        bias_scale = limits if uniform_bias else np.full(net.depth, net.bias_std)
        residual = net.residual
        skip = "highway" if net.highway else residual.style if residual else None
        data = settings.data
        return {
            "depth": net.depth,
            "widths": self._widths,
            "weight_scale": np.concatenate([[0.0], self._weight_scales]),
            "bias_scale": np.concatenate([[0.0], bias_scale]),
            "weight_law": net.init.distribution,
            "bias_law": "uniform" if uniform_bias else "normal",
            "engine": settings.engine,
            "activation": net.activation.name,
            "parameters": net.activation.kernel_parameters,
            "saturated_below": 0.05 * net.activation.max_derivative,
            "plain": self.is_plain,
            "batch": settings.batch_size,
            "tangents": self.tangents,
            "norm": net.norm,
            "norm_epsilon": net.norm_eps,
            "skip": skip,
            "every": residual.every if residual else 1,
            "identity": residual.skip if residual else 1.0,
            "branch": residual.branch_scale(net.depth) if residual else 1.0,
            "gate_bias": net.highway.gate_bias if net.highway else 0.0,
            "clip": net.clip.by if net.clip else None,
            "clip_at": net.clip.bound if net.clip else 0.0,
            "loss": settings.loss,
            "recurrent": net.shares_weights,
            "input_scale": net.input_std / math.sqrt(self._widths[0]),
            "segment_ends": self.segment_ends,
            "inputs": None if data is None else data.significands,
            "input_exponents": None if data is None else data.exponents,
        }

    @cached_property
    def _widths(self) -> NDArray[np.int64]:
        return self.network.width_array

    @property
    def _weight_scales(self) -> NDArray[np.float64]:
        """Factors of the raw draws of W_1 … W_D; (depth,)."""
        law = self.network.init.distribution
        if law in RAW_STD:
            return self.network.weight_stds / RAW_STD[law]
        return self.network.matrix_gains

    @cached_property
    def unit_bytes(self) -> int:
        """Bytes per unit and example of one group of samples."""
        return lanes(self.settings.dtype) * np.dtype(self.settings.dtype).itemsize

    @cached_property
    def _layer_bytes(self) -> NDArray[np.int64]:
        """Bytes that a forward pass stores for each layer 1 … D; (depth,)."""
        net, n = self.network, self._widths + 7
        if self.is_plain:
            biased = net.bias_std > 0 or bool(np.any(net.bias_limits > 0))
            return (1 + biased) * n[1:] * self.unit_bytes + LAYER_BYTES
        post = net.residual is not None and net.residual.style == "post"
        B, arrays = self.columns, 3 + post + 2 * (net.highway is not None)
        widest = np.maximum(n[1:], n[:-1])
        return B * ((arrays * widest + B + 1) * self.unit_bytes + LAYER_BYTES)

    @cached_property
    def segment_ends(self) -> NDArray[np.int64]:
        """Last layer of each segment; segments consist of whole residual blocks."""
        net, depth = self.network, self.network.depth
        every = net.residual.every if net.residual else 1
        used = np.concatenate([[0], np.cumsum(self._layer_bytes)])[::every]  # per block
        blocks = depth // every
        whole = 0 if self.tangents else min(WHOLE_BYTES, ALL_WHOLE_BYTES // self.threads)
        room = max(SEGMENT_BYTES, int(used[-1] / math.sqrt(blocks)))
        last = min(int(np.searchsorted(used, used[-1] - whole)), blocks - 1)
        ends = [0]
        while ends[-1] < last:
            end = int(np.searchsorted(used, used[ends[-1]] + room, side="right")) - 1
            ends.append(min(max(end, ends[-1] + 1), last))
        return every * np.array([*ends[1:], blocks], dtype=np.int64)

    @property
    def working_bytes(self) -> int:
        """Upper bound on the working memory of all threads, in bytes."""
        B, ends, widest = self.columns, self.segment_ends, int(self._widths.max()) + 7
        used = np.concatenate([[0], np.cumsum(self._layer_bytes)])
        bytes_ = int(np.diff(used[np.concatenate([[0], ends])]).max())
        if self.is_plain:
            bytes_ += OUTCOME * self.unit_bytes * len(self._widths)
        if (
            self.settings.engine == "dense" or not self.is_plain
        ):  # activations at the start of each segment
            bytes_ += B * int((self._widths[ends] + 8).sum()) * self.unit_bytes + 256 * len(ends)
        buffers = 8 if self.is_plain else 16 * B + 16 + 6 * B * B // widest
        if self.network.shares_weights:
            buffers += 3 * widest
        elif self.settings.engine == "dense" and self.network.init.distribution == "orthogonal":
            buffers += 2 * widest
        return self.threads * (bytes_ + buffers * widest * self.unit_bytes)

    def chunk(self, n_samples: int) -> int:
        """Return the groups of samples per chunk of work, for four or more chunks per thread."""
        draws = 2 * relative_cost(self.network, self.settings.engine, self.columns)
        side = lanes(self.settings.dtype)
        most = n_samples // (4 * side * self.threads)
        return max(1, min(int(CHUNK_DRAWS / (draws * side)), most))


def relative_cost(network: Network, engine: str, columns: int) -> float:
    """Return the relative cost of one sample: random numbers drawn, times 1 + columns/8.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._engine.plan import relative_cost
    >>> relative_cost(vgsim.MLP(2, 8), "matrix-free", 1), relative_cost(vgsim.MLP(2, 8), "dense", 1)
    (27.0, 144.0)
    """
    n, depth = np.array(network.width, dtype=np.float64), network.depth
    if n.ndim == 0:
        numbers = depth * n * n if engine == "dense" else columns * (depth + 1) * n
    else:
        numbers = n[1:] @ n[:-1] if engine == "dense" else columns * n.sum()
    return float(numbers * (1 + columns / 8))
