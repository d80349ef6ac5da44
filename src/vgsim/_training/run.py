"""The run of a training: stack by stack, from recorded step to recorded step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from vgsim._checks import require_memory
from vgsim._engine.settings import network_key
from vgsim._networks.description import Network
from vgsim._networks.jax.network import JaxNetwork, double_precision
from vgsim._networks.parameter_shapes import drawn_shapes
from vgsim._training.data import baseline_of
from vgsim._training.settings import TrainingSettings
from vgsim._training.stacks import stack_sizes
from vgsim._training.step import INITIAL, Carry, Data, Kind, compiled, sample_key, taught
from vgsim._training.structure import Structure

__all__ = ["Run", "check_run", "versions"]

LOG10_2 = math.log10(2.0)
CHUNK = 256  # steps between looks at Ctrl-C
TEACHER_UNITS = 16  # least number of hidden units
TEACHER_ROWS = 2**14  # inputs from which the baseline is estimated
Arrays = dict[str, NDArray[Any]]


def check_run(network: Network, settings: TrainingSettings) -> None:
    """Check what can be known of a training before it runs; raise as :func:`vgsim.train`."""
    net = JaxNetwork(network, settings.dtype, settings.biases)
    columns = settings.batch_size * network.tokens
    settings.initial.check(net.shapes, drawn_shapes(net.program, columns), net.dtype)
    trained = {name: s for name, s in net.shapes.items() if settings.biases or len(s) > 1}
    with double_precision(settings.dtype):
        settings.optimizer.check_step(trained, settings.dtype)


class Run:
    """The training of samples of one network.

    Attributes
    ----------
    compilation : float
        Seconds that JAX took to trace and compile.
    """

    def __init__(self, network: Network, settings: TrainingSettings, seed: int) -> None:
        self.network, self.settings, self.seed = network, settings, seed
        self.compilation = 0.0
        data = settings.data
        self.net = JaxNetwork(network, settings.dtype, settings.biases)
        self.kind = Kind(
            Structure.of(network, biases=settings.biases),
            dtype=settings.dtype,
            loss=settings.loss,
            batch_size=settings.batch_size,
            teacher=data.inputs is None,
            drives=data.drives,
            optimizer=replace(settings.optimizer, learning_rate=None),
            layers=settings.layers,
            record=settings.record,
        )
        self.key = jax.random.wrap_key_data(
            jnp.asarray(network_key(network.canonical_json(), seed)), impl="threefry2x32"
        )

    @cached_property
    def data(self) -> Data:
        """X and y, or the matrices of the teacher, which is one for each seed."""
        data, dtype = self.settings.data, self.settings.dtype
        rate = jnp.asarray(self.settings.optimizer.learning_rate or 0.0, dtype)
        if data.inputs is not None and data.targets is not None:
            y = data.targets if data.targets.dtype == np.int32 else data.targets.astype(dtype)
            return Data(jnp.asarray(data.inputs.astype(dtype)), jnp.asarray(y), rate)
        n_0, n_D = self.network.width_at(0), self.network.width_at(-1)
        own = network_key("teacher", self.seed)
        key = jax.random.wrap_key_data(jnp.asarray(own), impl="threefry2x32")
        hidden = max(TEACHER_UNITS, n_0)
        require_memory(8 * hidden * (n_0 + n_D), "the teacher", "choose fewer inputs")
        first = jax.random.normal(jax.random.fold_in(key, 0), (hidden, n_0), dtype)
        last = jax.random.normal(jax.random.fold_in(key, 1), (n_D, hidden), dtype)
        return Data(first / math.sqrt(n_0), last / math.sqrt(hidden), rate)

    @cached_property
    def baseline(self) -> float:
        """The loss of the best constant prediction; that of a teacher is estimated."""
        if self.settings.data.inputs is not None:
            return self.settings.data.baseline(self.settings.loss)
        x = jax.random.normal(
            jax.random.key(0), (TEACHER_ROWS, self.network.width_at(0)), self.settings.dtype
        )
        return baseline_of(np.asarray(taught(self.data, x, self.settings.loss)), self.settings.loss)

    def start(self, key: jax.Array, given: dict[str, jax.Array]) -> Carry:
        """Return a sample before its first step; parameters that are not given are drawn."""
        parameters = {**self.net.init(jax.random.fold_in(key, INITIAL)), **given}
        fixed = {}
        if not self.settings.biases:
            fixed = {name: a for name, a in parameters.items() if a.ndim == 1}
        trained = {name: a for name, a in parameters.items() if name not in fixed}
        # copies, as the arrays of a carry are overwritten by the next
        initial = jax.tree.map(jnp.copy, trained)
        return Carry(trained, fixed, self.kind.transformation.init(trained), initial, key)

    def stacks(self, first: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield the first index and the size of each stack."""
        carry = jax.eval_shape(self.start, self.key, {})
        for size in stack_sizes(self.kind, carry, count):
            yield first, size
            first += size

    def stack(self, first: int, count: int, report: Callable[[int], object]) -> dict[str, Any]:
        """Train samples first … first + count − 1, and return what was recorded, (count, k, …).

        `report` is called with the number of steps done.
        """
        functions = compiled(self.kind)
        carry = self._start(first, count)
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
        by_step = {name: np.stack([step[name] for step in found], axis=1) for name in found[0]}
        arrays: dict[str, Any] = in_decades(by_step)
        if "parameters" in self.settings.record:
            arrays["parameters"] = jax.device_get({**carry.fixed, **carry.trained})
        return arrays

    def _start(self, first: int, count: int) -> Carry:
        """Return a stack of samples before the first step."""
        indices = [divmod(index, 2**32) for index in range(first, first + count)]
        words = jnp.asarray(np.array(indices, dtype=np.uint32))
        keys = jax.vmap(sample_key, (None, 0))(self.key, words)
        unused = drawn_shapes(self.net.program, self.kind.columns)
        initial, dtype = self.settings.initial, self.net.dtype
        given = initial.stacked(first, count, self.net.shapes, unused, dtype)
        own = {name: jnp.asarray(array) for name, array in given.items()}
        carry: Carry = jax.vmap(self.start)(keys, own)
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
