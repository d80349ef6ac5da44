"""The time to a level of the loss: of trainings with known times, and of geometric laws."""

import math

import numpy as np
import pytest

import vgsim
from known_trainings import training
from vgsim._results.training_events import smoothed

INF = math.inf


def test_first_recorded_step_below_the_level():
    loss = [[2.0, 1.0, 0.4, 0.6], [2.0, 2.0, 2.0, 0.5], [2.0, 0.4, INF, INF], [2, INF, INF, INF]]
    t = training(loss, steps=(0, 10, 20, 24))
    time = t.time_to_loss(0.5, smoothing=1)
    assert time.step.tolist() == [20, 24, 10, 24]
    assert time.censored.tolist() == [False, True, False, True]  # not below: equal
    assert (time.n, time.n_censored, time.last, time.level) == (4, 2, 24, 0.5)
    assert t.time_to_loss().level == 1.0


def test_probability_is_that_of_learned(rng):
    loss = np.exp(np.cumsum(rng.normal(-0.05, 0.2, size=(60, 30)), axis=1))
    loss[::9, 12:] = INF
    t = training(2 * loss, steps=5 * np.arange(30))
    time = t.time_to_loss(1.2)
    found = time.probability(t.steps)
    for step, estimate in zip(t.steps.tolist(), found.estimate, strict=True):
        expected = t.probability("learned", level=1.2, step=step)
        assert estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert time.probability(3).estimate == time.probability(0).estimate
    assert np.all(np.diff(found.estimate) >= 0)
    whole = time.probability()
    assert (whole.estimate, whole.low, whole.high) == (
        found.estimate[-1],
        found.low[-1],
        found.high[-1],
    )


def test_geometric_times(rng):
    """Each step a network jumps below the level with probability p: P(T <= t) = 1 - (1 - p)^t."""
    n, k, p, repeats = 150, 40, 0.05, 60
    at, shares = np.array([3, 13, 30]), np.array([0.1, 0.5])
    truth = 1 - (1 - p) ** at
    quantiles = np.ceil(np.log1p(-shares) / np.log1p(-p))
    covered = np.zeros(2)
    for _ in range(repeats):
        jump = rng.geometric(p, n)
        loss = np.where(np.arange(k) >= jump[:, np.newaxis], 0.1, 2.0)
        time = training(loss).time_to_loss(1.0, smoothing=1)
        np.testing.assert_array_equal(time.censored, jump > k - 1)
        found = time.probability(at)
        covered[0] += np.mean((found.low <= truth) & (truth <= found.high))
        found = time.quantile(shares)
        covered[1] += np.mean((found.low <= quantiles) & (quantiles <= found.high))
    assert covered[0] / repeats > 0.9
    assert covered[1] / repeats > 0.9


def test_times_of_an_autoregressive_loss(rng):
    """A stationary Gaussian process of loss: the law of its first passage by a recursion."""
    n, k, a, level = 4000, 6, 0.7, 1.0
    x = rng.normal(size=(n, k))
    for i in range(1, k):
        x[:, i] = a * x[:, i - 1] + math.sqrt(1 - a * a) * x[:, i]
    time = training(np.maximum(2 + x, 0)).time_to_loss(level, smoothing=1)
    grid = np.linspace(level - 2, 6, 4001)
    weight = grid[1] - grid[0]
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    left = [density.sum() * weight]  # P(no passage up to a step)
    move = np.exp(-((grid[:, None] - a * grid) ** 2) / (2 * (1 - a * a)))
    move /= math.sqrt(2 * math.pi * (1 - a * a))
    for _ in range(1, k):
        density = move @ density * weight
        left.append(density.sum() * weight)
    found = time.probability(np.arange(k)).estimate
    assert np.all(np.abs(found - (1 - np.array(left))) < 5 * np.sqrt(0.25 / n))


def test_quantiles_that_are_not_reached():
    time = vgsim.TimeToLoss([5, 9, 9, 9], [False, True, True, True], level=1.0)
    found = time.quantile([0.0, 0.25, 0.3])
    assert found.estimate.tolist() == [0.0, 5.0, INF]
    assert found.high[1] == INF
    assert found.low[2] <= 5
    assert repr(time) == (
        "<TimeToLoss: 1 of 4 networks below a loss of 1 by step 9; median not reached>"
    )
    assert "median not reached" in time._repr_html_()


def test_every_network_at_once_and_a_longer_training():
    time = vgsim.TimeToLoss([0, 0, 0], [False] * 3, level=1.0, last=99)
    assert time.probability(99).estimate == 1
    assert time.quantile(1).estimate == 0
    assert "median step 0" in repr(time)


def test_smoothing_delays():
    loss = np.array([[4.0, 4.0, 0.0, 0.0, 0.0]])
    t = training(loss)
    assert smoothed(loss, 2).tolist() == [[4.0, 4.0, 2.0, 0.0, 0.0]]
    assert t.time_to_loss(1.5, smoothing=1).step.tolist() == [2]
    assert t.time_to_loss(1.5, smoothing=2).step.tolist() == [3]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: vgsim.TimeToLoss([], [], level=1), ValueError, "step must be a vector of ints"),
        (lambda: vgsim.TimeToLoss([0.5], [True], level=1), ValueError, "step must be a vector of"),
        (lambda: vgsim.TimeToLoss([-1], [True], level=1), ValueError, "step must be a vector of"),
        (lambda: vgsim.TimeToLoss([1], [1], level=1), ValueError, "censored must be a vector of 1"),
        (
            lambda: vgsim.TimeToLoss([1], [True], level=-1),
            ValueError,
            "level must be a number >= 0",
        ),
        (lambda: vgsim.TimeToLoss([5], [True], level=1, last=4), ValueError, "last must be an int"),
        (
            lambda: vgsim.TimeToLoss([1], [True], level=1, confidence_level=2),
            ValueError,
            "confidence_level must be",
        ),
        (
            lambda: vgsim.TimeToLoss([1], [True], level=1).probability(2),
            ValueError,
            "step must be from 0 to 1, got 2",
        ),
        (
            lambda: vgsim.TimeToLoss([1], [True], level=1).quantile(1.5),
            ValueError,
            "q must lie between 0 and 1",
        ),
    ],
)
def test_bad_arguments(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
