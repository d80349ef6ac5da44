"""The law of composed networks: both engines, PyTorch's own draws, and the layers of MLPs."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import vgsim
from composed_networks import DRAWN_BY_PYTORCH, FROZEN, network_of
from vgsim import Attention, Dropout, Linear, Norm, Sequential, Skip

pytestmark = pytest.mark.filterwarnings("ignore:rounding decides")
ROOT = Path(__file__).parents[2]
P_VALUE = 1e-5
SIZE = 12_000
ENGINES = pytest.mark.parametrize("engine", ["matrix-free", "dense"])


def finite(x):
    return x[np.isfinite(x)]


def p_value(a, b):
    """Compare the laws of the finite values by the Kolmogorov–Smirnov test."""
    return stats.ks_2samp(finite(a), finite(b), method="asymp").pvalue


@pytest.fixture
def law(monkeypatch):
    """The part composed_law of ``python -m verification``."""
    monkeypatch.syspath_prepend(ROOT)
    from verification import composed_law

    return composed_law


def test_engines_agree(law, seed):
    """``python -m verification composed_law --quick``: 2,000 samples, p bounded by Bonferroni."""
    for agreement in law.comparisons(seed, quick=True):
        assert agreement.holds, str(agreement)


BLOCK = [Skip([Norm("layer"), Attention(2)]), Skip([Norm("layer"), Linear(16), "gelu", Linear(8)])]
PRE = Sequential(8, BLOCK * 4, tokens=4)
CHANGED = {
    "value gain": [Skip([Norm("layer"), Attention(2, value_gain=1.05)]), BLOCK[1]],
    "query gain": [Skip([Norm("layer"), Attention(2, gain=1.2, value_gain=1.0)]), BLOCK[1]],
    "branch": [BLOCK[0], Skip(BLOCK[1].layers, branch=1.03)],
    "causal": [Skip([Norm("layer"), Attention(2, causal=True)]), BLOCK[1]],
    "norm": [Skip([Norm("rms"), Attention(2)]), BLOCK[1]],
    "dropout": [BLOCK[0], Skip([Norm("layer"), Linear(16), Dropout(0.05), "gelu", Linear(8)])],
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_small_change_of_the_network_would_show(law, name, seed):
    choice = {"batch_size": 2}
    free, _ = law.engines(PRE, choice, 20_000, seed)
    _, dense = law.engines(Sequential(8, CHANGED[name] * 4, tokens=4), choice, 20_000, seed)
    p = law.p_values(free, dense)
    assert min(p.values()) < P_VALUE, p


@ENGINES
@pytest.mark.parametrize("name", DRAWN_BY_PYTORCH)
def test_pytorch_draws_the_same_law(name, engine, seed):
    case, network = DRAWN_BY_PYTORCH[name], network_of(DRAWN_BY_PYTORCH[name])
    several = f"{name}.correlation" in FROZEN.files
    samples = vgsim.simulate(
        network,
        SIZE,
        seed=seed + 31,
        batch_size=case.sequences,
        engine=engine,
        layers=(0, network.depth),
        record=("gradient", "activation", *(("gradient_correlation",) if several else ())),
    )
    ratio, activation = FROZEN[f"{name}.ratio"], FROZEN[f"{name}.activation"]
    own = samples.log10_ratio[:, 0]
    assert p_value(own + len(case.layers) * math.log10(1.06), ratio) < P_VALUE
    assert p_value(own, ratio) > P_VALUE
    if np.ptp(activation) > 1e-4:  # else the last place is a norm
        assert p_value(samples.activation[:, 1], activation) > P_VALUE
    else:
        np.testing.assert_allclose(samples.activation[:, 1], activation[0], atol=1e-4)
    dead = np.count_nonzero(np.isneginf(ratio))
    table = [[samples.n_dead, SIZE - samples.n_dead], [dead, len(ratio) - dead]]
    assert stats.fisher_exact(table).pvalue > P_VALUE
    if several:
        expected = FROZEN[f"{name}.correlation"]
        assert p_value(samples.gradient_correlation[:, 0], expected) > P_VALUE


def mlp(depth, width, **fields):
    """Return an MLP whose gradient neither vanishes nor explodes."""
    return vgsim.MLP(depth, width, **({"init": "lecun_normal", "gain": 1.2} | fields))


RELU = {"activation": "relu", "gain": math.sqrt(2)}
TAPERED = [6, 11, 4, 9, 16, 5, 8]
MLPS = {
    "plain, one": (mlp(9, 8), {}),
    "plain": (mlp(9, 8), {"batch_size": 3}),
    "bias": (mlp(6, TAPERED, activation="silu", gain=1.5, bias_std=0.3), {"batch_size": 2}),
    "orthogonal": (mlp(6, TAPERED, init="orthogonal", **RELU, bias_std=0.2), {"batch_size": 3}),
    "torch_default": (mlp(6, TAPERED, init="torch_default", gain=1.0), {"batch_size": 2}),
    "torch_default, one": (vgsim.MLP(6, 9, init="torch_default", activation="gelu"), {}),
    "uniform": (mlp(6, 9, init="he_uniform", gain=1.0, activation="elu"), {"batch_size": 2}),
    "batch norm": (mlp(8, 9, norm="batch", **RELU, bias_std=0.3), {"batch_size": 5}),
    "layer norm": (mlp(9, 8, norm="layer", norm_eps=0.1), {"batch_size": 2, "loss": "mse"}),
    "rms norm": (mlp(9, 8, norm="rms", activation="gelu"), {"batch_size": 2}),
    "highway": (mlp(9, 8, highway=vgsim.Highway(-1.0), bias_std=0.2), {"batch_size": 3}),
    "highway, norm": (mlp(9, 8, highway=vgsim.Highway(0.5), norm="layer"), {"batch_size": 2}),
    "orthogonal highway": (mlp(9, 8, init="orthogonal", highway=vgsim.Highway()), {}),
    "clipped norm": (mlp(9, 8, gain=2.5, clip=vgsim.ClipNorm(6.0)), {"batch_size": 3}),
    "clipped values": (mlp(9, 8, gain=2.5, clip=vgsim.ClipValue(1.5)), {"batch_size": 2}),
    **{
        f"{style}, every {every}, {norm}": (
            mlp(
                6,
                8,
                **RELU,
                norm=norm,
                residual=vgsim.Residual(every, style=style, skip=0.9, last_gain=0.7),
            ),
            {"batch_size": 4, "loss": ("linear", "mse", "cross_entropy")[every - 1]},
        )
        for style in ("activated", "linear", "post", "pre")
        for every, norm in ((1, None), (2, "layer"), (3, "batch"), (2, None), (1, "rms"))
        if style != "linear" or every > 1
    },
    "linear, every 1": (
        mlp(6, 8, activation="linear", residual=vgsim.Residual(1, style="linear", skip=0.8)),
        {"batch_size": 2},
    ),
    "scaled branches": (
        mlp(8, 8, residual=vgsim.Residual(2, branch="1/sqrt(blocks)", style="pre", skip=1.1)),
        {},
    ),
    "clipped branches": (
        mlp(8, 8, gain=2.0, residual=vgsim.Residual(1), clip=vgsim.ClipNorm(20.0)),
        {"batch_size": 2},
    ),
}


def over_blocks(samples, every):
    """log10 ‖∂L/∂W‖ over all matrices of each block of `every` layers."""
    squares = 10.0 ** (2 * samples.weight_gradient)
    with np.errstate(divide="ignore"):
        return 0.5 * np.log10(squares.reshape(len(samples), -1, every).sum(axis=2))


@pytest.mark.parametrize("name", MLPS)
def test_the_layers_of_an_mlp_have_its_law(name, seed):
    network, choice = MLPS[name]
    listed = Sequential(network.widths[0], network.layers, clip=network.clip)
    every = network.depth // listed.depth
    choice = choice | {"record": ("gradient", "activation", "weight_gradient", "saturation")}
    if network.clip:
        choice["record"] += ("clipped",)
    a = vgsim.simulate(network, SIZE, seed=seed + 41, layers=range(network.depth + 1), **choice)
    b = vgsim.simulate(listed, SIZE, seed=seed + 42, layers=range(listed.depth + 1), **choice)
    pairs = {
        "R": (a.log10_ratio[:, ::every], b.log10_ratio),
        "activation": (a.activation[:, ::every], b.activation),
    }
    if not network.highway:  # the gates' matrices are among those of the list only
        pairs["weight_gradient"] = over_blocks(a, every), b.weight_gradient
    if network.clip:
        pairs["clipped"] = a.clipped, b.clipped
    for quantity, (x, y) in pairs.items():
        assert x.shape == y.shape
        for l in range(x.shape[1]):
            assert p_value(x[:, l], y[:, l]) > P_VALUE / 10, (quantity, l)
    assert p_value(a.log10_ratio[:, 0] + network.depth * math.log10(1.03), b.log10_ratio[:, 0]) < (
        P_VALUE
    )
    dead = stats.fisher_exact([[s.n_dead, len(s) - s.n_dead] for s in (a, b)])
    assert dead.pvalue > P_VALUE


def test_another_branch_would_show(seed):
    network, choice = MLPS["pre, every 2, layer"]
    other = replace(network.residual, skip=0.93)
    a, b = (
        vgsim.simulate(net, SIZE, seed=seed + s, layers=(0,), **choice)
        for s, net in enumerate((network, Sequential(8, replace(network, residual=other).layers)))
    )
    assert p_value(a.log10_ratio[:, 0], b.log10_ratio[:, 0]) < P_VALUE
