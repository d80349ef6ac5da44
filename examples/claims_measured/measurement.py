"""How the cases and curves of a claim are measured: numbers of networks, intervals, theory."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import stats

import vgsim
from claims_measured.claim import Case

LEVEL = 0.99  # of all intervals
SEED = 0
DEPTHS = (10, 30, 100, 300, 1000)


def rounded(value: float) -> float | None:
    """Return six significant digits, or None for what JSON cannot hold."""
    return float(f"{value:.6g}") + 0.0 if math.isfinite(value) else None


def case(
    setting: str,
    quantity: str,
    estimate: Any,
    region: tuple[float | None, float | None],
    typical: bool = True,
) -> Case:
    """Return a case from whatever has .estimate, .low and .high."""
    middle, low, high = (rounded(x) for x in (estimate.estimate, estimate.low, estimate.high))
    return Case(setting, quantity, middle, low, high, region[0], region[1], typical)


def difference(a: Any, b: Any) -> vgsim.Estimate:
    """Return the estimate of a − b of two independent estimates (Newcombe's method 10, MOVER)."""
    below = math.hypot(a.estimate - a.low, b.high - b.estimate)
    above = math.hypot(a.high - a.estimate, b.estimate - b.low)
    d = a.estimate - b.estimate
    return vgsim.Estimate(d, d - below, d + above, LEVEL, "MOVER")


def median_of(values: np.ndarray) -> vgsim.Estimate:
    """Return the median of independent values, with order statistics as limits."""
    low, high = stats.quantile_test(values, p=0.5).confidence_interval(LEVEL)
    return vgsim.Estimate(float(np.median(values)), float(low), float(high), LEVEL, "binomial")


def series(label: str, x: Iterable[float], estimate: Any, theory: Any = None) -> dict[str, Any]:
    """Return a curve of a figure as JSON types."""
    parts = {
        name: [rounded(value) for value in np.asarray(getattr(estimate, name), float)]
        for name in ("estimate", "low", "high")
    }
    return {"label": label, "x": [float(at) for at in x], **parts, "theory": theory}


def joined(estimates: Sequence[Any]) -> vgsim.Estimate:
    """Return estimates along a curve as one estimate of arrays."""
    middle, low, high = np.array([[e.estimate, e.low, e.high] for e in estimates]).T
    return vgsim.Estimate(middle, low, high, LEVEL, "pointwise")


def constant(values: np.ndarray) -> vgsim.Estimate:
    """Return known values as an estimate without uncertainty."""
    return vgsim.Estimate(values, values, values, LEVEL, "exact")


class Measurement:
    """Simulates the networks of the claims: 2,000 of each, or 200 in a quick run."""

    def __init__(self, quick: bool = False) -> None:
        self.quick = quick
        self.networks = 0  # simulated so far

    def count(self, share: float) -> int:
        """Return the number of networks: at least 80, with which 0 events mean P < 0.1."""
        return max(80, round((200 if self.quick else 2000) * share))

    def samples(self, network: Any, share: float = 1.0, **options: Any) -> vgsim.Samples:
        """Simulate a network; `share` reduces the number of samples of an expensive one."""
        n = self.count(share)
        self.networks += n
        return vgsim.simulate(network, n, seed=SEED, **{"layers": [0], **options})

    def chance(
        self,
        setting: str,
        network: Any,
        event: Any,
        region: tuple[float | None, float | None],
        typical: bool = True,
        dtype: str | None = None,
        **options: Any,
    ) -> Case:
        """Return a case: the probability of an event at the input."""
        p = self.samples(network, **options).probability(event, dtype=dtype, confidence_level=LEVEL)
        return case(setting, f"P({event})" + f" in {dtype}" * bool(dtype), p, region, typical)

    def median(self, network: Any, **options: Any) -> vgsim.Estimate:
        """Return the median of R at the input."""
        return self.samples(network, **options).quantile_interval(0.5, confidence_level=LEVEL)

    def depths(self, network: Any, depths: Sequence[int], share: float, **options: Any) -> Any:
        """Return the depth curve of a network; a quick run leaves out the greater depths."""
        if self.quick:
            depths = [depth for depth in depths if depth <= 100]
        n = self.count(share)
        self.networks += n * len(depths)
        return vgsim.depth_curve(network, depths, n, seed=SEED, **options)

    def probabilities(
        self,
        label: str,
        network: Any,
        event: Any = "vanishing",
        depths: Sequence[int] = DEPTHS,
        share: float = 1.0,
        with_theory: bool = True,
        **options: Any,
    ) -> dict[str, Any]:
        """Return a curve of a figure: the probability of an event against the depth."""
        curve = self.depths(network, depths, share, **options)
        found = curve.probability(event, confidence_level=LEVEL)
        return series(label, curve.depths, found, theory(curve, event) if with_theory else None)

    def medians(
        self,
        label: str,
        network: Any,
        depths: Sequence[int] = DEPTHS,
        share: float = 0.5,
        **options: Any,
    ) -> dict[str, Any]:
        """Return a curve of a figure: the median of R against the depth."""
        curve = self.depths(network, depths, share, **options)
        return series(label, curve.depths, curve.quantile(0.5, LEVEL))


def theory(curve: vgsim.DepthCurve, event: Any) -> list[float | None] | None:
    """Return the theoretical probabilities of a depth curve, None if there are none."""
    rows = csv.DictReader(curve.table("csv", event=event).splitlines())
    found = [rounded(float(row.get(f"{event}_theory") or "nan")) for row in rows]
    return found if any(value is not None for value in found) else None
