"""The peers for networks with techniques: log10 ‖G_0‖ in float32, by other libraries.

They are written as in bench/peers.py: new weights for every network, drawn just before their use,
into reused buffers. A peer is a function (technique, stack, cores) → turn. A turn returns the
statistics of `stack` new networks, or of one per core for NumPy and Numba. These two are used for
the recurrent network only, which draws its weights once; for the others, drawing weights takes
most of the time, and bench/peers.py compares that.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np

from bench import cell_peers
from bench.peers import on_threads
from bench.workers import PeerTurn, Worker

INPUT_STD = 0.1  # of the drive of the recurrent network
GATE_BIAS = -2.0
NORM_EPS = 1e-5


class Technique(NamedTuple):
    """Kind and sizes of a network; `depth` is the number of steps of a recurrent one."""

    kind: str
    width: int
    batch: int
    depth: int


# With batch normalisation the gradient grows by a factor of 10 in 4 layers (batch of 4) or in 11
# (batch of 32). At 500 layers it would overflow float32 in every peer.
TECHNIQUES = (
    Technique("batch norm", 128, 32, 100),
    Technique("batch norm", 512, 32, 100),
    Technique("batch norm", 512, 4, 100),
    Technique("highway", 128, 1, 500),
    Technique("residual", 128, 1, 500),
    Technique("orthogonal", 128, 1, 500),
    Technique("RNN", 128, 1, 500),
    Technique("LSTM", 128, 1, 200),
    Technique("GRU", 128, 1, 200),
)


def pytorch(technique, stack, stacked, orthogonal=None):
    """Return a turn of PyTorch; if `stacked`, arrays have a leading axis for the stack."""
    import torch

    kind, n, batch, depth = technique
    lead = (stack,) if stacked else ()
    columns = (batch,) if stacked or batch > 1 else ()
    layers = {
        "batch norm": pytorch_batch_norm,
        "highway": pytorch_highway,
        "residual": pytorch_residual,
        "orthogonal": orthogonal or pytorch_orthogonal,
        "RNN": pytorch_rnn,
    }[kind](lead, n, depth, torch.bmm if stacked else torch.matmul)

    def turn():
        x = torch.randn(*lead, n, *columns, requires_grad=True)
        y = layers(x)
        (g,) = torch.autograd.grad(y, x, torch.randn(y.shape))
        return g.double().reshape(stack, -1).norm(dim=1).log10().numpy()

    return turn


def pytorch_loop(technique, stack, cores):
    kind, n, _, depth = technique
    if kind in cell_peers.GATES:
        return cell_peers.pytorch_cells(kind, n, depth, 1, stacked=False)
    return pytorch(technique, 1, stacked=False)


def pytorch_bmm(technique, stack, cores):
    kind, n, _, depth = technique
    if kind in cell_peers.GATES:
        return cell_peers.pytorch_cells(kind, n, depth, stack, stacked=True)
    return pytorch(technique, stack, stacked=True)


def pytorch_module(technique, stack, cores):
    return cell_peers.pytorch_module(technique.kind, technique.width, technique.depth)


def pytorch_reflections(technique, stack, cores):
    return pytorch(technique, stack, stacked=True, orthogonal=pytorch_householder)


def pytorch_batch_norm(lead, n, depth, product):
    """Batch normalisation by ``layer_norm`` over rows, which is faster here than ``batch_norm``."""
    import torch
    from torch.nn.functional import layer_norm

    std = (2 / n) ** 0.5
    weights = [torch.empty(*lead, n, n) for _ in range(depth)]

    def layers(x):
        for w in weights:
            h = product(w.normal_(0, std), x)
            x = torch.relu_(layer_norm(h, h.shape[-1:], eps=NORM_EPS))
        return x

    return layers


def pytorch_highway(lead, n, depth, product):
    """The weights of a layer and of its gate are drawn and multiplied as one matrix."""
    import torch

    std = n**-0.5
    weights = [torch.empty(*lead, 2 * n, n) for _ in range(depth)]
    units = len(lead)

    def layers(x):
        for w in weights:
            h, gate = product(w.normal_(0, std), x).split(n, dim=units)
            x = torch.lerp(x, torch.tanh(h), torch.sigmoid(gate + GATE_BIAS))
        return x

    return layers


def pytorch_residual(lead, n, depth, product):
    import torch

    std, branch = (2 / n) ** 0.5, (depth / 2) ** -0.5
    weights = [torch.empty(*lead, n, n) for _ in range(depth)]

    def layers(x):
        for v, w in zip(weights[::2], weights[1::2], strict=True):
            y = torch.relu_(product(v.normal_(0, std), x))
            y = torch.relu_(product(w.normal_(0, std), y))
            x = torch.add(x, y, alpha=branch)
        return x

    return layers


def pytorch_qr(normal):
    """Draw Haar orthogonal matrices by QR, as ``torch.nn.init.orthogonal_`` does."""
    import torch

    q, r = torch.linalg.qr(normal)
    return q.mul_(r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2))


def pytorch_orthogonal(lead, n, depth, product):
    import torch

    normal = torch.empty(*lead, n, n)

    def layers(x):
        for _ in range(depth):
            x = torch.tanh(product(pytorch_qr(normal.normal_()), x))
        return x

    return layers


def pytorch_householder(lead, n, depth, product):
    """Haar orthogonal matrices as products of reflections (Stewart 1980), not multiplied out.

    Column k of a normal matrix, from the diagonal on, gives reflection k and a sign, as in the QR
    factorisation: after each reflection, the remaining columns are again independent and normal.
    """
    import torch

    normal = torch.empty(*lead, n, n)
    weights = [torch.empty(*lead, n, n) for _ in range(depth)]

    def layers(x):
        for v in weights:
            torch.tril(normal.normal_(), out=v)
            head = v.diagonal(dim1=-2, dim2=-1)
            beta = -torch.copysign(v.norm(dim=-2), head)
            tau = 1 - head / beta
            v.div_((head - beta).unsqueeze(-2))
            x = torch.tanh(torch.ormqr(v, tau, x * beta.sign().unsqueeze(-1)))
        return x

    return layers


def pytorch_rnn(lead, n, steps, product):
    """The drive of all steps is one product; ``torch.nn.RNN`` is slower than this loop."""
    import torch

    normal = torch.empty(*lead, n, n)
    add = torch.baddbmm if lead else torch.addmv
    columns = (1,) if lead else ()

    def layers(x):
        w = pytorch_qr(normal.normal_())
        u = torch.randn(*lead, n, n).mul_(INPUT_STD / n**0.5)
        drive = product(torch.randn(*lead, steps, n), u)
        drive = drive.movedim(-2, 0).contiguous().reshape(steps, *lead, n, *columns)
        for d in drive.unbind():
            x = torch.tanh(add(d, w, x))
        return x

    return layers


@functools.cache
def jax_statistics(technique):
    """Return the compiled function from keys to statistics, one network per key."""
    import jax
    import jax.numpy as jnp

    kind, n, batch, depth = technique
    if kind in cell_peers.GATES:
        return jax.jit(jax.vmap(cell_peers.jax_statistic(kind, n, depth)))
    normal = jax.random.normal

    def batch_norm(x, key):
        h = (2 / n) ** 0.5 * normal(key, (n, n)) @ x
        return jax.nn.relu(jax.nn.standardize(h, axis=1, epsilon=NORM_EPS))

    def highway(x, key):
        h, gate = jnp.split(n**-0.5 * normal(key, (2 * n, n)) @ x, 2)
        t = jax.nn.sigmoid(gate + GATE_BIAS)
        return t * jnp.tanh(h) + (1 - t) * x

    def residual(x, key):
        v, w = (2 / n) ** 0.5 * normal(key, (2, n, n))
        return x + (depth / 2) ** -0.5 * jax.nn.relu(w @ jax.nn.relu(v @ x))

    def orthogonal(x, key):
        return jnp.tanh(jax.random.orthogonal(key, n) @ x)

    def rnn(key):
        for_w, for_u, for_drive = jax.random.split(key, 3)
        w = jax.random.orthogonal(for_w, n)
        u = INPUT_STD / n**0.5 * normal(for_u, (n, n))
        return lambda x, d: jnp.tanh(w @ x + d[:, None]), normal(for_drive, (depth, n)) @ u

    layer = {
        "batch norm": batch_norm,
        "highway": highway,
        "residual": residual,
        "orthogonal": orthogonal,
    }.get(kind)
    blocks = depth // 2 if kind == "residual" else depth

    def statistic(key):
        for_layers, for_x, for_g = jax.random.split(key, 3)
        step, by_layer = (layer, jax.random.split(for_layers, blocks)) if layer else rnn(for_layers)
        cotangent = normal(for_g, (n, batch))

        def loss(x):
            x, _ = jax.lax.scan(lambda x, own: (step(x, own), None), x, by_layer)
            return (x * cotangent).sum()

        g = jax.grad(loss)(normal(for_x, (n, batch)))
        scale = jnp.abs(g).max()
        return jnp.log10(scale) + jnp.log10(jnp.linalg.norm(g / scale))

    return jax.jit(jax.vmap(statistic))


def jax_scan(technique, stack, cores):
    import jax

    statistics = jax_statistics(technique)
    seeds = itertools.count()
    return lambda: np.asarray(statistics(jax.random.split(jax.random.key(next(seeds)), stack)))


def numpy_rnn(technique, stack, cores):
    """Return a turn with one network per core."""
    n, steps = technique.width, technique.depth

    def networks(rng):
        kept = np.empty((steps, n), np.float32)

        def call():
            w, drive, x, g = numpy_draw(rng, n, steps)
            for d, k in zip(drive, kept, strict=True):
                x = np.tanh(w @ x + d, out=k)
            transposed = w.T.copy()
            for k in kept[::-1]:
                g = transposed @ ((1 - k * k) * g)
            return [np.log10(np.linalg.norm(g.astype(np.float64)))]

        return call

    return on_threads(cores, networks)


def numpy_draw(rng, n, steps):
    """Draw the recurrent matrix, the drive, the first state and the cotangent."""
    normal = functools.partial(rng.standard_normal, dtype=np.float32)
    q, r = np.linalg.qr(normal((n, n)))
    u = np.float32(INPUT_STD / n**0.5) * normal((n, n))
    return q * np.sign(r.diagonal()), normal((steps, n)) @ u, *normal((2, n))


@functools.cache
def numba_gradient():
    import numba

    @numba.njit(fastmath=True, nogil=True)
    def gradient(w, drive, kept, x, g):
        steps, n = drive.shape
        for t in range(steps):
            for i in range(n):
                h = drive[t, i]
                for j in range(n):
                    h += w[i, j] * x[j]
                kept[t, i] = np.tanh(h)
            x = kept[t]
        for t in range(steps - 1, -1, -1):
            below = np.zeros(n, np.float32)
            for i in range(n):
                d = (1 - kept[t, i] * kept[t, i]) * g[i]
                for j in range(n):
                    below[j] += w[i, j] * d
            g = below
        return g

    return gradient


def numba_rnn(technique, stack, cores):
    """Return a turn with one network per core, whose random numbers NumPy draws."""
    n, steps = technique.width, technique.depth
    gradient = numba_gradient()

    def networks(rng):
        kept = np.empty((steps, n), np.float32)

        def call():
            w, drive, x, g = numpy_draw(rng, n, steps)
            g = gradient(w, drive, kept, x, g).astype(np.float64)
            return [np.log10(np.linalg.norm(g))]

        return call

    return on_threads(cores, networks)


# name: (library, turn maker, whether it can stack networks, kinds of networks)
KINDS = {technique.kind for technique in TECHNIQUES}
CELLS = set(cell_peers.GATES)
PEERS = {
    "PyTorch loop": ("torch", pytorch_loop, False, KINDS),
    "PyTorch bmm": ("torch", pytorch_bmm, True, KINDS),
    "PyTorch reflections": ("torch", pytorch_reflections, True, {"orthogonal"}),
    "PyTorch nn module": ("torch", pytorch_module, False, CELLS),
    "JAX jit(vmap(grad(scan)))": ("jax", jax_scan, True, KINDS),
    "NumPy": ("numpy", numpy_rnn, False, {"RNN"}),
    "Numba": ("numba", numba_rnn, False, {"RNN"}),
}


class TechniqueTurn(PeerTurn):
    """The calls of a peer for a technique, in its worker process."""

    def __init__(self, peer, technique, stack, cores):
        self.turn = PEERS[peer][1](technique, stack, cores)


Worker.register("TechniqueTurn", TechniqueTurn)
