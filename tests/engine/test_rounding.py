"""A run warns where rounding decides the gradient of some samples."""

import warnings

import pytest

import vgsim

NARROW = {"depth": 10, "width": 4, "activation": "relu"}


@pytest.mark.parametrize(
    ("network", "batch_size"),
    [
        ({"norm": "layer", "bias_std": 1e-9}, 1),
        ({"norm": "rms", "clip": vgsim.ClipValue(1.0)}, 1),
        ({"norm": "batch", "width": 2, "residual": vgsim.Residual(every=2)}, 3),
    ],
)
def test_it_warns(network, batch_size):
    with pytest.warns(UserWarning, match="rounding decides the gradient"):
        vgsim.simulate(vgsim.MLP(**{**NARROW, **network}), 1, batch_size=batch_size)


@pytest.mark.parametrize("norm", [None, "layer", "rms", "batch"])
def test_it_does_not_where_the_product_is_formed(norm):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vgsim.simulate(vgsim.MLP(**NARROW, norm=norm), 1, batch_size=3)
