"""The law of replayed composed networks against weights that PyTorch has drawn."""

import numpy as np
import pytest
from scipy import stats

import vgsim
from composed_networks import DRAWN_BY_PYTORCH, FROZEN, network_of


def test_what_is_frozen():
    assert {name.split(".")[0] for name in FROZEN.files} == set(DRAWN_BY_PYTORCH)
    for name, case in DRAWN_BY_PYTORCH.items():
        assert (f"{name}.correlation" in FROZEN.files) == (case.columns > 1)
        assert len(FROZEN[f"{name}.ratio"]) == 4000
        assert not np.isnan(FROZEN[f"{name}.ratio"]).any()


@pytest.mark.parametrize("name", DRAWN_BY_PYTORCH)
def test_replays_have_the_law_of_pytorch(name):
    case, net = DRAWN_BY_PYTORCH[name], network_of(DRAWN_BY_PYTORCH[name])
    found = {"ratio": [], "activation": [], "correlation": []}
    for index in range(120):
        engine = ("dense", "matrix-free")[index % 2]
        sample = vgsim.replay(net, 2, index, batch_size=case.sequences, engine=engine)
        arrays = sample.parameters, sample.inputs, sample.output_gradient
        result = vgsim.evaluate(net, *arrays, layers=[0, net.depth])
        found["ratio"].append(result.log10_ratio[0])
        found["activation"].append(result.activation[1])
        found["correlation"].append(result.gradient_correlation[0])
    for quantity in found:
        if f"{name}.{quantity}" in FROZEN.files:
            expected = FROZEN[f"{name}.{quantity}"]
            assert stats.ks_2samp(found[quantity], expected).pvalue > 1e-4, quantity
