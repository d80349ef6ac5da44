"""evaluate of composed networks against PyTorch's autograd."""

import numpy as np
import pytest

import vgsim
from composed_networks import CORRELATIONS, QUANTITIES, arrays_of, network_of, oracle, reference

pytest.importorskip("torch", reason="PyTorch is the reference here")

RANDOM = [oracle.random_case(np.random.default_rng([13, i])) for i in range(120)]
LINEAR = ("linear", None, "lecun_normal", 1.2, 0.2)
ATTENTION = ("attention", 2, False, "lecun_normal", 1.5, 0.0)
CAUSAL = ("attention", 2, True, "lecun_normal", 1.5, 0.3)
WIDE = ("norm", "layer", 0.3)
LAYER, RMS, BATCH = (("norm", kind, 1e-5) for kind in ("layer", "rms", "batch"))
NAMED = {
    "linear": oracle.Case(width=3, layers=[("linear", 5, "lecun_normal", 1.0, 0.0)]),
    "pre-norm transformer": oracle.Case(
        width=8,
        layers=[
            ("skip", [LAYER, CAUSAL], 1.0, 1.0),
            ("skip", [LAYER, LINEAR, ("gelu",), LINEAR], 1.0, 1.0),
        ]
        * 3,
        tokens=4,
        sequences=2,
    ),
    "post-norm transformer": oracle.Case(
        width=8,
        layers=[
            [("skip", [ATTENTION], 1.0, 1.0), LAYER],
            [("skip", [LINEAR, ("relu",), LINEAR], 1.0, 1.0), RMS],
        ]
        * 2,
        tokens=4,
        sequences=2,
    ),
    "narrow": oracle.Case(
        width=4,
        layers=[
            [WIDE, ("skip", [("relu",), LINEAR], 1.0, 0.5), WIDE, ("tanh",)],
            *(("linear", 2, "lecun_normal", 1.0, 0.0), WIDE, ("tanh",)),
            *(("linear", 6, "lecun_normal", 1.0, 0.0), WIDE, ("relu",)),
        ],
    ),
    "one unit": oracle.Case(
        width=6,
        layers=[
            ("linear", 1, "lecun_normal", 1.0, 0.0),
            ("relu",),
            ("linear", 4, "lecun_normal", 1.0, 0.0),
            LAYER,
            ("sigmoid",),
        ],
        sequences=4,
    ),
    "gates": oracle.Case(
        width=4,
        layers=[
            (
                "gate",
                [LINEAR, ("tanh",), ("gate", [LINEAR], 0.5, "lecun_normal", 1.0)],
                -1.0,
                "lecun_normal",
                1.0,
            )
        ]
        * 3,
        sequences=2,
        clip=("norm", 0.3),
    ),
    "batch norm": oracle.Case(width=5, layers=[[LINEAR, BATCH, ("relu",)]] * 4, sequences=6),
    "batch norm, flat": oracle.Case(width=5, layers=[LINEAR, BATCH, ("relu",)] * 3, sequences=6),
    "dropout": oracle.Case(width=8, layers=[LINEAR, ("relu",), ("dropout", 0.3)] * 3, sequences=3),
    "no matrices": oracle.Case(
        width=5, layers=[("tanh",), ("norm", "layer", 0.1), ("dropout", 0.1)], sequences=2
    ),
}
CASES = NAMED | {f"random {i}": case for i, case in enumerate(RANDOM)}


def assert_equals_autograd(case, result, expected):
    np.testing.assert_array_equal(result.weight_layers, expected["weight_layers"])
    assert result.dead == (expected["gradient"][0] == 0)
    for name in QUANTITIES:
        actual = 10 ** getattr(result, name)
        np.testing.assert_allclose(actual, expected[name], rtol=1e-10, atol=1e-300, err_msg=name)
    for name in CORRELATIONS:
        np.testing.assert_allclose(getattr(result, name), expected[name], atol=1e-10, err_msg=name)
    for name in ("clipped", "saturation"):
        expect = expected[name][1:] if name == "saturation_" else expected[name]
        np.testing.assert_allclose(getattr(result, name), expect, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_equals_autograd(name):
    case = CASES[name]
    arrays = arrays_of(case, np.random.default_rng([4, *name.encode()]))
    result = vgsim.evaluate(network_of(case), *arrays)
    assert_equals_autograd(case, result, reference(case, *arrays))
