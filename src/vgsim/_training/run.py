"""The run of a training: stack by stack, from recorded step to recorded step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from vgsim._engine.settings import network_key
from vgsim._networks.description import Network
from vgsim._networks.jax.network import double_precision
from vgsim._networks.parameter_shapes import drawn_shapes
from vgsim._training.data import baseline_of
from vgsim._training.settings import TrainingSettings
from vgsim._training.stacks import stack_sizes
from vgsim._training.step import Carry, Data, Kind, Stack, compiled, sample_key, taught

__all__ = ["Run", "double_precision", "versions"]

LOG10_2 = math.log10(2.0)
CHUNK = 256  # steps between looks at Ctrl-C
TEACHER_UNITS = 16  # least number of hidden units
TEACHER_KEY = 2**32 - 1  # folded into the seed
TEACHER_ROWS = 2**14  # inputs from which the baseline is estimated
Arrays = dict[str, NDArray[Any]]


class Run:
    """The training of samples of one network.

    Attributes
    ----------
    compilation : float
        Seconds that JAX took to trace and compile.
    """

    def __init__(self, network: Network, settings: TrainingSettings, seed: int) -> None:
        self.network, self.settings = network, settings
        self.compilation = 0.0
        data = settings.data
        self.kind = Kind(
            network,
            dtype=settings.dtype,
            loss=settings.loss,
            biases=settings.biases,
            batch_size=settings.batch_size,
            teacher=data.inputs is None,
            drives=data.drives,
            optimizer=settings.optimizer,
            layers=settings.layers,
            record=settings.record,
        )
        self.key = jax.random.wrap_key_data(
            jnp.asarray(network_key(network.canonical_json(), seed)), impl="threefry2x32"
        )
        self.data = self._data(seed)

    def _data(self, seed: int) -> Data:
        """Return X and y, or the matrices of the teacher, which is one for each seed."""
        data, dtype = self.settings.data, self.settings.dtype
        if data.inputs is not None and data.targets is not None:
            y = data.targets if data.targets.dtype == np.int32 else data.targets.astype(dtype)
            return jnp.asarray(data.inputs.astype(dtype)), jnp.asarray(y)
        n_0, n_D = self.network.width_at(0), self.network.width_at(-1)
        own = network_key("teacher", seed)
        key = jax.random.wrap_key_data(jnp.asarray(own), impl="threefry2x32")
        hidden = max(TEACHER_UNITS, n_0)
        first = jax.random.normal(jax.random.fold_in(key, 0), (hidden, n_0), dtype)
        last = jax.random.normal(jax.random.fold_in(key, 1), (n_D, hidden), dtype)
        return first / math.sqrt(n_0), last / math.sqrt(hidden)

    @cached_property
    def baseline(self) -> float:
        """The loss of the best constant prediction; that of a teacher is estimated."""
        if self.settings.data.inputs is not None:
            return self.settings.data.baseline(self.settings.loss)
        x = jax.random.normal(
            jax.random.key(0), (TEACHER_ROWS, self.network.width_at(0)), self.settings.dtype
        )
        return baseline_of(np.asarray(taught(self.data, x, self.settings.loss)), self.settings.loss)

    def stacks(self, first: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield the first index and the size of each stack."""
        for size in stack_sizes(self.kind, count, self.key):
            yield first, size
            first += size

    def stack(self, first: int, count: int, report: Callable[[int], object]) -> dict[str, Any]:
        """Train samples first … first + count − 1, and return what was recorded, (count, k, …).

        `report` is called with the number of steps done.
        """
        functions = compiled(self.kind)
        carry = self._start(functions, first, count)
        recorded = self.settings.recorded
        found: list[dict[str, Any]] = []
        for t, following in zip(recorded, [*recorded[1:], self.settings.steps], strict=True):
            timed = time.perf_counter()
            carry, measured = functions.measured(carry, self.data, jnp.asarray(t))
            if not found:
                self.compilation += time.perf_counter() - timed
            found.append(jax.device_get(measured))
            for begin in range(t + 1, following, CHUNK):
                timed, fresh = time.perf_counter(), functions.steps._cache_size()
                steps = jnp.asarray(min(CHUNK, following - begin))
                carry = functions.steps(carry, self.data, jnp.asarray(begin), steps)
                if functions.steps._cache_size() > fresh:
                    self.compilation += time.perf_counter() - timed
                jax.block_until_ready(carry)
            report(following)
        arrays = {name: np.stack([step[name] for step in found], axis=1) for name in found[0]}
        found_arrays: dict[str, Any] = in_decades(arrays)
        if "parameters" in self.settings.record:
            found_arrays["parameters"] = jax.device_get({**carry.fixed, **carry.trained})
        return found_arrays

    def _start(self, functions: Stack, first: int, count: int) -> Carry:
        """Return a stack of samples before the first step."""
        indices = [divmod(index, 2**32) for index in range(first, first + count)]
        words = jnp.asarray(np.array(indices, dtype=np.uint32))
        keys = jax.vmap(sample_key, (None, 0))(self.key, words)
        timed = time.perf_counter()
        carry: Carry = functions.start(keys)
        self.compilation += time.perf_counter() - timed
        net = self.kind.net
        unused = drawn_shapes(net.program, self.kind.columns)
        given = self.settings.initial.stacked(first, count, net.shapes, unused)
        if not given:
            return carry
        own = {name: jnp.asarray(array.astype(net.dtype)) for name, array in given.items()}
        carry = functions.started({**carry.fixed, **carry.initial, **own}, keys)
        return carry


def in_decades(measured: Arrays) -> Arrays:
    """Return measurements of a stack, (count, k, …), with decimal logarithms and no NaN.

    From the first recorded pass on that is not finite, the loss and all logarithms are inf, and the
    accuracy is 0.
    """
    loss = measured["loss"].astype(np.float64)
    diverged = np.logical_or.accumulate(~np.isfinite(loss), axis=1)
    found = {"loss": np.where(diverged, np.inf, loss)}
    for name, values in measured.items():
        values = values.astype(np.float64)
        if name == "loss":
            continue
        if name in ("gradient", "output_gradient", "weight_gradient"):
            values = values.sum(axis=-1)  # log2 of ĝ, and E
        out = diverged.reshape(diverged.shape + (1,) * (values.ndim - 2))
        if name == "accuracy":
            found[name] = np.where(out, 0.0, values)
        else:
            values = np.where(out | np.isnan(values), np.inf, values * LOG10_2)
            found[name] = values
    return found


def versions() -> dict[str, str]:
    """Return the versions of JAX and optax, and the platform, for the provenance."""
    device = jax.devices()[0]
    return {
        "jax": metadata.version("jax"),
        "optax": metadata.version("optax"),
        "platform": f"{device.platform} {device.device_kind}",
    }
