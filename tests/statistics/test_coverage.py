"""Coverage of the intervals where the true value is known, in 2,000 experiments each."""

from functools import cache

import numpy as np
import pytest

import exact_relu
from vgsim._statistics import binomial as probabilities
from vgsim._statistics.binomial import confidence_sequence
from vgsim._statistics.bootstrap import bootstrap
from vgsim._statistics.quantiles import quantile_interval
from vgsim._studies.precision import Precision

REPETITIONS = 2000

binomial = cache(probabilities.binomial)  # the same few counts occur many times


@pytest.fixture(scope="module")
def experiments():
    """R of 2,000 experiments with 200 He ReLU networks of width 32 and depth 100."""
    return exact_relu.inverse(32, 100)(np.random.default_rng(1).random((REPETITIONS, 200)))


@pytest.fixture
def fewer_resamples(monkeypatch):
    """Use fewer resamples: their noise is small compared with the width of the interval."""
    monkeypatch.setattr("vgsim._statistics.bootstrap.RESAMPLES", 599)


def coverage(truth, intervals):
    """Return the fraction of intervals that contain the truth, in per cent."""
    return 100 * np.mean([i.low <= truth <= i.high for i in intervals])


@pytest.mark.parametrize(("n", "p"), [(1000, 0.5), (1000, 0.1), (1000, 0.01), (10**6, 1e-4)])
def test_binomial(n, p):
    drawn = np.random.default_rng(2).binomial(n, p, REPETITIONS).tolist()
    assert 93.5 <= coverage(p, [binomial(k, n) for k in drawn]) <= 98.5
    assert coverage(p, [binomial(k, n, method="exact") for k in drawn]) >= 94


@pytest.mark.parametrize("x", exact_relu.BELOW)
def test_probability_of_a_relu_network(experiments, x):
    events = np.count_nonzero(experiments < x, axis=1).tolist()
    truth = exact_relu.BELOW[x]
    assert 93.5 <= coverage(truth, [binomial(k, 200) for k in events]) <= 98.5
    assert coverage(truth, [binomial(k, 200, method="exact") for k in events]) >= 94


@pytest.mark.parametrize(("x", "q"), exact_relu.BELOW.items())
def test_quantile_of_a_relu_network(experiments, x, q):
    assert 93.5 <= coverage(x, [quantile_interval(row, q) for row in experiments]) <= 98.5


def test_quantile_among_the_dead():
    """Samples of which 30 % are −inf, the others uniform in (0, 1)."""
    rng = np.random.default_rng(3)
    values = np.where(rng.random((REPETITIONS, 300)) < 0.3, -np.inf, rng.random((REPETITIONS, 300)))
    dead = [quantile_interval(row, 0.2) for row in values]
    assert coverage(-np.inf, dead) >= 95
    assert 93.5 <= coverage(2 / 7, [quantile_interval(row, 0.5) for row in values]) <= 98.5


def test_mean_and_variance_of_a_relu_network(experiments, fewer_resamples):
    found = [
        bootstrap(lambda m: np.stack([m.mean, m.variance], axis=-1)[..., 0, :], [row])
        for row in experiments[:1000]
    ]
    low, high = np.array([i.low for i in found]), np.array([i.high for i in found])
    truth = exact_relu.MEAN, exact_relu.VARIANCE
    covered = 100 * np.mean((low <= truth) & (truth <= high), axis=0)
    assert covered.min() >= 93
    assert covered.max() <= 97


@pytest.mark.parametrize("paired", [False, True])
def test_slope(paired, fewer_resamples):
    """Least squares on means that are linear in the depth, of independent or dependent columns."""
    depths = np.arange(1.0, 6.0)
    weights = (depths - 3) / 10
    rng = np.random.default_rng(4)
    if paired:
        columns = rng.normal(-0.1, 1, (600, 5, 100)).cumsum(axis=1)
    else:
        columns = rng.normal(-0.1 * depths[:, None], depths[:, None] ** 0.5, (600, 5, 100))
    found = [bootstrap(lambda m: m.mean @ weights, c, paired=paired) for c in columns]
    assert 93 <= coverage(-0.1, found) <= 97.5


@pytest.mark.parametrize("p", [0.5, 0.1, 0.01])
def test_confidence_sequence_hardly_ever_misses(p):
    """The interval is checked after every 100 samples, up to 100,000."""
    from scipy.stats import betabinom, binom

    n = np.arange(100, 100_001, 100)
    events = np.random.default_rng(5).binomial(100, p, (REPETITIONS, n.size)).cumsum(axis=1)
    evidence = betabinom.logpmf(events, n, 0.5, 0.5) - binom.logpmf(events, n, p)
    outside = evidence >= np.log(20)
    assert 0 < 100 * outside.any(axis=1).mean() <= 5
    checked = np.concatenate([np.argwhere(outside)[:200], np.argwhere(~outside)[::20_000]])
    for row, look in checked.tolist():
        low, high = confidence_sequence(int(events[row, look]), int(n[look]))
        assert (low < p < high) != outside[row, look]


@pytest.mark.parametrize(
    ("rule", "p", "block"),
    [(Precision(0.02), 0.1, 200), (Precision(relative=0.3), 0.05, 500)],
    ids=repr,
)
def test_interval_where_a_rule_stopped(rule, p, block):
    drawn = np.random.default_rng(6).binomial(block, p, (REPETITIONS, 100)).cumsum(axis=1)
    stopped = []
    for events in drawn.tolist():
        look = next(i for i, k in enumerate(events) if rule.reached(k, (i + 1) * block))
        stopped.append(binomial(events[look], (look + 1) * block, method="anytime"))
    assert len({i.n for i in stopped}) > 3
    assert coverage(p, stopped) >= 95
