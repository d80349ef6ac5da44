"""The searches of theory are exact and few: critical lines, quantiles, moments at many places."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

import vgsim
from vgsim._networks.activations import Activation
from vgsim.theory import (
    _variance_map,
    critical_line,
    linear_law,
    log_gradient_moments,
    relu_law,
)
from vgsim.theory._fluctuations import smooth_moments
from vgsim.theory._variance_map import chi, fixed_point, surely_ordered

LINES = {  # bias_std: gain, q* and χ_∥ from a search over the gain alone, at every fixed point
    "tanh": {
        0.025: (1.0774436043073836, 0.08968566710819131, 0.856351893290611),
        0.5: (1.5496739125081673, 1.3179389989721497, 0.33289952772755804),
        1.0: (1.8555891011388919, 3.0363963946237034, 0.186370964716525),
    },
    "sigmoid": {
        0.025: (10.14933828029579, 45.62565628990041, 0.06024876298082838),
        0.5: (10.17885955104957, 46.17377347418612, 0.0595912970948068),
        1.0: (10.264992936052787, 47.80048410760896, 0.05772205950108102),
    },
    "selu": {
        0.025: (0.7850376400042095, 0.06618923127674213, 0.875213617335125),
        0.5: (1.0496373340274323, 2.5555095790155384, 0.7202783215042372),
        1.0: (1.1479172005944667, 8.399089226107172, 0.7630490073635797),
    },
    "hard_tanh": {0.5: (1.2131478471953492, 1.013379661734532, 0.2878012788224128)},
    "softplus": {0.5: (math.sqrt(2), math.inf, 1.0)},
}


@pytest.mark.parametrize("name", LINES)
def test_critical_lines_are_those_of_a_search_over_the_gain(name):
    line = critical_line(name, list(LINES[name]))
    found = np.array([line.gain, line.q_star, line.chi_parallel]).T
    np.testing.assert_allclose(found, list(LINES[name].values()), rtol=1e-10)


@pytest.mark.parametrize("name", ["tanh", "softsign", "elu"])
@pytest.mark.parametrize("bias_std", [1e-3, 0.3, 100.0])
def test_a_point_of_a_critical_line_solves_its_equations(name, bias_std):
    line, phi = critical_line(name, bias_std), Activation(name)
    q, gain = float(line.q_star), float(line.gain)

    def mean(f):
        def density(z):
            return f(math.sqrt(q) * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        near = [z for z in (1 / math.sqrt(q), 10 / math.sqrt(q)) if z < 12]
        edges = [-12, *(-z for z in reversed(near)), 0, *near, 12]
        return sum(
            integrate.quad(density, *ends, epsabs=1e-15, epsrel=1e-12, limit=500)[0]
            for ends in pairwise(edges)
        )

    assert gain**2 * mean(lambda h: float(phi.derivative(h)) ** 2) == pytest.approx(1, rel=1e-9)
    part = gain**2 * mean(lambda h: float(phi.value(h)) ** 2)
    assert part + bias_std**2 == pytest.approx(q, rel=1e-9)


def test_a_critical_line_takes_few_gaussian_means(monkeypatch):
    calls = []
    plain = _variance_map.gaussian_mean

    def counted(*arguments):
        calls.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(_variance_map, "gaussian_mean", counted)
    line = critical_line("tanh", np.linspace(0, 1, 41))
    assert line.gain.shape == (41,)
    assert len(calls) < 60 * 41  # more than 340 for each, if every gain is tried


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "silu", "sigmoid", "selu", "sine"])
@pytest.mark.parametrize("bias_std", [0.0, 0.2, 0.42, 3.0])
def test_tables_never_call_a_chaotic_gain_ordered(name, bias_std):
    phi = Activation(name)
    gains = np.geomspace(0.2, 3.0, 80) / (30.0 if name == "sine" else phi.max_derivative)
    known = surely_ordered(phi, gains, bias_std)
    rates = [chi(phi, g, fixed_point(phi, g, bias_std)) for g in gains[known].tolist()]
    assert all(rate < 1 for rate in rates)
    if bias_std > 0:
        assert known.sum() >= 5


LAWS = [
    linear_law(8, 3),
    relu_law(4, 10),
    relu_law(100, 1000),
    linear_law([8, 30, 5]),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_quantiles_of_many_probabilities_are_those_of_each(law):
    q = np.concatenate([10.0 ** -np.arange(1, 31, 3), np.linspace(0.01, 0.99, 20), [1 - 1e-12]])
    many = law.quantile(q)
    np.testing.assert_allclose(many, [law.quantile(float(p)) for p in q], rtol=1e-12, atol=1e-12)
    alive = np.isfinite(many)
    assert (many[~alive] == -np.inf).all()
    assert (q[~alive] <= law.dead_probability).all()
    x, p = many[alive], q[alive]
    lower = p < 0.5
    given = 1 - law.dead_probability
    below = law.cdf(x[lower]) - law.dead_probability
    np.testing.assert_allclose(below, p[lower] - law.dead_probability, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(law.sf(x[~lower]) / given, (1 - p[~lower]) / given, rtol=1e-9)


def test_known_quantiles():
    q = (0.001, 0.2509165275459098, 0.7507495826377295, 0.999)
    known = (-47.786032535624656, -30.255066626024835, -20.536978909536863, -3.243009527531059)
    np.testing.assert_allclose(relu_law(100, 1000).quantile(q), known, rtol=1e-12)


def test_moments_at_a_place_are_those_of_the_layers_above_in_the_steady_state():
    net = vgsim.MLP(60, 400, activation="selu", init="lecun_normal")
    below = smooth_moments(net, finite=False, first=0)[0]
    per_layer = smooth_moments(net, finite=False, first=59)[0]
    assert below == pytest.approx(60 * per_layer, rel=1e-9)  # selu begins at its fixed point
    for first in (59, 30, 0):
        found = log_gradient_moments(net, layer=first)
        assert smooth_moments(net, finite=True, first=first) == (found.mean, found.variance)
    means = [smooth_moments(net, finite=True, first=first)[0] for first in range(60)]
    steps = np.diff(means)[:-20]
    np.testing.assert_allclose(steps, steps[0], rtol=0.05)
