"""The peers with the law: the matrix-free law of docs/law.md, section 2, in other libraries.

They compute the statistic of bench/peers.py, also for weights of variance 1/n, but draw two vectors
of normals per layer, z and v, in place of a matrix. All arrays are (stack, width). Forward:

    x_l = tanh(s r z),  s = n^(-1/2),  r = ‖x_(l-1)‖

Backward, with x = x_(l-1), y = x_l and δ = g (1 − y²):

    g ← s ‖δ‖ (v − x (x·v)/r²) + s x (z·δ)/r

A peer is a function (depth, width, stack) → turn. A turn returns the statistics of `stack` new
networks.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from bench.peers import COMPILED_LAYERS, pytorch_compiled
from bench.workers import PeerTurn, Worker


def pytorch_law(depth, width, stack):
    """Return a turn without a graph; every large result is written into a buffer."""
    import torch

    s, norm = width**-0.5, torch.linalg.vector_norm
    x0, v, g, delta, product = torch.empty(5, stack, width)
    zs, ys = torch.empty(2, depth, stack, width)
    rs = torch.empty(depth, stack, 1)
    layers = list(zip(zs, [x0, *ys[:-1]], ys, rs, strict=True))

    def dot(a, b):
        return torch.mul(a, b, out=product).sum(-1, keepdim=True)

    def turn():
        x0.normal_()
        for z, x, y, r in layers:
            norm(x, dim=-1, keepdim=True, out=r)
            torch.mul(z.normal_(), s * r, out=y).tanh_()
        g.normal_()
        for z, x, y, r in reversed(layers):
            torch.addcmul(g, torch.mul(g, y, out=product), y, value=-1, out=delta)
            size = norm(delta, dim=-1, keepdim=True)
            along = (dot(z, delta) - size * dot(x, v.normal_()) / r) / r
            torch.mul(v, s * size, out=g).addcmul_(x, s * along)
        return norm(g, dim=-1).log10().numpy()

    return turn


@functools.cache
def pytorch_compiled_law():
    """Return the two passes through some layers, compiled once for every shape."""
    import torch

    norm = torch.linalg.vector_norm

    def dot(a, b):
        return (a * b).sum(-1, keepdim=True)

    def forward(x, zs):
        s, kept = x.shape[-1] ** -0.5, []
        for z in zs.unbind():
            r = norm(x, dim=-1, keepdim=True)
            y = torch.tanh(s * r * z)
            kept.append((x, y, r))
            x = y
        return x, kept

    def backward(g, zs, kept, vs):
        s = g.shape[-1] ** -0.5
        for z, (x, y, r), v in zip(zs.unbind()[::-1], kept[::-1], vs.unbind(), strict=True):
            delta = g * (1 - y * y)
            size = norm(delta, dim=-1, keepdim=True)
            g = s * (size * v + x * (dot(z, delta) - size * dot(x, v) / r) / r)
        return g

    return pytorch_compiled(forward), pytorch_compiled(backward)


def pytorch_compile_law(depth, width, stack):
    """Return a turn that draws the normals in PyTorch and compiles the rest.

    Compiled code would draw normals ten times as slowly as `normal_`.
    """
    import torch

    forward, backward = pytorch_compiled_law()
    zs = torch.empty(depth, stack, width).split(COMPILED_LAYERS)
    vs = torch.empty(COMPILED_LAYERS, stack, width)

    def turn():
        x, passes = torch.randn(stack, width), []
        for some in zs:
            x, kept = forward(x, some.normal_())
            passes.append((some, kept))
        g = torch.randn(stack, width)
        for some, kept in reversed(passes):
            g = backward(g, some, kept, vs[: len(some)].normal_())
        return g.norm(dim=-1).log10().numpy()

    return turn


@functools.cache
def jax_law_statistics(depth, width, stack):
    """Return the compiled function from a key to the statistics of a stack."""
    import jax
    import jax.numpy as jnp

    s, normal = width**-0.5, functools.partial(jax.random.normal, shape=(stack, width))
    norm = functools.partial(jnp.linalg.norm, axis=-1, keepdims=True)

    def dot(a, b):
        return jnp.sum(a * b, axis=-1, keepdims=True)

    def forward(x, key):
        z, r = normal(key), norm(x)
        return jnp.tanh(s * r * z), (z, x, r)

    def backward(carry, layer):
        (y, g), (key, (z, x, r)) = carry, layer
        v, delta = normal(key), g * (1 - y * y)
        size = norm(delta)
        return (x, s * (size * v + x * (dot(z, delta) - size * dot(x, v) / r) / r)), None

    def statistics(key):
        for_x, for_g, for_z, for_v = jax.random.split(key, 4)
        y, kept = jax.lax.scan(forward, normal(for_x), jax.random.split(for_z, depth))
        layers = jax.random.split(for_v, depth), kept
        (_, g), _ = jax.lax.scan(backward, (y, normal(for_g)), layers, reverse=True)
        return jnp.log10(jnp.linalg.norm(g, axis=-1))

    return jax.jit(statistics)


def jax_law(depth, width, stack):
    import jax

    statistics = jax_law_statistics(depth, width, stack)
    seeds = itertools.count()
    return lambda: np.asarray(statistics(jax.random.key(next(seeds))))


# name: (library, turn maker)
LAW_PEERS = {
    "PyTorch, the law": ("torch", pytorch_law),
    "torch.compile, the law": ("torch", pytorch_compile_law),
    "JAX jit(scan), the law": ("jax", jax_law),
}


class LawTurn(PeerTurn):
    """The calls of a peer with the law, in its worker process."""

    def __init__(self, peer, depth, width, stack):
        self.turn = LAW_PEERS[peer][1](depth, width, stack)


Worker.register("LawTurn", LawTurn)
