"""The peers: log10 ‖G_0‖ of tanh networks with weights of variance 1/width, by other libraries.

Each peer is written for speed as an experienced user would: it draws new weights for every network,
just before their use, into reused buffers, and compiles what can be compiled. A peer is a function
(depth, width, law, stack, cores) → turn. A turn returns the statistics of `stack` new networks, or
of `stack` per core for NumPy and Numba, which run one thread per core. `cores` is the number of
cores of the process.
"""

from __future__ import annotations

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

COMPILED_LAYERS = 10  # layers per function that PyTorch compiles; one alone mostly calls


def pytorch_draw(law, width):
    std, limit = width**-0.5, (3 / width) ** 0.5
    if law == "normal":
        return lambda w: w.normal_(0, std)
    return lambda w: w.uniform_(-limit, limit)


def pytorch_loop(depth, width, law, stack, cores):
    import torch

    draw = pytorch_draw(law, width)
    weights = [torch.empty(width, width) for _ in range(depth)]

    def turn():
        x = y = torch.randn(width, requires_grad=True)
        for w in weights:
            y = torch.tanh(draw(w) @ y)
        (g,) = torch.autograd.grad(y, x, torch.randn(width))
        return [float(g.norm().log10())]

    return turn


def pytorch_bmm(depth, width, law, stack, cores):
    import torch

    draw = pytorch_draw(law, width)
    weights = [torch.empty(stack, width, width) for _ in range(depth)]

    def turn():
        x = y = torch.randn(stack, width, 1, requires_grad=True)
        for w in weights:
            y = torch.tanh(torch.bmm(draw(w), y))
        (g,) = torch.autograd.grad(y, x, torch.randn(stack, width, 1))
        return g.squeeze(-1).norm(dim=-1).log10().numpy()

    return turn


def pytorch_compiled(function):
    """Return `function` compiled by PyTorch, once for every shape of its arguments."""
    import torch

    compiled = torch.compile(function, dynamic=False)

    def call(*arguments):
        # a worker serves each turn in a thread of its own, and the limit, 8, is one per thread
        torch._dynamo.config.recompile_limit = 64
        return compiled(*arguments)

    return call


@functools.cache
def pytorch_compiled_layers():
    import torch

    def layers(y, weights):
        for w in weights:
            y = torch.tanh(w @ y)
        return y

    return pytorch_compiled(layers)


def pytorch_compile(depth, width, law, lead):
    """Return a turn with compiled layers; `lead` is the shape of the stack, () for one network."""
    import torch

    draw, layers = pytorch_draw(law, width), pytorch_compiled_layers()
    weights = [torch.empty(*lead, width, width) for _ in range(depth)]
    groups = [weights[l : l + COMPILED_LAYERS] for l in range(0, depth, COMPILED_LAYERS)]

    def turn():
        x = y = torch.randn(*lead, width, 1, requires_grad=True)
        for some in groups:
            y = layers(y, [draw(w) for w in some])
        (g,) = torch.autograd.grad(y, x, torch.randn(*lead, width, 1))
        return g.squeeze(-1).norm(dim=-1).log10().reshape(-1).numpy()

    return turn


def pytorch_compile_loop(depth, width, law, stack, cores):
    return pytorch_compile(depth, width, law, ())


def pytorch_compile_bmm(depth, width, law, stack, cores):
    return pytorch_compile(depth, width, law, (stack,))


def pytorch_vmap(depth, width, law, stack, cores):
    import torch

    draw = pytorch_draw(law, width)
    weights = torch.empty(depth, stack, width, width)

    def statistic(weights, x, g):
        def product(x):
            for w in weights:
                x = torch.tanh(w @ x)
            return x @ g

        return torch.func.grad(product)(x).norm().log10()

    stacked = torch.func.vmap(statistic, in_dims=(1, 0, 0))
    return lambda: stacked(
        draw(weights), torch.randn(stack, width), torch.randn(stack, width)
    ).numpy()


@functools.cache
def jax_statistics(depth, width, law):
    import jax
    import jax.numpy as jnp

    std, limit = width**-0.5, (3 / width) ** 0.5

    def draw(key):
        if law == "normal":
            return std * jax.random.normal(key, (width, width))
        return jax.random.uniform(key, (width, width), minval=-limit, maxval=limit)

    def statistic(key):
        for_weights, for_x, for_g = jax.random.split(key, 3)
        keys = jax.random.split(for_weights, depth)
        g = jax.random.normal(for_g, (width,))

        def product(x):
            return jax.lax.scan(lambda x, key: (jnp.tanh(draw(key) @ x), None), x, keys)[0] @ g

        return jnp.log10(jnp.linalg.norm(jax.grad(product)(jax.random.normal(for_x, (width,)))))

    return jax.jit(jax.vmap(statistic))


def jax_scan(depth, width, law, stack, cores):
    import jax

    statistics = jax_statistics(depth, width, law)
    seeds = itertools.count()
    return lambda: np.asarray(statistics(jax.random.split(jax.random.key(next(seeds)), stack)))


def numpy_draw(law, width):
    """Return (draw(rng, out), factor): the weights are factor × out."""
    if law == "normal":
        return lambda rng, w: rng.standard_normal(out=w, dtype=np.float32), np.float32(width**-0.5)

    def uniform(rng, w):
        rng.random(out=w, dtype=np.float32)
        w -= np.float32(0.5)

    return uniform, np.float32((12 / width) ** 0.5)


def on_threads(cores, networks):
    """Return a turn that runs `networks(rng)` in one thread per core."""
    pool = ThreadPoolExecutor(cores)
    generators = [np.random.Generator(b) for b in np.random.SFC64(0).spawn(cores)]
    calls = [networks(rng) for rng in generators]
    return lambda: np.concatenate(list(pool.map(lambda call: call(), calls)))


def numpy_matmul(depth, width, law, stack, cores):
    draw, factor = numpy_draw(law, width)

    def networks(rng):
        weights = np.empty((depth, stack, width, width), np.float32)

        def call():
            y = rng.standard_normal((stack, width), dtype=np.float32)
            kept = []
            for w in weights:
                draw(rng, w)
                y = np.tanh(np.matmul(w, y[:, :, np.newaxis])[:, :, 0] * factor)
                kept.append(y)
            g = rng.standard_normal((stack, width), dtype=np.float32)
            for w, y in zip(weights[::-1], kept[::-1], strict=True):
                g = np.matmul(((1 - y * y) * g * factor)[:, np.newaxis, :], w)[:, 0]
            return np.log10(np.linalg.norm(g, axis=1))

        return call

    return on_threads(cores, networks)


@functools.cache
def numba_gradient():
    import numba

    @numba.njit(fastmath=True, nogil=True)
    def gradient(weights, factor, y, x, g):
        depth, width, _ = weights.shape
        for l in range(depth):
            for i in range(width):
                h = np.float32(0)
                for j in range(width):
                    h += weights[l, i, j] * x[j]
                y[l, i] = np.tanh(factor * h)
            x = y[l]
        for l in range(depth - 1, -1, -1):
            below = np.zeros(width, np.float32)
            for i in range(width):
                d = factor * (1 - y[l, i] * y[l, i]) * g[i]
                for j in range(width):
                    below[j] += weights[l, i, j] * d
            g = below
        return g

    return gradient


def numba_loop(depth, width, law, stack, cores):
    draw, factor = numpy_draw(law, width)
    gradient = numba_gradient()

    def networks(rng):
        weights = np.empty((depth, width, width), np.float32)
        y = np.empty((depth, width), np.float32)

        def call():
            for w in weights:
                draw(rng, w)
            x, g = rng.standard_normal((2, width), dtype=np.float32)
            return [np.log10(np.linalg.norm(gradient(weights, factor, y, x, g)))]

        return call

    return on_threads(cores, networks)


# name: (library, turn maker, whether it can stack networks)
PEERS = {
    "PyTorch loop": ("torch", pytorch_loop, False),
    "PyTorch bmm": ("torch", pytorch_bmm, True),
    "torch.compile loop": ("torch", pytorch_compile_loop, False),
    "torch.compile bmm": ("torch", pytorch_compile_bmm, True),
    "torch.func.vmap": ("torch", pytorch_vmap, True),
    "JAX jit(vmap(grad(scan)))": ("jax", jax_scan, True),
    "NumPy": ("numpy", numpy_matmul, True),
    "Numba": ("numba", numba_loop, False),
}
