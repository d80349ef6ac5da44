"""Recurrent cells from their formulas: the draws of a sample, and gradients by autograd."""

import numpy as np
import torch

from vgsim import _kernels
from vgsim._engine.settings import STREAMS, Settings

RAW_STD = {"normal": 1.0, "uniform": 3**-0.5}


class Draws:
    """The matrices, biases, drive, initial state and cotangent of one sample of a cell."""

    def __init__(self, net, index, *, gates, batch_size=1, dtype="float64", zeros=False, seed=0):
        settings = Settings.checked(seed=seed, batch_size=batch_size, dtype=dtype)
        self.key, self.index, self.dtype = settings.key(net), index, dtype
        self.net, self.n, self.batch, self.gates = net, net.width, batch_size, gates
        self.padded = -(-self.n // 4) * 4
        law = net.init.distribution
        std = net.gain * net.init.weight_std(self.n, self.n)
        self.weight = [self.matrix("forward", k + 1, law, std) for k in range(gates)]
        self.law = "uniform" if net.init.name == "torch_recurrent" else "normal"
        own = self.raw("input_weights", 1, gates * self.n, self.law)
        self.input_weight = np.split(own * net.input_std / self.n**0.5 / RAW_STD[self.law], gates)
        self.drive = [self.raw("drive", t, batch_size).T for t in range(1, net.steps + 1)]
        self.state = np.zeros((self.n, batch_size)) if zeros else self.raw("input", 0, batch_size).T
        self.cotangent = self.raw("cotangent", net.steps, batch_size).T

    def raw(self, stream, number, rows, law="normal"):
        """Return rows of n raw draws, each of which starts a new quad."""
        stream, count = STREAMS[stream], rows * self.padded
        drawn = _kernels.draws(self.key, stream, number, self.index, law, count, self.dtype)
        return drawn.reshape(rows, self.padded)[:, : self.n]

    def matrix(self, stream, number, law, std):
        """Return a matrix of entries with a standard deviation."""
        return self.raw(stream, number, self.n, law) * (std / RAW_STD[law])

    def bias(self, number, shift=0.0, most=0.0, limit=0.0, count=1):
        """Return ζ + shift + ln u: `number` is that of the gate."""
        law, size = ("uniform", limit) if limit else ("normal", self.net.bias_std)
        total = np.full((self.n, 1), shift)
        for k in range(count):
            total += size * self.raw("bias", number + 8 * k, 1, law).T
        if most:
            v = self.raw("bias", number + 16, 1, "uniform").T
            total += np.log(1 + (most - 1) * (v + 1) / 2)
        return total


def trace(draws, step, cell=False, clip=None):
    """Return log10 ‖∂L/∂(state)‖ at every place, log10 ‖∂L/∂W‖, and the states h_l.

    ``step(h, c, W h of each gate, U s of each gate)`` returns the next h and c. The state is (h, c)
    if there is a `cell`, else h. ``clip(gradients)`` returns the clipped ones.
    """
    pair = [draws.state.copy(), np.zeros_like(draws.state)][: 1 + cell]
    states = [pair]
    for drive in draws.drive:
        after = _after(draws, step, drive, [torch.tensor(x) for x in pair], _weights(draws))
        pair = [x.numpy() for x in after]
        states.append(pair)
    gradients = [draws.cotangent, *[np.zeros_like(draws.cotangent)] * cell]
    norms, of_weights = [_norm(gradients)], [np.zeros_like(w) for w in draws.weight]
    for drive, before in zip(draws.drive[::-1], states[-2::-1], strict=True):
        own = [torch.tensor(x, requires_grad=True) for x in before]
        weights = [w.requires_grad_() for w in _weights(draws)]
        after = _after(draws, step, drive, own, weights)
        cotangents = [torch.tensor(np.ascontiguousarray(g)) for g in gradients]
        found = [g.numpy() for g in torch.autograd.grad(after, [*own, *weights], cotangents)]
        gradients, more = found[: 1 + cell], found[1 + cell :]
        of_weights = [total + g for total, g in zip(of_weights, more, strict=True)]
        gradients = clip(gradients) if clip else gradients
        norms.append(_norm(gradients))
    with np.errstate(divide="ignore"):
        return np.log10(norms[::-1]), np.log10(_norm(of_weights)), [pair[0] for pair in states]


def jacobian(draws, step, cell, t, pair):
    """Return the state after step t from the `pair` before it, and its Jacobian matrix."""
    n, drive = draws.n, draws.drive[t - 1]

    def whole(x):
        own = [x[:n, None], x[n:, None]][: 1 + cell]
        return torch.cat(_after(draws, step, drive, own, _weights(draws)))[:, 0]

    x = torch.tensor(np.concatenate(pair)[:, 0])
    after = whole(x).numpy()[:, None]
    pair = [after[:n], after[n:]][: 1 + cell]
    return pair, torch.autograd.functional.jacobian(whole, x).numpy()


def _norm(arrays):
    return np.sqrt(sum((np.asarray(a) ** 2).sum() for a in arrays))


def _weights(draws):
    return [torch.tensor(w) for w in draws.weight]


def _after(draws, step, drive, pair, weights):
    """Return the registers of the state after a step, as tensors."""
    driven = [torch.tensor(u @ drive) for u in draws.input_weight]
    h, c = pair[0], pair[1] if len(pair) > 1 else None
    return step(h, c, [w @ h for w in weights], driven)[: len(pair)]


def lstm_step(biases):
    """Return the step of an LSTM with the biases of its gates i, f, g, o."""
    b = [torch.tensor(bias) for bias in biases]

    def step(h, c, product, drive):
        i, f, g, o = (p + s + of for p, s, of in zip(product, drive, b, strict=True))
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    return step


def gru_step(biases, hidden=0.0):
    """Return the step of a GRU with the biases of its gates r, z, n, and one inside r∘(…)."""
    b = [torch.tensor(bias) for bias in biases]

    def step(h, c, product, drive):
        r = torch.sigmoid(product[0] + drive[0] + b[0])
        z = torch.sigmoid(product[1] + drive[1] + b[1])
        n = torch.tanh(drive[2] + b[2] + r * (product[2] + torch.as_tensor(hidden)))
        return (1 - z) * n + z * h, None

    return step


def rnn_step(leak, bias=0.0):
    """Return the step of a leaky RNN with tanh."""

    def step(h, c, product, drive):
        return (1 - leak) * h + leak * torch.tanh(
            product[0] + drive[0] + torch.as_tensor(bias)
        ), None

    return step
