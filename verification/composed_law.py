"""Composed networks: the matrix-free engine in float32 against the dense engine in float64.

For every list of tests/composed_cases.py, the laws of all recorded quantities at five places or
fewer are compared by the Kolmogorov–Smirnov test, and the numbers of dead samples by Fisher's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats
from tests.composed_cases import LISTS, record_of

import vgsim

FALSE_ALARM = 1e-3  # probability that any list is refused although all agree
UNDERFLOWS = "sharp attention"  # more columns of G are 0 in float32: float64 for both engines
DIGITS = 4  # float32 has them: where the law has atoms, equal values stay equal
QUICK = ("pre-norm", "post-norm", "causal attention", "nested", "gates in gates", "dropout")


@dataclass(frozen=True)
class Agreement:
    """The p-values of one list, by quantity and place; `least` is the smallest one allowed."""

    name: str
    p: dict[str, float]
    least: float

    @property
    def holds(self) -> bool:
        """Whether the engines agree."""
        return min(self.p.values()) > self.least

    def __str__(self) -> str:
        worst = min(self.p, key=self.p.__getitem__)
        verdict = "" if self.holds else "   FAILS"
        return (
            f"{self.name:34} {len(self.p):3} laws   smallest p {self.p[worst]:.2e} ({worst})"
            f"   all together {together(self.p):.3f}{verdict}"
        )


def comparisons(seed: int, quick: bool) -> Iterator[Agreement]:
    names = QUICK if quick else tuple(LISTS)
    size = 2000 if quick else 20_000
    gradients = []
    least = FALSE_ALARM / (50 * len(names))
    for name in names:
        p = p_values(*engines(*LISTS[name], size, seed))
        gradients.append(p["gradient 0"])
        yield Agreement(name, p, least)
    uniform = float(stats.kstest(gradients, "uniform").pvalue)
    yield Agreement("p-values of R_0 are uniform", {"gradient 0": uniform}, 1e-3)


def engines(network, choice, size: int, seed: int) -> tuple[vgsim.Samples, vgsim.Samples]:
    """Return samples of both engines."""
    D = network.depth
    own = {"layers": sorted({0, 1, D // 2, D - 1, D}), "record": record_of(network, **choice)}
    dtype = "float64" if network is LISTS[UNDERFLOWS][0] else "float32"
    free = {"engine": "matrix-free", "dtype": dtype}
    dense = {"engine": "dense", "dtype": "float64"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "rounding decides")  # narrow networks, on purpose
        return (
            vgsim.simulate(network, size, seed=seed + 21, **free, **own, **choice),
            vgsim.simulate(network, size, seed=seed + 22, **dense, **own, **choice),
        )


def p_values(a: vgsim.Samples, b: vgsim.Samples) -> dict[str, float]:
    """Return the p-value of each quantity at each place, constants left out; R_l for gradients."""
    found: dict[str, float] = {}
    for quantity in a.record:
        name = "log10_ratio" if quantity == "gradient" else quantity
        x, y = getattr(a, name), getattr(b, name)
        for column in range(x.shape[1]):
            u, v = (np.round(z[np.isfinite(z)], DIGITS) for z in (x[:, column], y[:, column]))
            if len(u) == len(v) == 0 or np.ptp(np.concatenate([u, v])) == 0:
                continue
            found[f"{quantity} {column}"] = float(stats.ks_2samp(u, v, method="asymp").pvalue)
    dead = [[s.n_dead, len(s) - s.n_dead] for s in (a, b)]
    found["dead"] = float(stats.fisher_exact(dead).pvalue)
    return found


def together(p: dict[str, float]) -> float:
    """Return a p-value of all: the smallest times their number, at most 1."""
    return min(1.0, min(p.values()) * len(p))


def picture(figure, seed: int) -> None:
    """Draw the distribution functions of R_0 of both engines for the quick lists."""
    axes = figure.subplots()
    for number, name in enumerate(QUICK):
        for samples, style in zip(engines(*LISTS[name], 5000, seed), ("-", "k:"), strict=True):
            ratio = np.sort(samples.log10_ratio[:, 0])
            label = name if style == "-" else None
            colour = {"color": f"C{number}"} if style == "-" else {}
            axes.plot(ratio, np.linspace(0, 1, len(ratio)), style, label=label, **colour)
    axes.set(xlabel="log10 ‖G_0‖/‖G_D‖", ylabel="distribution function")
    axes.set_title("lines: matrix-free; dotted: dense")
    axes.legend()
