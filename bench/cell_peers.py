"""The peers for gated recurrent networks: log10 ‖G_0‖ of an LSTM and a GRU in float32.

As in bench/technique_peers.py, every network has new weights, which are drawn once for all steps,
and the statistic is log10 of the norm of the gradient by the first state: by (h_0, c_0) of an LSTM.
The law is that of vgsim.LSTM and vgsim.GRU with their defaults.
"""

from __future__ import annotations

INPUT_STD = 0.5
FORGET_BIAS = 1.0
GATES = {"LSTM": 4, "GRU": 3}


def draw_pytorch(kind, lead, n, steps):
    """Return W, U s_t + b of all steps and the initial state."""
    import torch

    gates = GATES[kind] * n
    w = torch.randn(*lead, gates, n).mul_(n**-0.5)
    u = torch.randn(*lead, gates, n).mul_(INPUT_STD / n**0.5)
    drive = torch.randn(*lead, steps, n) @ u.mT
    if kind == "LSTM":
        drive[..., n : 2 * n] += FORGET_BIAS
    states = [torch.randn(*lead, n, requires_grad=True)]
    if kind == "LSTM":
        states.append(torch.zeros(*lead, n, requires_grad=True))
    return w, drive, states


def pytorch_step(kind, w, d, states, product):
    """One step of a cell, written as torch.nn.LSTMCell and torch.nn.GRUCell compute it."""
    import torch

    h = states[0]
    if kind == "LSTM":
        i, f, g, o = (product(w, h) + d).chunk(4, dim=-1)
        c = torch.sigmoid(f) * states[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    n = h.shape[-1]
    recurrent = product(w, h)
    r, z = torch.sigmoid(recurrent[..., : 2 * n] + d[..., : 2 * n]).chunk(2, dim=-1)
    candidate = torch.tanh(torch.addcmul(d[..., 2 * n :], r, recurrent[..., 2 * n :]))
    return (torch.lerp(candidate, h, z),)


def log10_norms(gradients, stack):
    """log10 of the norm over all states of each network."""
    import torch

    joined = torch.cat([g.double().reshape(stack, -1) for g in gradients], dim=1)
    return joined.norm(dim=1).log10().numpy()


def pytorch_cells(kind, n, steps, stack, stacked):
    """A loop over the steps, for one network or for a stack of them by bmm."""
    import torch

    def bmm(w, h):
        return (w @ h.unsqueeze(-1)).squeeze(-1)

    lead, product = ((stack,), bmm) if stacked else ((), torch.mv)

    def turn():
        w, drive, first = draw_pytorch(kind, lead, n, steps)
        states = tuple(first)
        for d in drive.movedim(-2, 0).contiguous().unbind():
            states = pytorch_step(kind, w, d, states, product)
        cotangent = torch.randn(states[0].shape)
        return log10_norms(torch.autograd.grad(states[0], first, cotangent), stack)

    return turn


def pytorch_module(kind, n, steps):
    """torch.nn.LSTM or torch.nn.GRU for all steps, with its weights drawn anew."""
    import torch

    module = getattr(torch.nn, kind)(n, n)
    for parameter in module.parameters():
        parameter.requires_grad_(False)

    def turn():
        module.weight_hh_l0.normal_(0, n**-0.5)
        module.weight_ih_l0.normal_(0, INPUT_STD / n**0.5)
        module.bias_hh_l0.zero_()
        module.bias_ih_l0.zero_()
        h = torch.randn(1, 1, n, requires_grad=True)
        states = (h,)
        if kind == "LSTM":
            module.bias_ih_l0[n : 2 * n] = FORGET_BIAS
            states = (h, torch.zeros(1, 1, n, requires_grad=True))
        y, _ = module(torch.randn(steps, 1, n), states if kind == "LSTM" else h)
        return log10_norms(torch.autograd.grad(y[-1], states, torch.randn(1, n)), 1)

    return turn


def jax_cell(kind, n, steps):
    """Return (draw, step) of a cell: a step takes the states, W and U s_t + b."""
    import jax
    import jax.numpy as jnp

    gates = GATES[kind] * n

    def draw(key):
        for_w, for_u, for_s = jax.random.split(key, 3)
        w = n**-0.5 * jax.random.normal(for_w, (gates, n))
        u = INPUT_STD / n**0.5 * jax.random.normal(for_u, (gates, n))
        drive = jax.random.normal(for_s, (steps, n)) @ u.T
        if kind == "LSTM":
            drive = drive.at[:, n : 2 * n].add(FORGET_BIAS)
        return w, drive

    def lstm(states, w, d):
        h, c = states
        i, f, g, o = jnp.split(w @ h + d, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def gru(states, w, d):
        (h,) = states
        recurrent = w @ h
        r, z = jnp.split(jax.nn.sigmoid(recurrent[: 2 * n] + d[: 2 * n]), 2)
        candidate = jnp.tanh(d[2 * n :] + r * recurrent[2 * n :])
        return ((1 - z) * candidate + z * h,)

    return draw, {"LSTM": lstm, "GRU": gru}[kind]


def jax_statistic(kind, n, steps):
    """Return the function from a key to the statistic of one network."""
    import jax
    import jax.numpy as jnp

    draw, step = jax_cell(kind, n, steps)

    def statistic(key):
        for_cell, for_h, for_g = jax.random.split(key, 3)
        w, drive = draw(for_cell)
        cotangent = jax.random.normal(for_g, (n,))

        def loss(states):
            states, _ = jax.lax.scan(lambda s, d: (step(s, w, d), None), states, drive)
            return states[0] @ cotangent

        first = (jax.random.normal(for_h, (n,)), *[jnp.zeros(n)] * (kind == "LSTM"))
        g = jnp.concatenate(jax.grad(loss)(first))
        scale = jnp.abs(g).max()
        return jnp.log10(scale) + jnp.log10(jnp.linalg.norm(g / scale))

    return statistic
