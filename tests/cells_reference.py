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


def trace(draws, step, cell=False):
    """Return log10 ‖∂L/∂(state)‖ at every place, log10 ‖∂L/∂W‖, and the states h_l.

    ``step(h, c, W h of each gate, U s of each gate)`` returns the next h and c.
    """

    def tensor(array):
        return torch.tensor(np.asarray(array, dtype=np.float64), requires_grad=True)

    weights = [tensor(w) for w in draws.weight]
    h, c = tensor(draws.state), tensor(np.zeros_like(draws.state))
    states = [(h, c)]
    for drive in draws.drive:
        driven = [torch.tensor(u @ drive) for u in draws.input_weight]
        h, c = step(h, c, [w @ h for w in weights], driven)
        c = c.clone()  # so that its gradient is not by way of h of the same step
        for state in (h, c):
            if state.requires_grad:
                state.retain_grad()
        states.append((h, c))
    (h * torch.tensor(np.ascontiguousarray(draws.cotangent))).sum().backward()
    norms = [
        sum(float((s.grad**2).sum()) for s in pair[: 1 + cell] if s.grad is not None)
        for pair in states
    ]
    of_weights = sum(float((w.grad**2).sum()) for w in weights)
    hidden = [pair[0].detach().numpy() for pair in states]
    return 0.5 * np.log10(norms), 0.5 * np.log10(of_weights), hidden


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
        return (1 - z) * n + z * h, c

    return step


def rnn_step(leak, bias=0.0):
    """Return the step of a leaky RNN with tanh."""

    def step(h, c, product, drive):
        return (1 - leak) * h + leak * torch.tanh(product[0] + drive[0] + torch.as_tensor(bias)), c

    return step
