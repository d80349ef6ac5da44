"""Goodness of fit of a log-normal law, and of the exact law, to the gradient norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import DECADE
from vgsim._display import Record, block, table
from vgsim._statistics.bootstrap import bootstrap
from vgsim._statistics.estimate import Estimate

Floats = NDArray[np.float64]
NULL_SAMPLES = 9999
NULL_SIZE = 100
MOMENTS = ("mean", "variance", "skewness", "kurtosis")
TESTS = {"Kolmogorov-Smirnov": "ks", "Anderson-Darling": "anderson_darling"}
NODES = 257  # points at which an exact law is computed; its logarithm is interpolated


class Law(Protocol):
    """A fully specified law of X = ln(‖G_l‖²/‖G_D‖²), with an atom at −inf."""

    @property
    def dead_probability(self) -> float:
        """The probability of X = −inf."""

    def cdf(self, x: Any) -> Any:
        """Return the probability of X <= x."""

    def sf(self, x: Any) -> Any:
        """Return the probability of X > x."""


@dataclass(frozen=True, repr=False)
class GoodnessOfFit(Record):
    """A test of whether samples come from a law.

    Attributes
    ----------
    distance : float
        Distance between the empirical distribution function and that of the law: the largest
        difference D (Kolmogorov–Smirnov) or the weighted mean square A² (Anderson–Darling).
    p_value : float
        The probability of at least this distance if the law holds.

    Examples
    --------
    >>> from vgsim._statistics.lognormal_fit import GoodnessOfFit
    >>> print(GoodnessOfFit(0.0213, 0.25))
    0.0213, p = 0.25
    """

    distance: float
    p_value: float

    def __str__(self) -> str:
        return f"{self.distance:.4g}, p = {self.p_value:.3g}"


@dataclass(frozen=True)
class ExactFit:
    """The two tests against the exact law, which has no estimated parameters.

    Attributes
    ----------
    ks, anderson_darling : GoodnessOfFit

    Examples
    --------
    >>> from vgsim._statistics.lognormal_fit import ExactFit, GoodnessOfFit
    >>> ExactFit(GoodnessOfFit(0.02, 0.8), GoodnessOfFit(0.4, 0.9)).ks.p_value
    0.8
    """

    ks: GoodnessOfFit
    anderson_darling: GoodnessOfFit


@dataclass(frozen=True, repr=False)
class LogNormalFit:
    """Comparison of the law of the gradient norm with a log-normal law; prints as a report.

    Returned by :meth:`Samples.lognormal_fit`. All fields describe X = ln(‖G_l‖²/‖G_D‖²) = 2 ln 10 ·
    R_l, the natural logarithm of the squared ratio, over the samples that are not dead. If the norm
    is log-normal, X is normal.

    Attributes
    ----------
    mean, variance, skewness, kurtosis : Estimate
        Moments of X with intervals of SciPy's bootstrap (BCa). The kurtosis is the excess kurtosis,
        0 for a normal law.
    n : int
        Number of samples that are not dead.
    n_dead : int
        Number of dead samples, which are left out.
    ks, anderson_darling : GoodnessOfFit
        Tests of normality of X with mean and variance estimated from the same samples: those of
        Lilliefors, and of Anderson and Darling (Stephens's case 3). The null law of the distances
        depends on n only. It comes from 9,999 simulated normal data sets of size n; above n = 100,
        they have size 100 and Stephens's factors account for n. So a p-value is never below 1e-4.
    exact : ExactFit or None
        The same tests against the exact law of X given that the sample is not dead, if
        ``vgsim.theory.exact_law`` has it and the loss is linear and the batch size 1. As no
        parameter is estimated, the p-value of `ks` is Kolmogorov's; that of `anderson_darling` is
        simulated.

    References
    ----------
    H. W. Lilliefors, J. Am. Stat. Assoc. 62 (1967) 399; M. A. Stephens, J. Am. Stat. Assoc. 69
    (1974) 730.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=10, width=64, activation="linear", init="lecun_normal")
    >>> fit = vgsim.simulate(net, 1000).lognormal_fit()
    >>> fit.n, fit.mean.low < 10 * -0.01571 < fit.mean.high
    (1000, True)
    """

    mean: Estimate[float]
    variance: Estimate[float]
    skewness: Estimate[float]
    kurtosis: Estimate[float]
    n: int
    n_dead: int
    ks: GoodnessOfFit
    anderson_darling: GoodnessOfFit
    exact: ExactFit | None

    def __str__(self) -> str:
        dead = f", {self.n_dead:,} dead left out" if self.n_dead else ""
        lines = [f"ln(|G_l|^2 / |G_D|^2) of {self.n:,} networks{dead}", ""]
        for name in MOMENTS:
            lines.append(f"{name:20}{getattr(self, name)}")
        lines += ["", f"{'':20}{'log-normal':28}{'exact law' if self.exact else ''}".rstrip()]
        for name, test in TESTS.items():
            exact = getattr(self.exact, test) if self.exact else ""
            lines.append(f"{name:20}{getattr(self, test)!s:28}{exact!s}".rstrip())
        return "\n".join(lines)

    def __repr__(self) -> str:
        moments = ", ".join(f"{name} {getattr(self, name)._shown()}" for name in MOMENTS)
        tests = ", ".join(f"{getattr(self, test).p_value:.3g}" for test in TESTS.values())
        return (
            f"<LogNormalFit: {self.n} samples, {self.n_dead} dead left out, {moments}, "
            f"p-values {tests}>"
        )

    def _repr_html_(self) -> str:
        dead = f", {self.n_dead:,} dead left out" if self.n_dead else ""
        caption = f"X = ln(‖G_l‖²/‖G_D‖²) of {self.n:,} networks{dead}"
        level = f"{100 * self.mean.confidence_level:g} % intervals"
        moments = [(f"{name} of X", getattr(self, name)._shown()) for name in MOMENTS]
        laws = {"log-normal law": self} | ({"exact law": self.exact} if self.exact else {})
        tests = [
            (name, *(str(getattr(law, test)) for law in laws.values()))
            for name, test in TESTS.items()
        ]
        return block(
            table(("", level), moments, caption, words=2),
            table(("test", *laws), tests, words=1 + len(laws)),
        )


def fit(
    log10_ratio: Floats, n_dead: int, confidence_level: float = 0.95, law: Law | None = None
) -> LogNormalFit:
    """Compare the law of finite samples of R with a normal law, and with `law` if given.

    Parameters
    ----------
    log10_ratio : float64 array, shape (n,)
        R of the samples that are not dead.
    n_dead : int
        Number of dead samples.
    confidence_level : float, default 0.95
    law : Law, optional
        The law of 2 ln(10) R.

    Returns
    -------
    LogNormalFit

    Raises
    ------
    ValueError
        If all samples are equal, or the level is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._statistics.lognormal_fit import fit
    >>> R = np.random.default_rng(0).normal(-3, 2, size=500)
    >>> print(fit(R, 0))
    ln(|G_l|^2 / |G_D|^2) of 500 networks
    <BLANKLINE>
    mean                -14.06 (95 % interval -14.9 to -13.2)
    variance            87 (95 % interval 77 to 100)
    skewness            -0.16 (95 % interval -0.5 to 0.1)
    kurtosis            0.46 (95 % interval -0.1 to 1.3)
    <BLANKLINE>
                        log-normal
    Kolmogorov-Smirnov  0.02994, p = 0.339
    Anderson-Darling    0.4446, p = 0.286
    """
    from scipy.special import log_ndtr

    x = np.sort(DECADE * log10_ratio)
    if x[0] == x[-1]:
        raise ValueError(f"lognormal_fit needs samples that differ, got {x.size} equal samples")
    found = bootstrap(
        lambda m: np.stack([m.mean, m.variance, m.skewness, m.kurtosis], axis=-1)[..., 0, :],
        [DECADE * log10_ratio],
        confidence_level,
    )
    mean, variance, skewness, kurtosis = (
        Estimate(estimate, low, high, confidence_level, found.method)
        for estimate, low, high in np.transpose([found.estimate, found.low, found.high]).tolist()
    )
    z = (x - x.mean()) / x.std(ddof=1)
    normal = _tests(log_ndtr(z), log_ndtr(-z), estimated=True)
    exact = None if law is None else ExactFit(*_tests(*_log_tails(law, x), estimated=False))
    return LogNormalFit(mean, variance, skewness, kurtosis, x.size, n_dead, *normal, exact)


def _log_tails(law: Law, x: Floats) -> tuple[Floats, Floats]:
    """Return ln P(X <= x) and ln P(X > x), given X > −inf, at increasing x."""
    from scipy.interpolate import CubicSpline

    grid = np.linspace(x[0], x[-1], NODES)
    tails = np.stack([law.cdf(grid) - law.dead_probability, law.sf(grid)])
    log_tails = np.log(tails.clip(min=np.finfo(float).tiny)) - math.log1p(-law.dead_probability)
    log_cdf, log_sf = np.minimum(CubicSpline(grid, log_tails, axis=1)(x), 0.0)
    return log_cdf, log_sf


def _tests(log_cdf: Floats, log_sf: Floats, estimated: bool) -> tuple[GoodnessOfFit, GoodnessOfFit]:
    """Return both tests from ln cdf and ln sf of the law at the ordered samples."""
    n = log_cdf.size
    ks, anderson_darling = (float(distance) for distance in _distances(log_cdf, log_sf))
    null = _null(min(n, NULL_SIZE), estimated)
    if estimated:
        p_ks = _fraction_beyond(null[0], ks * _ks_factor(n))
        p_ad = _fraction_beyond(null[1], anderson_darling * _ad_factor(n))
    else:
        from scipy.stats import kstwo

        p_ks = float(kstwo.sf(ks, n))
        p_ad = _fraction_beyond(null[1], anderson_darling)
    return GoodnessOfFit(ks, p_ks), GoodnessOfFit(anderson_darling, p_ad)


def _distances(log_cdf: Floats, log_sf: Floats) -> tuple[Floats, Floats]:
    """Return the Kolmogorov–Smirnov distance and A² of ordered samples, along the last axis."""
    n = log_cdf.shape[-1]
    rank = np.arange(1, n + 1)
    cdf = np.exp(log_cdf)
    ks = np.maximum(rank / n - cdf, cdf - (rank - 1) / n).max(axis=-1)
    tails = (log_cdf + log_sf[..., ::-1]) @ (2 * rank - 1) / n
    return ks, -n - tails


@lru_cache(maxsize=8)
def _null(n: int, estimated: bool) -> tuple[Floats, Floats]:
    """Return both distances, sorted, of simulated normal data sets, scaled to size n."""
    from scipy.special import log_ndtr

    z = np.random.default_rng(0).standard_normal((NULL_SAMPLES, n))
    z.sort(axis=1)
    if estimated:
        z -= z.mean(axis=1, keepdims=True)
        z /= np.sqrt((z**2).sum(axis=1, keepdims=True) / (n - 1))
    ks, anderson_darling = _distances(log_ndtr(z), log_ndtr(-z))
    if estimated:
        ks, anderson_darling = ks * _ks_factor(n), anderson_darling * _ad_factor(n)
    return np.sort(ks), np.sort(anderson_darling)


def _ks_factor(n: int) -> float:
    return math.sqrt(n) - 0.01 + 0.85 / math.sqrt(n)


def _ad_factor(n: int) -> float:
    return 1 + 0.75 / n + 2.25 / n**2


def _fraction_beyond(null: Floats, distance: float) -> float:
    """Return the p-value of a distance: its rank among the simulated distances and itself."""
    beyond = null.size - int(np.searchsorted(null, distance, side="left"))
    return (1 + beyond) / (1 + null.size)
