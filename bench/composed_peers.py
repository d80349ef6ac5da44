"""The peers for a transformer: log10 ‖G_0‖ of composed networks in float32, by other libraries.

They are written as in bench/peers.py: new weights for every network, drawn just before their use,
into reused buffers; gradients by the input only, never by weights. Columns of vgsim are rows here.
The queries, keys and values are one product with a matrix drawn at once. A peer is a function
(transformer, stack, cores) → turn. A turn returns the statistics of `stack` new networks.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np

from bench.peers import pytorch_compiled
from bench.workers import PeerTurn, Worker

NORM_EPS = 1e-5


class Transformer(NamedTuple):
    """Sizes of a pre-norm transformer; a block is attention and an MLP of 4 × width units."""

    width: int
    heads: int
    tokens: int
    blocks: int

    @property
    def shapes(self):
        """Shapes (units in, units out) of the matrices of a block; the first is q, k and v."""
        n = self.width
        return (n, 3 * n), (n, n), (n, 4 * n), (4 * n, n)

    @property
    def weights(self):
        """Number of weights of a network."""
        return self.blocks * sum(m * n for m, n in self.shapes)


def pytorch_block(heads):
    """Return the block of a transformer as a function of inputs and matrices, stacked or not."""
    import torch
    from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

    def block(x, qkv, out, up, down):
        add = torch.baddbmm if x.dim() == 3 else torch.addmm
        h = layer_norm(x, x.shape[-1:], eps=NORM_EPS) @ qkv
        q, k, v = h.unflatten(-1, (3, heads, -1)).movedim(-3, 0).transpose(-3, -2).unbind()
        values = scaled_dot_product_attention(q, k, v).transpose(-3, -2).flatten(-2)
        x = add(x, values, out)
        return add(x, gelu(layer_norm(x, x.shape[-1:], eps=NORM_EPS) @ up), down)

    return block


@functools.cache
def pytorch_compiled_block(heads):
    """Return the block compiled once for every stack; all blocks of the network call it."""
    return pytorch_compiled(pytorch_block(heads))


def pytorch(transformer, lead, block):
    """Return a turn of PyTorch; `lead` is the shape of the stack, () for a single network."""
    import torch

    x_shape = (*lead, transformer.tokens, transformer.width)
    weights = [
        [torch.empty(*lead, *shape) for shape in transformer.shapes]
        for _ in range(transformer.blocks)
    ]

    def turn():
        x = y = torch.randn(x_shape, requires_grad=True)
        for matrices in weights:
            y = block(y, *(w.normal_(0, w.shape[-2] ** -0.5) for w in matrices))
        (g,) = torch.autograd.grad(y, x, torch.randn(x_shape))
        return g.double().flatten(-2).norm(dim=-1).log10().reshape(-1).numpy()

    return turn


def pytorch_loop(transformer, stack, cores):
    return pytorch(transformer, (), pytorch_block(transformer.heads))


def pytorch_bmm(transformer, stack, cores):
    return pytorch(transformer, (stack,), pytorch_block(transformer.heads))


def pytorch_compile_loop(transformer, stack, cores):
    return pytorch(transformer, (), pytorch_compiled_block(transformer.heads))


def pytorch_compile_bmm(transformer, stack, cores):
    return pytorch(transformer, (stack,), pytorch_compiled_block(transformer.heads))


def pytorch_vmap(transformer, stack, cores):
    import torch

    block = pytorch_block(transformer.heads)
    x_shape = (stack, transformer.tokens, transformer.width)
    weights = [
        [torch.empty(stack, *shape) for shape in transformer.shapes]
        for _ in range(transformer.blocks)
    ]

    def statistic(weights, x, g):
        def product(x):
            for matrices in weights:
                x = block(x, *matrices)
            return (x * g).sum()

        return torch.func.grad(product)(x).norm().log10()

    stacked = torch.func.vmap(statistic)

    def turn():
        for w in itertools.chain(*weights):
            w.normal_(0, w.shape[-2] ** -0.5)
        return stacked(weights, torch.randn(x_shape), torch.randn(x_shape)).numpy()

    return turn


@functools.cache
def jax_statistics(transformer):
    """Return the compiled function from keys to statistics, one network per key."""
    import jax
    import jax.numpy as jnp

    heads, x_shape = transformer.heads, (transformer.tokens, transformer.width)
    normal = jax.random.normal

    def norm(x):
        return jax.nn.standardize(x, axis=-1, epsilon=NORM_EPS)

    def block(x, key):
        keys = jax.random.split(key, 4)
        qkv, out, up, down = (
            shape[0] ** -0.5 * normal(key, shape)
            for key, shape in zip(keys, transformer.shapes, strict=True)
        )
        q, k, v = jnp.split((norm(x) @ qkv).reshape(transformer.tokens, 3 * heads, -1), 3, axis=1)
        x = x + jax.nn.dot_product_attention(q, k, v).reshape(x_shape) @ out
        return x + jax.nn.gelu(norm(x) @ up, approximate=False) @ down

    def statistic(key):
        for_blocks, for_x, for_g = jax.random.split(key, 3)
        keys = jax.random.split(for_blocks, transformer.blocks)
        cotangent = normal(for_g, x_shape)

        def loss(x):
            x, _ = jax.lax.scan(lambda x, key: (block(x, key), None), x, keys)
            return (x * cotangent).sum()

        return jnp.log10(jnp.linalg.norm(jax.grad(loss)(normal(for_x, x_shape))))

    return jax.jit(jax.vmap(statistic))


def jax_scan(transformer, stack, cores):
    import jax

    statistics = jax_statistics(transformer)
    seeds = itertools.count()
    return lambda: np.asarray(statistics(jax.random.split(jax.random.key(next(seeds)), stack)))


# name: (library, turn maker, whether it can stack networks)
PEERS = {
    "PyTorch loop": ("torch", pytorch_loop, False),
    "PyTorch bmm": ("torch", pytorch_bmm, True),
    "torch.compile loop": ("torch", pytorch_compile_loop, False),
    "torch.compile bmm": ("torch", pytorch_compile_bmm, True),
    "torch.func.vmap": ("torch", pytorch_vmap, True),
    "JAX jit(vmap(grad(scan)))": ("jax", jax_scan, True),
}


class ComposedTurn(PeerTurn):
    """The calls of a peer for a transformer, in its worker process."""

    def __init__(self, peer, transformer, stack, cores):
        self.turn = PEERS[peer][1](transformer, stack, cores)


Worker.register("ComposedTurn", ComposedTurn)
