"""The bootstrap against SciPy's on the raw samples, and the intervals of Samples."""

import math
import re

import numpy as np
import pytest
from scipy import stats

import vgsim
from known_runs import of_ratios, run
from vgsim._statistics.bootstrap import bootstrap
from vgsim._statistics.quantiles import quantile_interval


def mean(moments):
    return moments.mean[..., 0]


def variance(moments):
    return moments.variance[..., 0]


def skewness(moments):
    return moments.skewness[..., 0]


def kurtosis(moments):
    return moments.kurtosis[..., 0]


STATISTICS = [
    (mean, np.mean, {}),
    (variance, np.var, {"ddof": 1}),
    (skewness, stats.skew, {}),
    (kurtosis, stats.kurtosis, {}),
]


@pytest.mark.parametrize(("ours", "theirs", "options"), STATISTICS)
def test_few_samples_are_resampled_one_by_one(ours, theirs, options):
    rng = np.random.default_rng(0)
    x = 1e3 + rng.beta(2, 5, size=120)
    found = bootstrap(ours, [x], 0.9)
    expected = stats.bootstrap(
        (x,),
        lambda x, axis: theirs(x, axis=axis, **options),
        confidence_level=0.9,
        random_state=rng,
        n_resamples=9999,
    )
    limits = expected.confidence_interval
    assert found.estimate == pytest.approx(theirs(x, **options), rel=1e-9)
    noise = 0.25 * expected.standard_error
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high), abs=noise)
    assert (found.confidence_level, found.method) == (0.9, "bootstrap")


@pytest.mark.parametrize("n", [201, 1000, 12_345])
def test_many_samples_are_resampled_in_groups(n):
    """The width of the interval is that of the normal law."""
    x = np.random.default_rng(n).normal(5.0, 2.0, size=n)
    z = stats.norm.isf(0.025)
    for statistic, estimate, error in (
        (mean, x.mean(), 2 / math.sqrt(n)),
        (variance, x.var(ddof=1), 4 * math.sqrt(2 / n)),
    ):
        found = bootstrap(statistic, [x])
        assert found.estimate == pytest.approx(estimate, rel=1e-12)
        assert (found.high - found.low) / (2 * z * error) == pytest.approx(1, abs=0.2)


def test_columns_are_resampled_alone_or_by_rows():
    """If rows are resampled, the difference of a column and its copy is always 0."""
    x = np.random.default_rng(0).normal(size=500)

    def difference(moments):
        return moments.mean[..., 0] - moments.mean[..., 1]

    together = bootstrap(difference, [x, x + 1.0], paired=True)
    assert together.low == pytest.approx(-1)
    assert together.high == pytest.approx(-1)
    alone = bootstrap(difference, [x, x[:300] + 1.0])
    expected = 1.96 * math.sqrt(1 / 500 + 1 / 300)
    assert (alone.high - alone.low) / 2 == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("paired", [False, True])
def test_a_curve_of_estimates(paired):
    rng = np.random.default_rng(1)
    columns = [rng.normal(i, 1 + i, size=400) for i in range(4)]
    found = bootstrap(lambda moments: moments.mean, columns, paired=paired)
    assert found.estimate == pytest.approx([c.mean() for c in columns], rel=1e-12)
    assert found.low.shape == found.high.shape == (4,)
    assert np.all((found.low < found.estimate) & (found.estimate < found.high))


def test_same_arguments_same_bits():
    x = np.random.default_rng(2).normal(size=1000)
    assert bootstrap(mean, [x]) == bootstrap(mean, [x]) != bootstrap(mean, [x], seed=1)


def test_the_dead_count_in_no_moment():
    x = np.random.default_rng(3).normal(size=1000)
    x[::3] = -np.inf
    found = bootstrap(lambda m: np.stack([m.n, m.mean, m.variance], axis=-1)[..., 0, :], [x])
    living = x[x > -np.inf]
    assert found.estimate == pytest.approx([living.size, living.mean(), living.var(ddof=1)])


@pytest.mark.parametrize("n", [2, 3, 50, 1000])
def test_equal_samples_leave_no_doubt(n):
    for statistic, value in ((mean, 0.1), (variance, 0.0), (skewness, 0.0), (kurtosis, 0.0)):
        found = bootstrap(statistic, [np.full(n, 0.1)])
        assert (found.low, found.estimate, found.high) == pytest.approx((value,) * 3, abs=1e-15)


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 2.0, -math.inf], [0.0, 0.0, 1.0]])
def test_very_few_samples_give_numbers(values):
    for statistic in (mean, variance, skewness, kurtosis):
        found = bootstrap(statistic, [values])
        assert math.isfinite(found.low)
        assert math.isfinite(found.high)


def test_bootstrap_refuses():
    for column in ([1.0], [1.0, -math.inf], [[1.0, 2.0]], []):
        with pytest.raises(ValueError, match="columns must have two or more finite samples each"):
            bootstrap(mean, [column])
    message = re.escape("columns in pairs must have equal lengths, got [2, 3]")
    with pytest.raises(ValueError, match=message):
        bootstrap(mean, [[1.0, 2.0], [1.0, 2.0, 3.0]], paired=True)
    with pytest.raises(ValueError, match="confidence_level must be"):
        bootstrap(mean, [[1.0, 2.0]], 1.0)


# Samples


def test_samples_have_them():
    s = run(range(50), dead=[2, 5])
    for layer in (0, 3):
        living = np.delete(s.log10_ratio[:, s.column(layer)], [2, 5])
        assert s.mean_interval(layer, 0.9) == bootstrap(mean, [living], 0.9)
        assert s.variance_interval(layer, 0.9) == bootstrap(variance, [living], 0.9)
        assert s.mean_interval(layer).estimate == pytest.approx(s.mean(layer))
        assert s.variance_interval(layer).estimate == pytest.approx(s.std(layer) ** 2)
        ratio = s.log10_ratio[:, s.column(layer)]
        assert s.quantile_interval(0.3, layer, 0.9) == quantile_interval(ratio, 0.3, 0.9)
        assert s.quantile_interval(0.01, layer).estimate == -math.inf


def test_samples_refuse():
    s = of_ratios([-math.inf, 1.0])
    for name in ("mean_interval", "variance_interval"):
        message = f"{name} needs 2 or more samples that are not dead at layer 0, got 1 of 2"
        with pytest.raises(ValueError, match=message):
            getattr(s, name)()
        with pytest.raises(ValueError, match=r"the recorded layers, \[0\], got 3; pass layer=0"):
            getattr(s, name)(3)
        with pytest.raises(ValueError, match="confidence_level must be a number strictly between"):
            getattr(of_ratios([1.0, 2.0]), name)(confidence_level=2)
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        s.quantile_interval(-1)
    assert not hasattr(run(record=("activation",)), "gradient")
    with pytest.raises(AttributeError, match="it needs 'gradient' in simulate's record"):
        run(record=("activation",)).mean_interval()


def test_intervals_of_a_simulation():
    """The moments of a linear network are digamma and trigamma functions."""
    net = vgsim.MLP(depth=20, width=32, activation="linear", init="lecun_normal")
    s = vgsim.simulate(net, 4000, layers=(0,))
    # ψ(16) − ln 16 and ψ₁(16), times 20, of the natural log of the squared ratio
    from scipy.special import digamma, polygamma

    scale = 2 * math.log(10)
    m, v = s.mean_interval(confidence_level=0.999), s.variance_interval(confidence_level=0.999)
    assert m.low < 20 * (digamma(16) - math.log(16)) / scale < m.high
    assert v.low < 20 * polygamma(1, 16) / scale**2 < v.high
