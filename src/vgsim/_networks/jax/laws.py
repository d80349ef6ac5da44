"""The laws of parameters in JAX: those of the kernels, by JAX's random numbers.

Every array has a key of its own, by which the keys of others do not change: that of its place and
its number there, or in a recurrent network that of its kind and its gate. All places with the same
operations are drawn in a loop, so that the time to compile does not depend on the depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vgsim._networks import operations
from vgsim._networks.custom_weights import COUNT, LONGEST, quantile_of
from vgsim._networks.jax.tables import Pieces
from vgsim._networks.operations import GateBias, Operation, Program, Weights
from vgsim._networks.parameter_shapes import parameter_name, shapes_of

__all__ = ["drawn_passes", "initial_parameters"]

Shape = tuple[int, ...]
Index = tuple[int, int]
TRUNCATED_STD = 0.87962566103423978  # of a standard normal conditioned on |z| < 2
MATRIX, BIAS, HIDDEN_BIAS, INPUTS, DRIVE = range(5)  # kinds of arrays of a recurrent network


def initial_parameters(program: Program, key: Array, dtype: str) -> dict[str, Array]:
    """Draw all matrices and biases of a network, by name."""
    if shapes_of(program, 1):
        return dict(_recurrent(program, key, dtype))
    return _by_name(program, _by_operation(program, key, dtype))


def drawn_passes(program: Program, key: Array, columns: int, dtype: str) -> dict[str, Array]:
    """Draw the masks (n, columns) and the drive (steps, n, columns) of a pass, by name."""
    if shape := shapes_of(program, columns).get("drive"):
        return {"drive": jax.random.normal(_folded(key, DRIVE), shape, dtype)}
    return _by_name(program, _by_operation(program, key, dtype, columns))


def _folded(key: Array, *numbers: Any) -> Array:
    """Return the key of some numbers."""
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key


@partial(jax.jit, static_argnums=(0, 2, 3))
def _by_operation(
    program: Program, key: Array, dtype: str, columns: int | None = None
) -> dict[Index, Array]:
    """Draw the arrays of operations for all their places, by body and number in the body.

    These are parameters, or masks if there are `columns`.
    """
    found = {}
    for number, body in enumerate(program.bodies):
        places = np.flatnonzero(program.order == number) + 1
        for i, operation in enumerate(body):
            if isinstance(operation, operations.Mask if columns else (Weights, operations.Bias)):
                draw = partial(_drawn, operation, dtype=dtype, columns=columns)
                keys = jax.vmap(lambda place, i=i: _folded(key, place, i))(places)
                found[number, i] = jax.lax.map(draw, keys)
    return found


def _drawn(operation: Operation, key: Array, dtype: str, columns: int | None) -> Array:
    """Draw the array of an operation at one place."""
    match operation:
        case operations.Weights():
            return _weights(operation, key, dtype)
        case operations.Bias(rows=n, std=std, limit=limit):
            return _bias(key, n, std, limit, dtype)
        case operations.Mask(rows=n, rate=rate):
            return jax.random.bernoulli(key, 1.0 - rate, (n, columns)).astype(dtype)


def _by_name(program: Program, stacks: dict[Index, Array]) -> dict[str, Array]:
    """Return the arrays of all places by name.

    They are taken out one by one: XLA would compile each of many slices in one function.
    """
    found = {}
    at = np.zeros(len(program.bodies), dtype=int)
    for place, number in enumerate(program.order.tolist(), 1):
        for i, operation in enumerate(program.bodies[number]):
            if (number, i) in stacks:
                stack, j = stacks[number, i], int(at[number])
                name = parameter_name(operation, place)
                found[name] = jax.lax.dynamic_index_in_dim(stack, j, keepdims=False)
        at[number] += 1
    return found


@partial(jax.jit, static_argnums=(0, 2))
def _recurrent(program: Program, key: Array, dtype: str) -> dict[str, Array]:
    """Draw the parameters of a recurrent network, which are the same at all steps."""
    shapes = shapes_of(program, 1)
    n = int(program.widths[0])
    weights = sorted(program.of(Weights), key=lambda W: W.gate)
    matrices = [_weights(W, _folded(key, MATRIX, W.gate), dtype) for W in weights]
    found = {"weight": jnp.concatenate(matrices)}
    for bias in program.of(operations.Bias):
        found[bias.name] = _bias(_folded(key, BIAS, 0), n, bias.std, bias.limit, dtype)
    gates: dict[int, Array] = {}
    for g in program.of(GateBias):
        b = _gate_bias(g, key, dtype)
        if g.name == "bias":
            gates[g.gate] = b
        else:
            found[g.name] = b
    if gates:
        zero = jnp.zeros(n, dtype)
        found["bias"] = jnp.concatenate([gates.get(W.gate, zero) for W in weights])
    for drive in list(program.of(operations.Drive))[:1]:
        law, shape = LAWS[drive.law], shapes["input_weight"]
        found["input_weight"] = drive.std * law(_folded(key, INPUTS), shape, dtype)
    return found


def _bias(key: Array, n: int, std: float, limit: float, dtype: str) -> Array:
    """Draw a bias: uniform on ±limit if limit > 0, else normal."""
    if limit > 0:
        return jax.random.uniform(key, (n,), dtype, -limit, limit)
    return std * jax.random.normal(key, (n,), dtype)


def _gate_bias(gate: GateBias, key: Array, dtype: str) -> Array:
    """Draw b_k = sign (ζ + shift + ln u) of a gate; ζ is the sum of `count` vectors."""
    n = gate.rows
    own = _folded(key, HIDDEN_BIAS if gate.name == "hidden_bias" else BIAS, gate.drawn_as)
    b = jnp.full(n, gate.shift, dtype)
    for i in range(gate.count):
        b += _bias(_folded(own, i), n, gate.std, gate.limit, dtype)
    if gate.most > 0:
        u = jax.random.uniform(_folded(own, 2), (n,), dtype, 1.0, gate.most)
        b += jnp.log(u)
    return gate.sign * b


def _weights(weights: Weights, key: Array, dtype: str) -> Array:
    """Draw a matrix (n, m)."""
    n, m = weights.shape
    unit = weights.std * math.sqrt(max(n, m))  # the singular values of an orthogonal matrix
    match weights.law:
        case "identity":
            return unit * jnp.eye(n, m, dtype=dtype)
        case "orthogonal":
            return unit * jax.nn.initializers.orthogonal()(key, (n, m), dtype)
        case "diagonal":
            diagonal = float(weights.parameters[0]) * jnp.eye(n, m, dtype=dtype)
            return weights.std * (diagonal + jax.random.normal(key, (n, m), dtype))
    return weights.std * LAWS[weights.law](key, (n, m), dtype, *weights.parameters)


def _uniform(key: Array, shape: Shape, dtype: str) -> Array:
    """Draw uniforms on ±√3."""
    return jax.random.uniform(key, shape, dtype, -math.sqrt(3.0), math.sqrt(3.0))


def _truncated_normal(key: Array, shape: Shape, dtype: str) -> Array:
    """Draw normals truncated at ±2 of their standard deviation before the cut."""
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype) / TRUNCATED_STD


def _exponential(key: Array, shape: Shape, dtype: str) -> tuple[Array, Array]:
    """Draw -ln u and, independent of it, a sign; u has 31 or 52 bits, as that of the kernels.

    JAX's own uniforms are multiples of 2^-23 in float32, which would cut heavy tails earlier.
    """
    real = jnp.dtype(dtype)
    size, used = (64, 52) if real == jnp.float64 else (32, 31)
    bits = jax.random.bits(key, shape, f"uint{size}")
    u = ((bits & ((1 << used) - 1)).astype(real) + 0.5) * 2.0**-used
    u = jnp.minimum(u, 1.0 - jnp.finfo(real).epsneg)
    return -jnp.log(u), jnp.where(bits >> (size - 1), -jnp.ones((), real), 1.0)


def _student_t(key: Array, shape: Shape, dtype: str, df: float) -> Array:
    """Draw from Student's law, t = √(df (u^(-2/df) - 1)) cos 2πv (Bailey 1994).

    `jax.random.t` rejects, entry by entry, which takes far longer on a CPU.
    """
    by_u, by_v = jax.random.split(key)
    w, _ = _exponential(by_u, shape, dtype)
    cosine = jnp.cos(2.0 * math.pi * jax.random.uniform(by_v, shape, dtype))
    return math.sqrt(df - 2.0) * jnp.sqrt(jnp.expm1(2.0 / df * w)) * cosine


def _laplace(key: Array, shape: Shape, dtype: str) -> Array:
    """Draw from the Laplace law: an exponential variable with a random sign."""
    w, sign = _exponential(key, shape, dtype)
    return sign * w / math.sqrt(2.0)


def _sparse(key: Array, shape: Shape, dtype: str, density: float) -> Array:
    """Draw normals times a mask, whose entries are 1 with probability `density`."""
    by_mask, by_z = jax.random.split(key)
    mask = jax.random.bernoulli(by_mask, density, shape)
    return jnp.where(mask, jax.random.normal(by_z, shape, dtype) / math.sqrt(density), 0)


def _custom(key: Array, shape: Shape, dtype: str, sha256: str) -> Array:
    """Draw by inversion of a quantile function, of which both tails are functions of -ln u."""
    w, sign = _exponential(key, shape, dtype)
    lower, upper = Pieces(quantile_of(sha256).tables[dtype], COUNT)(jnp.minimum(w, LONGEST))
    return jnp.where(sign < 0, lower, upper)


LAWS: dict[str, Callable[..., Array]] = {  # of independent entries, with variance 1
    "normal": jax.random.normal,
    "uniform": _uniform,
    "truncated_normal": _truncated_normal,
    "student_t": _student_t,
    "laplace": _laplace,
    "rademacher": jax.random.rademacher,
    "sparse": _sparse,
    "custom": _custom,
}
