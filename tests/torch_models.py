"""Functions that make PyTorch modules, which workers import by name."""

from __future__ import annotations

import torch
from torch import nn


def tanh_layers(layers=4, width=12):
    pairs = [(nn.Linear(width, width), nn.Tanh()) for _ in range(layers)]
    return nn.Sequential(*(part for pair in pairs for part in pair))


def convolutions(layers=2):
    pairs = [(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(inplace=True)) for _ in range(layers)]
    return nn.Sequential(*(part for pair in pairs for part in pair), nn.Flatten(), nn.Linear(32, 3))


def encoder():
    return nn.Sequential(
        nn.TransformerEncoderLayer(
            8, 2, 16, batch_first=True, norm_first=True, dropout=0.0, activation="gelu"
        ),
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0, bias=False),
        nn.Linear(8, 5),
        nn.LayerNorm(5),
    )


def doubling():
    """x ↦ 4 x in two places, with the same weights in every sample."""
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    for part in module:
        with torch.no_grad():
            part.weight.copy_(2 * torch.eye(3))
    return module


class Twice(nn.Module):
    """One layer called twice, one not at all, and a pair of outputs."""

    def __init__(self):
        super().__init__()
        self.layer, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)
        self.recurrent = nn.GRU(4, 4, batch_first=True)

    def forward(self, x):
        y, _ = self.recurrent(self.layer(self.layer(x))[:, None])
        return y[:, 0]


class Frozen(nn.Module):
    """A frozen layer and a trained one, an output that is not used, and a pair of outputs."""

    def __init__(self, way="pair"):
        super().__init__()
        self.first, self.last, self.unused = (nn.Linear(4, 4) for _ in range(3))
        self.first.requires_grad_(False)
        self.way = way

    def forward(self, x):
        h = self.first(x)
        self.unused(h)
        y = self.last(h)
        return {"pair": (y, None), "detached": y.detach(), "class": y.argmax(1), "dict": {"y": y}}[
            self.way
        ]


def large_inputs(count):
    return 1e3 + torch.rand(count, 3)
