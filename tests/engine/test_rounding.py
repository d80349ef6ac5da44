"""A run warns where rounding decides the gradient of some samples."""

import warnings

import numpy as np
import pytest

import vgsim
from vgsim import MLP, Attention, Dropout, Linear, Norm, Residual, Sequential, Skip
from vgsim._engine import rounding
from vgsim._engine.rounding import warn_of_rounding

NARROW = {"depth": 10, "width": 4, "activation": "relu"}
MESSAGE = "rounding decides the gradient"


@pytest.mark.parametrize(
    ("network", "batch_size"),
    [
        ({"norm": "layer", "bias_std": 1e-9}, 1),
        ({"norm": "rms", "clip": vgsim.ClipValue(1.0)}, 1),
        ({"norm": "batch", "width": 2, "residual": vgsim.Residual(every=2)}, 3),
    ],
)
def test_it_warns(network, batch_size):
    with pytest.warns(UserWarning, match=MESSAGE):
        vgsim.simulate(vgsim.MLP(**{**NARROW, **network}), 1, batch_size=batch_size)


@pytest.mark.parametrize("norm", [None, "layer", "rms", "batch"])
def test_it_does_not_where_the_product_is_formed(norm):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vgsim.simulate(vgsim.MLP(**NARROW, norm=norm), 1, batch_size=3)


def test_it_warns_of_tangents():
    with pytest.warns(UserWarning, match=MESSAGE):
        vgsim.lyapunov(vgsim.MLP(**NARROW, norm="rms"), 1)


UNIT = [Linear(), Norm("rms"), "relu"]
HIGH = vgsim.ClipValue(1e6)  # it clips nothing, but every entry has to be computed
DECIDED = {  # networks, with the examples of a batch
    "biases that are nearly 0": (Sequential(4, [Linear(bias_std=1e-9), *UNIT[1:]] * 4), 1),
    "clipping by value": (Sequential(4, UNIT * 4, clip=HIGH), 1),
    "a mask, and a norm behind a skip connection": (
        Sequential(4, [Skip([Linear(), "relu", Linear()]), Norm("rms"), Dropout(0.5), "relu"] * 4),
        1,
    ),
    "a norm behind a skip connection": (
        Sequential(4, [Skip([Linear(), "relu", Linear()]), Norm("rms"), "relu"] * 4),
        1,
    ),
    "one example is open": (Sequential(2, [Linear(), Norm("batch"), "relu"] * 4, clip=HIGH), 3),
    "layers of an MLP": (MLP(4, 4, activation="relu", norm="layer", clip=HIGH), 1),
}
NOT_DECIDED = {
    "one unit is kept of those that are open": (Sequential(4, [*UNIT, Dropout(0.5)] * 6), 1),
    "one unit is kept": (Sequential(4, [Linear(), Norm("rms"), Dropout(0.7)] * 4), 1),
    "the product is formed": (Sequential(4, UNIT * 4), 1),
    "two matrices in a layer": (Sequential(4, [*UNIT, Linear(), "relu"] * 3), 1),
    "masks before the activation": (
        Sequential(4, [Linear(), Norm("rms"), Dropout(0.5), "relu"] * 4),
        1,
    ),
    "the sum is not normalised": (
        Sequential(4, [Skip([Norm("rms"), Linear(), "relu", Linear()])] * 4, clip=HIGH),
        1,
    ),
    "attention": (
        Sequential(4, [Skip([Norm("layer"), Attention(2)]), Skip([Norm("layer"), "relu"])] * 2),
        2,
    ),
    "groups of equal columns": (Sequential(2, [Linear(), Norm("batch"), "relu"] * 4), 3),
    "groups of layers": (Sequential(2, [[Linear(), Norm("batch"), "relu"]] * 4), 3),
    "biases": (MLP(4, 4, activation="relu", norm="rms", clip=HIGH, bias_std=0.3), 1),
    "gates": (MLP(4, 4, activation="relu", norm="rms", clip=HIGH, highway=vgsim.Highway()), 1),
    "skip connections around each layer": (
        MLP(4, 4, activation="relu", norm="layer", clip=HIGH, residual=Residual()),
        1,
    ),
}


def wrong(network, batch_size):
    """Return how many of 100 gradients in float32 are wrong by 5 %, evaluated in float64."""
    common = {"batch_size": batch_size, "engine": "dense"}
    found = vgsim.simulate(network, 100, layers=(0,), **common).gradient[:, 0]
    expected = []
    for index in range(100):
        drawn = vgsim.replay(network, index=index, **common)
        result = vgsim.evaluate(network, drawn.parameters, drawn.inputs, drawn.output_gradient)
        expected.append(result.gradient[0])
    same = (found == expected) | (np.abs(np.maximum(found, -1e9) - expected) < 0.02)
    return np.count_nonzero(~same)


@pytest.mark.parametrize("name", DECIDED)
def test_it_warns_where_gradients_are_wrong(name):
    network, batch_size = DECIDED[name]
    with pytest.warns(UserWarning, match=MESSAGE):
        assert wrong(network, batch_size) >= 2


@pytest.mark.parametrize("name", NOT_DECIDED)
def test_it_does_not_warn_where_they_are_right(name):
    network, batch_size = NOT_DECIDED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert wrong(network, batch_size) == 0


@pytest.mark.parametrize("name", DECIDED)
def test_wider_networks_are_not_concerned(name):
    network, batch_size = DECIDED[name]
    if isinstance(network, MLP):
        wide = MLP(4, 64, activation="relu", norm="layer", clip=HIGH)
    else:
        wide = Sequential(64, network.layers, clip=network.clip)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vgsim.simulate(wide, 1, batch_size=batch_size)


def test_a_long_list_is_no_work(monkeypatch):
    """The places of a repetition are gone through a few times, not once each."""
    visits = []
    place = rounding._Backward._place
    monkeypatch.setattr(
        rounding._Backward, "_place", lambda self, *given: visits.append(0) or place(self, *given)
    )
    network = Sequential(4, [*UNIT, Dropout(0.5)] * 200_000, clip=HIGH)
    with pytest.warns(UserWarning, match=r"about 100.0% of"):
        warn_of_rounding(network, 1, 0)
    assert 0 < len(visits) < 100


def test_activations_that_are_flat_at_zero():
    phi = vgsim.Activation(
        "custom", function=lambda h: np.logaddexp(h, -h) - np.log(2), derivative=np.tanh
    )
    with pytest.warns(UserWarning, match="pre-activations fall below 1e-7.* has phi"):
        vgsim.simulate(vgsim.MLP(5, 8, activation=phi), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vgsim.simulate(vgsim.MLP(5, 8, activation=phi, bias_std=0.1), 1)
        vgsim.simulate(vgsim.MLP(5, 8, activation=phi, norm="layer"), 1)
        vgsim.simulate(vgsim.RNN(5, 8, activation=phi), 1)
        vgsim.simulate(vgsim.MLP(5, 8, activation="softplus"), 1)
