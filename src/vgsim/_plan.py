"""The plan of a run: a network, a batch and their data as the numbers that the kernels take.

A thread works on one group of samples at a time. It stores a whole forward pass where that is small
enough; else the pass is cut into segments, which are run again from their first activations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim import _kernels
from vgsim._cures import ClipNorm
from vgsim._network import MLP, RNN, Network

__all__ = ["Plan", "input_fields"]

WHOLE_BYTES = 24 << 20  # a thread stores a whole forward pass, or the end of it, up to this size,
ALL_WHOLE_BYTES = 1 << 30  # and all threads together up to this one;
SEGMENT_BYTES = 1 << 18  # before it, segments of this size, or so large that there are √depth
LAYER_BYTES = 1 << 10  # of each stored layer, and each example of a batch, beside its units
OUTCOME = 3  # numbers that are kept of every layer
CHUNK_DRAWS = 2_000_000  # random numbers a thread draws between two visits to the queue

# Raw draws of unit scale: U(-1, 1), and N(0, 1) cut at 2, have these standard deviations.
RAW_STD = {"normal": 1.0, "uniform": 3**-0.5, "truncated_normal": 0.87962566103423978}


@dataclass(frozen=True)
class Plan:
    """How one network is simulated, `threads` groups of samples at a time.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._plan import Plan
    >>> plan = Plan(vgsim.MLP(1000, 128), 1, "linear", "matrix-free", "float32", threads=2)
    >>> plan.is_plain
    True
    """

    network: Network
    batch_size: int
    loss: str
    engine: str
    dtype: str
    threads: int
    tangents: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the short way will do: one input, independent weights, nothing but layers."""
        net = self.network
        return (
            isinstance(net, MLP)
            and self.batch_size == 1
            and self.tangents == 0
            and self.loss == "linear"
            and net.norm is None
            and net.residual is None
            and net.highway is None
            and net.clip is None
            and net.init.distribution != "orthogonal"
        )

    @property
    def columns(self) -> int:
        """How many vectors each weight matrix takes: the examples and their tangents."""
        return self.batch_size * (1 + self.tangents)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of vg_plan that describe the network, by name."""
        net = self.network
        law = net.init.distribution
        uniform_bias = bool(np.any(self._bias_limits > 0))
        bias_scale = self._bias_limits if uniform_bias else np.full(net.depth, net.bias_std)
        clip = None if net.clip is None else ("norm" if isinstance(net.clip, ClipNorm) else "value")
        return {
            "depth": net.depth,
            "widths": self._widths,
            "weight_scale": np.concatenate([[0.0], self._weight_scales]),
            "bias_scale": np.concatenate([[0.0], bias_scale]),
            "weight_law": law,
            "bias_law": "uniform" if uniform_bias else "normal",
            "engine": self.engine,
            "activation": net.activation.name,
            "parameters": net.activation.kernel_parameters,
            "saturated_below": 0.05 * net.activation.max_derivative,
            "plain": self.is_plain,
            "batch": self.batch_size,
            "tangents": self.tangents,
            "loss": self.loss,
            "clip": clip,
            "clip_at": _clip_at(net),
            "recurrent": isinstance(net, RNN),
            "input_scale": net.input_std / math.sqrt(net.width) if isinstance(net, RNN) else 0.0,
            "segment_ends": self.segment_ends,
            **_technique_fields(net),
        }

    @cached_property
    def _widths(self) -> NDArray[np.int64]:
        return np.array(self.network.widths, dtype=np.int64)

    @property
    def _bias_limits(self) -> NDArray[np.float64]:
        net = self.network
        return net.bias_limits if isinstance(net, MLP) else np.full(net.depth, net.bias_limit)

    @property
    def _weight_scales(self) -> NDArray[np.float64]:
        """Factors of the raw draws of W_1 … W_D."""
        net, law = self.network, self.network.init.distribution
        if isinstance(net, RNN) and law in ("orthogonal", "identity"):
            return np.full(net.depth, net.gain)
        if isinstance(net, RNN):
            return np.full(net.depth, net.weight_std / RAW_STD[law])
        if law == "orthogonal":
            return net.weight_stds * np.sqrt(np.maximum(self._widths[1:], self._widths[:-1]))
        return net.weight_stds / RAW_STD[law]

    @cached_property
    def unit_bytes(self) -> int:
        """Bytes of one unit of one example of one group of samples."""
        return _kernels.lanes(self.dtype) * np.dtype(self.dtype).itemsize

    @cached_property
    def _layer_bytes(self) -> NDArray[np.int64]:
        """What a forward pass stores of each layer 1 … D."""
        net, n = self.network, self._widths + 7
        if self.is_plain:
            biased = net.bias_std > 0 or bool(np.any(self._bias_limits > 0))
            return (1 + biased) * n[1:] * self.unit_bytes + LAYER_BYTES
        B, arrays = self.columns, 3
        if isinstance(net, MLP):
            post = net.residual is not None and net.residual.style == "post"
            arrays += post + 2 * (net.highway is not None)
        widest = np.maximum(n[1:], n[:-1])
        return B * ((arrays * widest + B + 1) * self.unit_bytes + LAYER_BYTES)

    @cached_property
    def segment_ends(self) -> NDArray[np.int64]:
        """Last layer of each segment; a segment holds whole residual blocks."""
        net, depth = self.network, self.network.depth
        every = net.residual.every if isinstance(net, MLP) and net.residual else 1
        used = np.concatenate([[0], np.cumsum(self._layer_bytes)])[::every]  # by blocks
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
        """Upper bound of the memory of all threads."""
        B, ends, widest = self.columns, self.segment_ends, int(self._widths.max()) + 7
        used = np.concatenate([[0], np.cumsum(self._layer_bytes)])
        bytes_ = int(np.diff(used[np.concatenate([[0], ends])]).max())
        if self.is_plain:
            bytes_ += OUTCOME * self.unit_bytes * len(self._widths)
        if self.engine == "dense" or not self.is_plain:  # activations at the segments' starts
            bytes_ += B * int((self._widths[ends] + 8).sum()) * self.unit_bytes + 256 * len(ends)
        buffers = 8 if self.is_plain else 16 * B + 16 + 6 * B * B // widest
        if isinstance(self.network, RNN):
            buffers += 3 * widest
        elif self.engine == "dense" and self.network.init.distribution == "orthogonal":
            buffers += 2 * widest
        return self.threads * (bytes_ + buffers * widest * self.unit_bytes)

    def chunk(self, n_samples: int) -> int:
        """How many groups a thread takes at a time: at least four turns for each thread."""
        n, B = self._widths.astype(float), self.columns
        draws = 2 * (n[1:] @ n[:-1] if self.engine == "dense" else B * n.sum())
        draws *= 1 + B / 8
        lanes = _kernels.lanes(self.dtype)
        most = n_samples // (4 * lanes * self.threads)
        return max(1, min(int(CHUNK_DRAWS / (draws * lanes)), most))


def _clip_at(net: Network) -> float:
    if net.clip is None:
        return 0.0
    return net.clip.max_norm if isinstance(net.clip, ClipNorm) else net.clip.limit


def _technique_fields(net: Network) -> dict[str, Any]:
    """Normalisation, residual blocks and gates."""
    fields: dict[str, Any] = {
        "norm": None,
        "norm_epsilon": 0.0,
        "skip": None,
        "every": 1,
        "identity": 1.0,
        "branch": 1.0,
        "gate_bias": 0.0,
    }
    if isinstance(net, RNN):
        return fields
    fields |= {"norm": net.norm, "norm_epsilon": net.norm_eps}
    if net.residual is not None:
        fields |= {
            "skip": net.residual.style,
            "every": net.residual.every,
            "identity": net.residual.skip,
            "branch": net.residual.branch_scale(net.depth),
        }
    if net.highway is not None:
        fields |= {"skip": "highway", "gate_bias": net.highway.gate_bias}
    return fields


def input_fields(data: NDArray[np.float64] | None) -> dict[str, Any]:
    """Rows as significands below 1 and a power of two, so that float32 holds any of them."""
    if data is None:
        return {"inputs": None, "input_exponents": None}
    _, exponents = np.frexp(np.max(np.abs(data), axis=1))
    significands = np.ldexp(data, -exponents[:, np.newaxis])
    return {
        "inputs": np.ascontiguousarray(significands),
        "input_exponents": exponents.astype(np.int64),
    }
