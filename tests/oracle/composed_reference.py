"""Composed networks in PyTorch: a small interpreter of nested lists, by autograd.

Nothing of vgsim is used here. An element of a list is

    ("linear", width, init, gain, bias_std)     width None: as many units as come in
    ("tanh",), ("relu",) …                      an activation
    ("norm", kind, eps)                         "layer", "rms" or "batch"
    ("dropout", rate)
    ("skip", list, skip, branch)
    ("gate", list, bias, init, gain)
    ("attention", heads, causal, init, gain, bias_std)
    a list                                      a group

Parameters are named as PyTorch names those of nested ``Sequential``s. All arrays have an axis of
samples in front; columns (tokens of sequences) are rows here, as ever in PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

ACTIVATIONS = ("tanh", "relu", "gelu", "silu", "sigmoid", "leaky_relu", "softsign", "erf", "elu")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and how it is run; `clip` is (kind, bound)."""

    width: int
    layers: list
    tokens: int = 1
    sequences: int = 1
    clip: tuple[str, float] | None = None

    @property
    def columns(self) -> int:
        """The number of columns of a batch."""
        return self.sequences * self.tokens


@dataclass(frozen=True)
class Parameter:
    """The shape of a parameter and its law: "mask", "normal" or "orthogonal"."""

    shape: tuple[int, ...]
    law: str
    scale: float


def matrix(n: int, m: int, init: str, gain: float) -> Parameter:
    """Return an n × m matrix, with the law of torch.nn.init's initialiser of that name."""
    if init == "orthogonal":
        return Parameter((n, m), "orthogonal", gain)
    variance = {"lecun_normal": 1 / m, "he_normal": 2 / m, "glorot_normal": 2 / (n + m)}[init]
    return Parameter((n, m), "normal", gain * math.sqrt(variance))


def parameters(case: Case) -> dict[str, Parameter]:
    """Return all parameters by name, in order."""
    found: dict[str, Parameter] = {}
    _list_parameters(case.layers, case.width, "", case.columns, found)
    return found


def _list_parameters(
    layers: list, n: int, prefix: str, columns: int, found: dict[str, Parameter]
) -> int:
    """Add the parameters of a list, and return its last width."""
    for i, element in enumerate(layers):
        own = f"{prefix}{i}."
        if isinstance(element, list):
            n = _list_parameters(element, n, own, columns, found)
            continue
        kind, *values = element
        if kind == "linear":
            width, init, gain, bias_std = values
            m, n = n, width or n
            found[own + "weight"] = matrix(n, m, init, gain)
            if bias_std:
                found[own + "bias"] = Parameter((n,), "normal", bias_std)
        elif kind == "dropout":
            found[own + "mask"] = Parameter((n, columns), "mask", values[0])
        elif kind == "skip":
            _list_parameters(values[0], n, own, columns, found)
        elif kind == "gate":
            block, _, init, gain = values
            found[own + "gate"] = matrix(n, n, init, gain)
            _list_parameters(block, n, own, columns, found)
        elif kind == "attention":
            _, _, init, gain, bias_std = values
            for name in ("query", "key", "value", "output"):
                found[own + name] = matrix(n, n, init, gain)
                if bias_std:
                    found[f"{own}{name}_bias"] = Parameter((n,), "normal", bias_std)
    return n


def output_width(case: Case) -> int:
    """Return n_D."""
    return _list_parameters(case.layers, case.width, "", case.columns, {})


def random_parameters(case: Case, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw one set of parameters with NumPy, all matrices Gaussian."""
    drawn = {}
    for name, parameter in parameters(case).items():
        if parameter.law == "mask":
            drawn[name] = (rng.random(parameter.shape) >= parameter.scale).astype(float)
        else:
            drawn[name] = parameter.scale * rng.normal(size=parameter.shape)
    return drawn


def phi(name: str):
    """Return an activation as a function of tensors."""
    import torch
    from torch.nn import functional as F

    return {
        "tanh": torch.tanh,
        "relu": torch.relu,
        "gelu": F.gelu,
        "silu": F.silu,
        "sigmoid": torch.sigmoid,
        "leaky_relu": lambda h: F.leaky_relu(h, 0.01),
        "softsign": F.softsign,
        "erf": torch.erf,
        "elu": F.elu,
        "linear": lambda h: 1.0 * h,
    }[name]


def slope(name: str, h):
    """Return |φ'(h)|."""
    import torch

    h = h.detach().clone().requires_grad_()
    return torch.autograd.grad(phi(name)(h).sum(), h)[0].abs()


@cache
def steepest(name: str):
    """Return max |φ'|."""
    import torch

    return slope(name, torch.linspace(-6.0, 6.0, 240_001, dtype=torch.float64)).max()


def applied(layers: list, x, P: dict, prefix: str, case: Case, seen: list, first: int = 0):
    """Return the output of a list; `seen` collects (activation, its argument)."""
    import torch

    for i, element in enumerate(layers, start=first):
        own = f"{prefix}{i}."
        if isinstance(element, list):
            x = applied(element, x, P, own, case, seen)
            continue
        kind, *values = element
        if kind == "linear":
            x = x @ P[own + "weight"].mT
            if own + "bias" in P:
                x = x + P[own + "bias"].unsqueeze(-2)
        elif kind == "norm":
            x = _normalised(x, *values)
        elif kind == "dropout":
            x = x * P[own + "mask"].mT / (1 - values[0])
        elif kind == "skip":
            block, s, c = values
            x = s * x + c * applied(block, x, P, own, case, seen)
        elif kind == "gate":
            block, bias, *_ = values
            T = torch.sigmoid(x @ P[own + "gate"].mT + bias)
            x = T * applied(block, x, P, own, case, seen) + (1 - T) * x
        elif kind == "attention":
            x = _attention(x, P, own, case, heads=values[0], causal=values[1])
        else:
            seen.append((kind, x))
            x = phi(kind)(x)
    return x


def _normalised(x, kind: str, eps: float):
    """Return the normalisation of x, over its units or over its columns."""
    axis = -2 if kind == "batch" else -1
    centred = x if kind == "rms" else x - x.mean(axis, keepdim=True)
    return centred / (centred.square().mean(axis, keepdim=True) + eps).sqrt()


def _attention(x, P: dict, own: str, case: Case, heads: int, causal: bool):
    """Return the output of softmax attention."""
    from torch.nn import functional as F

    def linear(name: str, x):
        h = x @ P[own + name].mT
        bias = P.get(f"{own}{name}_bias")
        return h if bias is None else h + bias.unsqueeze(-2)

    S, C, n = x.shape
    q, k, v = (
        linear(name, x).reshape(S, case.sequences, case.tokens, heads, n // heads).transpose(2, 3)
        for name in ("query", "key", "value")
    )
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return linear("output", y.transpose(2, 3).reshape(S, C, n))


def run(case: Case, P: dict, x, g) -> dict[str, np.ndarray]:
    """Return every quantity of all samples by autograd: norms, not their logarithms.

    `P` are tensors with an axis of samples, x is (S, C, n_0) and g, which is ∂L/∂X_D, (S, C, n_D).
    """
    import torch

    clipped: dict[int, np.ndarray] = {}

    def clip(l: int):
        def hook(G):
            if case.clip is None:
                return G
            kind, bound = case.clip
            if kind == "value":
                clipped[l] = (G.abs() > bound).double().mean((1, 2)).numpy()
                return G.clamp(-bound, bound)
            norm = torch.linalg.matrix_norm(G)
            clipped[l] = (norm > bound).double().numpy()
            return G / torch.clamp(norm / bound, min=1.0)[:, None, None]

        return hook

    matrices = {name: W.requires_grad_() for name, W in P.items() if _is_matrix(name, W)}
    P = P | matrices
    states, saturation = [x.clone().requires_grad_()], []
    for l, element in enumerate(case.layers, start=1):
        below = states[-1].view_as(states[-1])
        below.register_hook(clip(l - 1))
        seen: list = []
        states.append(applied([element], below, P, "", case, seen, l - 1))
        saturation.append(_saturation(seen, len(x)))
    by_state = torch.autograd.grad(
        (states[-1] * g).sum(), [*states, *matrices.values()], allow_unused=True
    )
    G, by_matrix = by_state[: len(states)], by_state[len(states) :]
    squares: dict[int, list] = {}
    for (name, W), dW in zip(matrices.items(), by_matrix, strict=True):
        squares.setdefault(int(name.split(".")[0]) + 1, []).append(
            (dW.square().sum((1, 2)), W.detach().square().sum((1, 2)))
        )
    pairs = {
        l: [torch.stack(parts).sum(0) for parts in zip(*found, strict=True)]
        for l, found in squares.items()
    }
    none = np.zeros(len(x))
    return {
        "gradient": _stack([torch.linalg.matrix_norm(a) for a in G]),
        "activation": _stack([a.detach().square().mean((1, 2)).sqrt() for a in states]),
        "weight_gradient": _stack([g2.sqrt() for g2, _ in pairs.values()], len(x)),
        "update_ratio": _stack([(g2 / w2).sqrt() for g2, w2 in pairs.values()], len(x)),
        "weight_layers": np.array(list(pairs), dtype=int),
        "saturation": _stack(saturation),
        "clipped": np.stack([clipped.get(l, none) for l in range(len(states))], axis=1),
        "activation_correlation": _stack([_correlation(a.detach()) for a in states]),
        "gradient_correlation": _stack([_correlation(a) for a in G]),
    }


def _is_matrix(name: str, W) -> bool:
    """Whether a tensor with an axis of samples is a weight matrix."""
    return W.ndim == 3 and not name.endswith("mask")


def _saturation(seen: list, samples: int):
    """Return the fraction of the arguments of activations at which they are flat."""
    import torch

    flat = []
    for name, h in seen:
        flat.append((slope(name, h) < 0.05 * steepest(name)).double().reshape(samples, -1))
    return torch.cat(flat, dim=1).mean(1) if flat else torch.zeros(samples, dtype=torch.float64)


def _correlation(a):
    """Return the mean cosine of the pairs of rows that are not zero."""
    import torch

    results = []
    for rows in a:
        rows = rows[rows.norm(dim=1) > 0]
        i, j = torch.triu_indices(len(rows), len(rows), 1)
        cosines = torch.nn.functional.cosine_similarity(rows[i], rows[j], dim=1, eps=0.0)
        results.append(cosines.mean() if len(i) else torch.zeros((), dtype=a.dtype))
    return torch.stack(results)


def _stack(columns: list, samples: int = 1) -> np.ndarray:
    """Return (samples, columns)."""
    if not columns:
        return np.empty((samples, 0))
    return np.stack([column.detach().numpy() for column in columns], axis=1)


def random_case(rng: np.random.Generator) -> Case:
    """Draw a network with random nesting."""
    tokens, sequences = int(rng.choice([1, 2, 3, 5])), int(rng.choice([1, 1, 2, 3]))
    width = int(rng.choice([2, 4, 6, 8]))
    layers, n = [], width
    for _ in range(rng.integers(1, 6)):
        element, n = _random_element(rng, n, tokens * sequences, level=0)
        layers.append(element)
    clips = [None, None, None, ("norm", 0.5), ("value", 0.1)]
    clip = clips[rng.integers(len(clips))]
    return Case(width=width, layers=layers, tokens=tokens, sequences=sequences, clip=clip)


def _random_element(rng: np.random.Generator, n: int, columns: int, level: int):
    """Return an element that takes n units, and the units that it gives."""
    kinds = ["linear", "phi", "norm", "dropout", "attention"]
    kind = rng.choice(kinds + ["skip", "gate", "group"] * (2 if level < 2 else 0))
    init, gain = "lecun_normal", float(rng.uniform(0.7, 1.5))
    bias_std = float(rng.choice([0.0, 0.3]))
    if kind == "linear":
        width = None if level else [None, 2, 4, 6][rng.integers(4)]
        return ("linear", width, init, gain, bias_std), width or n
    if kind == "norm":
        kinds = ["layer", "rms"] if columns < 3 else ["layer", "rms", "batch"]
        return ("norm", str(rng.choice(kinds)), float(rng.choice([1e-5, 0.1]))), n
    if kind == "dropout":
        return ("dropout", float(rng.uniform(0.05, 0.5))), n
    if kind == "attention":
        heads = int(rng.choice([h for h in (1, 2, 4) if n % h == 0]))
        return ("attention", heads, bool(rng.integers(2)), init, gain, bias_std), n
    if kind in ("skip", "gate", "group"):
        inner = [_random_element(rng, n, columns, level + 1)[0] for _ in range(rng.integers(1, 4))]
        if kind == "skip":
            return ("skip", inner, float(rng.uniform(0.5, 1.2)), float(rng.uniform(-1, 1))), n
        if kind == "gate":
            return ("gate", inner, float(rng.uniform(-2, 1)), init, gain), n
        return inner, n
    return (str(rng.choice(ACTIVATIONS)),), n
