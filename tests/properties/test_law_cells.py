"""Samples of recurrent networks against those of PyTorch's own cells, which are frozen."""

import pytest
from scipy import stats

import vgsim
from cells import FROZEN, law_network, oracle

SEED = 11


@pytest.mark.parametrize("name", oracle.LAWS)
def test_samples_have_the_law_of_pytorchs_cells(name):
    """By two-sample Kolmogorov-Smirnov tests of log10 ‖G_0‖/‖G_D‖ and log10 ‖∂L/∂W‖."""
    law, theirs = oracle.LAWS[name], FROZEN[f"{name}.law"].T
    samples = vgsim.simulate(
        law_network(law),
        theirs.shape[1],
        seed=SEED,
        batch_size=law.batch,
        layers=[0, law.steps],
        record=("gradient", "weight_gradient"),
    )
    ours = samples.log10_ratio[:, 0], samples.weight_gradient[:, 0]
    for mine, frozen in zip(ours, theirs, strict=True):
        assert stats.ks_2samp(mine, frozen).pvalue > 1e-4


def test_the_laws_are_told_apart():
    """With as many networks, the tests above reject the law of every other kind."""
    for name in oracle.LAWS:
        for other in oracle.LAWS:
            pairs = zip(FROZEN[f"{name}.law"].T, FROZEN[f"{other}.law"].T, strict=True)
            p = min(stats.ks_2samp(*pair).pvalue for pair in pairs)
            assert p == 1 if other == name else p < 1e-12, (name, other)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lstm", {"forget_bias": 0.9}),
        ("lstm, chrono", {"chrono": 33.0}),
        ("lstm, clipped", {"clip": vgsim.ClipNorm(1.7)}),
        ("lstm, PyTorch's own", {"init": "glorot_normal", "gain": 3**-0.5, "input_std": 3**-0.5}),
        ("gru, update bias", {"update_bias": 0.7}),
        ("leaky rnn", {"leak": 0.35}),
    ],
)
def test_small_changes_of_a_law_are_seen(name, change):
    network, law = law_network(oracle.LAWS[name]), oracle.LAWS[name]
    samples = vgsim.simulate(
        network._with(**change), oracle.NETWORKS, seed=SEED, batch_size=law.batch, layers=[0]
    )
    found = stats.ks_2samp(samples.log10_ratio[:, 0], FROZEN[f"{name}.law"][:, 0]).pvalue
    assert found < 1e-4
