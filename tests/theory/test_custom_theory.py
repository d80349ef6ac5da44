"""Theory of custom activations: that of the built-in ones with the same functions."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

import vgsim
from vgsim import theory


def same(a, b):
    """Assert that two results of theory have equal numbers."""
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, float):
            assert x == pytest.approx(y, rel=1e-9, nan_ok=True), field.name
        elif field.name != "activation":
            assert x == y, field.name


@pytest.mark.parametrize("name", ["tanh", "gelu", "elu", "hard_tanh", "sigmoid"])
def test_mean_field_and_moments_equal_those_of_the_built_in_activation(name):
    phi = vgsim.Activation(name)
    copy = vgsim.Activation("custom", function=phi.value, derivative=phi.derivative)
    nets = [
        vgsim.MLP(20, 512, activation=a, init="lecun_normal", gain=1.1, bias_std=0.1)
        for a in (copy, phi)
    ]
    same(*(theory.mean_field(net) for net in nets))
    same(*(theory.log_gradient_moments(net) for net in nets))


def test_a_kink_that_no_one_declared_ends_a_panel_of_the_quadrature():
    shifted = vgsim.Activation(
        "custom", function=lambda h: np.maximum(h - 0.4, 0.0), derivative=lambda h: 1.0 * (h > 0.4)
    )
    net = vgsim.MLP(5, 64, activation=shifted, init="he_normal", bias_std=1.0)
    found = theory.mean_field(net)
    q = found.q_star
    # E max(√q z − a, 0)² = (q + a²) Φ(−a/√q) − a √q Φ'(a/√q)
    x = 0.4 / np.sqrt(q)
    mean_square = (q + 0.16) * norm.sf(x) - 0.4 * np.sqrt(q) * norm.pdf(x)
    assert 2 * mean_square + 1 == pytest.approx(q, rel=1e-10)
    assert found.chi_1 == pytest.approx(2 * norm.sf(x), rel=1e-10)
