"""One sample of a training as pure functions in JAX: its start, its updates, its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vgsim._networks.jax.backward import exponents, log2_norms, rms_log2, times_power
from vgsim._networks.jax.laws import drawn_passes
from vgsim._networks.jax.walk import Pass
from vgsim._training.minibatches import distinct_rows
from vgsim._training.optimizers import Optimizer
from vgsim._training.structure import Structure

__all__ = ["Carry", "Data", "Kind", "Stack", "compiled", "sample_key"]

Array: TypeAlias = jax.Array
Parameters: TypeAlias = dict[str, Array]
INITIAL, MINIBATCH, PASS = range(3)  # numbers of the keys of a sample


class Data(NamedTuple):
    """The data of a training, or the two matrices of a teacher; and the learning rate."""

    X: Array
    y: Array
    rate: Array


class Carry(NamedTuple):
    """A sample between two steps."""

    trained: Parameters
    fixed: Parameters
    state: Any  # of the optimiser
    initial: Parameters
    key: Array


@dataclass(frozen=True)
class Kind:
    """All that the compiled functions of a training depend on, but for the shapes of arrays.

    Attributes
    ----------
    structure : Structure
    dtype, loss : str
    batch_size : int
    teacher, drives : bool
        Whether the data are drawn from a teacher; whether they drive a recurrent network.
    optimizer : Optimizer
        Without a learning rate, which is an argument.
    layers : tuple of int
    record : tuple of str
    """

    structure: Structure
    dtype: str
    loss: str
    batch_size: int
    teacher: bool
    drives: bool
    optimizer: Optimizer
    layers: tuple[int, ...]
    record: tuple[str, ...]

    @cached_property
    def transformation(self) -> optax.GradientTransformation:
        """The optimiser with its clipping."""
        return self.optimizer.transformation()

    @property
    def columns(self) -> int:
        """The columns of a minibatch."""
        return self.batch_size * self.structure.tokens

    def minibatch(self, data: Data, key: Array, t: Array) -> tuple[Array, Array, Parameters]:
        """Return inputs and targets by column, and masks and drive, of step t of a sample."""
        own = jax.random.fold_in(jax.random.fold_in(key, MINIBATCH), t)
        n_0, n_D = self.structure.widths[0], self.structure.widths[-1]
        pass_key = jax.random.fold_in(jax.random.fold_in(key, PASS), t)
        drawn = drawn_passes(self.structure.program, pass_key, self.columns, self.dtype)
        if self.teacher:
            x = jax.random.normal(own, (self.columns, n_0), self.dtype)
            return x, taught(data, x, self.loss), drawn
        rows = distinct_rows(own, len(data.X), self.batch_size)
        x, y = data.X[rows], data.y[rows]
        if self.drives:
            drawn = {**drawn, "drive": jnp.transpose(x, (1, 2, 0))}
            x = jnp.zeros((self.columns, n_0), self.dtype)
        targets = y.reshape(self.columns) if y.dtype == jnp.int32 else y.reshape(-1, n_D)
        return x.reshape(self.columns, n_0), targets, drawn

    def pass_(
        self, trained: Parameters, probes: list[Array] | None, fixed: Parameters, batch: Any
    ) -> tuple[Array, list[Array]]:
        """Return the loss of a minibatch and X_0 … X_D."""
        x, targets, drawn = batch
        parameters = {**fixed, **trained, **drawn}
        forward = Pass(self.structure.program, parameters, self.structure.clip, probes)
        states = forward.states(x)
        return mean_loss(states[-1], targets, self.loss), states

    def update(self, carry: Carry, gradient: Parameters, rate: Array) -> Carry:
        """Return a sample after the step by a gradient."""
        changes, state = self.transformation.update(gradient, carry.state, carry.trained)
        if self.optimizer.given is None:
            changes = jax.tree.map(lambda change: -rate * change, changes)
        trained = optax.apply_updates(carry.trained, changes)
        return carry._replace(trained=trained, state=state)

    def step(self, carry: Carry, data: Data, t: Array) -> Carry:
        """Return a sample after step t."""
        batch = self.minibatch(data, carry.key, t)
        gradient, _ = jax.grad(self.pass_, has_aux=True)(carry.trained, None, carry.fixed, batch)
        return self.update(carry, gradient, data.rate)

    def measured_step(self, carry: Carry, data: Data, t: Array) -> tuple[Carry, dict[str, Array]]:
        """Return a sample after step t, and what was measured in it; logarithms are binary."""
        batch = self.minibatch(data, carry.key, t)
        loss, states, gradient, found = self.measured_pass(carry, batch)
        after = self.update(carry, gradient, data.rate)
        finite = [jnp.all(jnp.isfinite(a)) for a in carry.trained.values()]
        found["loss"] = jnp.where(jnp.all(jnp.stack(finite)), loss, jnp.inf)
        if "accuracy" in self.record:
            right = jnp.argmax(states[-1], axis=1) == batch[1]
            right &= jnp.all(jnp.isfinite(states[-1]), axis=1)
            found["accuracy"] = jnp.mean(right, dtype=self.dtype)
        if "activation" in self.record:
            found["activation"] = rms_log2([states[l] for l in self.layers])
        if "update_ratio" in self.record:
            found["update_ratio"] = self.change(carry.trained, after.trained)
        if "movement" in self.record:
            found["movement"] = self.change(carry.initial, after.trained)
        return after, found

    def measured_pass(
        self, carry: Carry, batch: Any
    ) -> tuple[Array, list[Array], Parameters, dict[str, Array]]:
        """Return the loss, X_0 … X_D, the gradient by the parameters, and measured norms."""
        if not {"gradient", "weight_gradient"} & set(self.record):
            differentiated = jax.value_and_grad(self.pass_, has_aux=True)
            (loss, states), gradient = differentiated(carry.trained, None, carry.fixed, batch)
            return loss, states, gradient, {}
        probes = [jnp.zeros((2,), self.dtype)] * len(self.structure.widths)
        differentiated = jax.value_and_grad(self.pass_, (0, 1), has_aux=True)
        results = differentiated(carry.trained, probes, carry.fixed, batch)
        (loss, states), (scaled, probes) = results
        E = exponents(self.structure.program, probes)
        found: dict[str, Array] = {}
        if "gradient" in self.record:
            marks = jnp.stack([jnp.stack([probe[0] for probe in probes]), E], axis=1)
            found["gradient"] = marks[np.array(self.layers)]
            found["output_gradient"] = marks[-1]
        if "weight_gradient" in self.record:
            places = np.array(list(self.structure.matrices)) - 1
            found["weight_gradient"] = jnp.stack([self.by_place(scaled), E[places]], axis=1)
        return loss, states, unscaled(scaled, E, self.structure.program.shares_weights), found

    def change(self, before: Parameters, after: Parameters) -> Array:
        """Return log2 of ‖after − before‖/‖before‖ for each place with matrices."""
        moved = self.by_place({name: after[name] - before[name] for name in before})
        return jnp.where(moved == -jnp.inf, moved, moved - self.by_place(before))

    def by_place(self, arrays: Parameters) -> Array:
        """Return log2 of the norm over all recorded matrices of each place with some."""
        places = self.structure.matrices.values()
        return log2_norms([tuple(arrays[name] for name in names) for names in places])


def unscaled(gradient: Parameters, E: Array, shared: bool) -> Parameters:
    """Return the gradient by parameters of places, ĝ 2^E; that by shared ones is not scaled."""
    if shared:
        return gradient
    return {name: times_power(a, E[int(name.partition(".")[0])]) for name, a in gradient.items()}


def mean_loss(outputs: Array, targets: Array, loss: str) -> Array:
    """Return the mean over columns of the cross-entropy, or of half the squared distance."""
    if loss == "cross_entropy":
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
        return jnp.mean(losses)
    return 0.5 * jnp.mean(jnp.sum((outputs - targets) ** 2, axis=1))


def taught(teacher: Data, x: Array, loss: str) -> Array:
    """Return the outputs of the teacher, or the class of its largest output."""
    outputs = jnp.tanh(x @ teacher.X.T) @ teacher.y.T
    return jnp.argmax(outputs, axis=1).astype(jnp.int32) if loss == "cross_entropy" else outputs


def sample_key(key: Array, index: Array) -> Array:
    """Return the key of a sample, whose index is given by two numbers of 32 bits."""
    return jax.random.fold_in(jax.random.fold_in(key, index[0]), index[1])


class Stack(NamedTuple):
    """The compiled functions of a stack of samples."""

    steps: Any  # of carry, data, first step and number of steps: Carry
    measured: Any  # of carry, data and step: Carry, and measurements by name


@lru_cache(maxsize=32)
def compiled(kind: Kind) -> Stack:
    """Return the functions of a stack of samples, which JAX compiles for each size of it."""
    one = jax.vmap(kind.step, (0, None, None))

    @partial(jax.jit, donate_argnums=0)
    def steps(carry: Carry, data: Data, first: Array, count: Array) -> Carry:
        end = first + count
        after: Carry = jax.lax.fori_loop(first, end, lambda t, c: one(c, data, t), carry)
        return after

    measured = jax.vmap(kind.measured_step, (0, None, None))
    return Stack(steps, jax.jit(measured, donate_argnums=0))
