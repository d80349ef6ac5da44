"""How the networks of the claims on learning are trained: data, networks, numbers, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

import vgsim
from claims_measured.claim import MOSTLY, Case
from claims_measured.measurement import LEVEL, SEED, Measurement, case, joined, series

WIDTH, STEPS, EVERY = 32, 600, 10  # units per layer; updates; updates between recorded steps
SHARE = 0.04  # of the networks of a measurement: 80
RATE = {"sgd": 0.1, "momentum": 0.1, "adam": 0.01}
CURED = (10, 20)  # depths of the figures of cures


@lru_cache(maxsize=1)
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits: 32 principal components of mean square 1, and the classes."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.decomposition import PCA
    except ImportError:
        remedy = "pip install 'vgsim[train]'"
        raise ImportError(f"the claims on learning need scikit-learn: {remedy}") from None
    data: Any = load_digits(return_X_y=True)
    X, y = data
    X = PCA(WIDTH, svd_solver="full").fit_transform(X)
    return X / np.sqrt(np.mean(X**2)), y


def stack(depth: int, activation: Any, **fields: Any) -> vgsim.Sequential:
    """Return an MLP of the digits with a linear read-out of ten units."""
    hidden = vgsim.MLP(depth, WIDTH, activation=activation, **fields)
    return vgsim.Sequential(WIDTH, [*hidden.layers, vgsim.Linear(10)])


def trained(m: Measurement, network: Any, optimizer: str = "sgd", clip: Any = None) -> Any:
    """Return the training of a network by the digits; claims share it."""
    known = _trained.cache_info().misses
    found = _trained(network, m.count(SHARE), optimizer, clip)
    m.networks += len(found) * (_trained.cache_info().misses - known)
    return found


@cache
def _trained(network: Any, n: int, optimizer: Any, clip: Any) -> vgsim.Training:
    """Train n networks by the digits."""
    return learned(network, n, digits(), optimizer=optimizer, clip=clip)


def learned(network: Any, n: int, data: Any, **options: Any) -> vgsim.Training:
    """Train n networks, and record the loss, the movement of the matrices and R at the input."""
    rate = RATE[options.setdefault("optimizer", "sgd")]
    how: dict[str, Any] = {"steps": STEPS, "every": EVERY, "learning_rate": rate, "seed": SEED}
    how |= {"record": ("loss", "gradient", "movement"), "layers": [0]}
    found: vgsim.Training = vgsim.train(network, n, data=data, **how | options)
    return found


def chance(
    setting: str,
    training: vgsim.Training,
    event: Any,
    region: tuple[float | None, float | None] = MOSTLY,
    typical: bool = True,
) -> Case:
    """Return a case: the probability of an event within the training."""
    p = training.probability(event, confidence_level=LEVEL)
    return case(setting, f"P({event})", p, region, typical)


def by_step(label: str, training: vgsim.Training, level: float | None = None) -> dict[str, Any]:
    """Return a curve of a figure: the probability of a loss below a level against the step."""
    steps = training.steps[training.steps >= EVERY]
    time = training.time_to_loss(level, confidence_level=LEVEL)
    return series(label, steps, time.probability(steps))


def by_depth(
    m: Measurement,
    label: str,
    network: Callable[[int], Any],
    event: Any = "learned",
    depths: Sequence[int] = CURED,
    optimizer: str = "sgd",
) -> dict[str, Any]:
    """Return a curve of a figure: the probability of an event against the depth."""
    if m.quick:
        depths = [depth for depth in depths if depth <= 10]
    found = [trained(m, network(depth), optimizer) for depth in depths]
    return series(
        label, depths, joined([each.probability(event, confidence_level=LEVEL) for each in found])
    )
