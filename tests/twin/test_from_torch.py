"""from_torch and torch_parameters against PyTorch: initial laws, autograd, to_torch."""

import math

import numpy as np
import pytest
from scipy import stats

import vgsim
from vgsim._networks import operations
from vgsim._networks.activations import ACTIVATIONS
from vgsim._networks.parameter_shapes import parameter_name

torch = pytest.importorskip("torch", reason="PyTorch is needed for from_torch")
nn = torch.nn
from torch.nn.utils import prune  # noqa: E402

import torch_models  # noqa: E402  (needs torch)


def encoder_layer(n=8, **choice):
    choice = {"batch_first": True, "dropout": 0.0, **choice}
    return nn.TransformerEncoderLayer(n, 2, 2 * n, **choice)


# Laws


MODULES = {
    "Sequential": lambda: nn.Sequential(
        nn.Linear(60, 200), nn.ReLU(), nn.Sequential(nn.Linear(200, 90, bias=False))
    ),
    "MultiheadAttention": lambda: nn.MultiheadAttention(96, 4),
    "TransformerEncoderLayer": lambda: encoder_layer(96),
    "RNN": lambda: nn.RNN(96, 96),
    "LSTM": lambda: nn.LSTM(96, 96),
    "GRU": lambda: nn.GRU(96, 96),
}


@pytest.mark.parametrize("name", MODULES)
def test_initial_laws_are_those_of_pytorch(name):
    torch.manual_seed(1)
    module = MODULES[name]()
    recurrent = isinstance(module, nn.RNNBase)
    net = vgsim.from_torch(module, steps=3 if recurrent else None)
    arrays = vgsim.torch_parameters(module, net)
    seen = set()
    for place in range(1, net.depth + 1):
        for o in net.program.at(place):
            if isinstance(o, operations.Weights):
                name, law, std = parameter_name(o, place), o.law, o.std
            elif isinstance(o, operations.Drive):
                name, law, std = "input_weight", o.law, o.std
            elif isinstance(o, operations.Bias):
                name, law, std = parameter_name(o, place), "uniform", o.limit / 3**0.5
            else:
                continue
            W = arrays[name]
            seen.add(name)
            assert law == "uniform"
            assert np.abs(W).max() <= std * 3**0.5 * (1 + 1e-6)
            assert np.abs(W).max() > 0.93 * std * 3**0.5
            spread = 4 * 0.45 / math.sqrt(W.size)  # of the standard deviation of uniform numbers
            assert W.std() == pytest.approx(std, rel=spread)
    assert seen >= {name for name in arrays if name not in ("bias", "hidden_bias")}


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_biases_of_recurrent_modules(cell):
    torch.manual_seed(2)
    module = cell(400, 400)
    net = vgsim.from_torch(module, steps=2)
    arrays, n = vgsim.torch_parameters(module, net), 400
    limit = n**-0.5
    two = arrays["bias"][: 2 * n] if cell is nn.GRU else arrays["bias"]
    triangular = stats.triang(0.5, -2 * limit, 4 * limit)  # the sum of two uniform numbers
    assert stats.kstest(two, triangular.cdf).pvalue > 1e-3
    if cell is nn.GRU:
        for one in (arrays["bias"][2 * n :], arrays["hidden_bias"]):
            assert stats.kstest(one, stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("make", "tokens", "shape"),
    [(torch_models.tanh_layers, 1, (12,)), (torch_models.encoder, 3, (3, 8))],
)
def test_gradients_have_the_law_of_autograd(make, tokens, shape, seed):
    n = 500
    net = vgsim.from_torch(make(), tokens=tokens)
    layers = (0, 2, net.depth)
    ours = vgsim.simulate(net, 40 * n, seed=seed, layers=layers)
    theirs = vgsim.torch_samples(make, n, input_shape=shape, seed=seed, layers=layers)
    for column in (0, 1):
        a, b = ours.log10_ratio[:, column], theirs.log10_ratio[:, column]
        assert stats.ks_2samp(a, b).pvalue > 1e-4


# Present weights


def check_equals_autograd(module, n, tokens=1, call=None, columns=6, **options):
    module.double()
    torch.manual_seed(3)
    x = torch.randn(columns, n, dtype=torch.float64, requires_grad=True)
    if call is None:
        y = module(x.reshape(-1, tokens, n)).reshape(columns, -1) if tokens > 1 else module(x)
    else:
        y = call(x.reshape(-1, tokens, n)).reshape(columns, -1)
    g = torch.randn_like(y)
    matrices = [p for name, p in module.named_parameters() if p.ndim == 2]
    found = torch.autograd.grad(y, [x, *matrices], g)
    net = vgsim.from_torch(module, tokens=tokens, **options)
    parameters = vgsim.torch_parameters(module, net)
    result = vgsim.evaluate(net, parameters, x.detach().numpy().T, g.numpy().T)
    assert 10 ** result.gradient[0] == pytest.approx(found[0].norm().item(), rel=1e-10)
    rms = y.detach().square().mean().sqrt().item()
    assert 10 ** result.activation[-1] == pytest.approx(rms, rel=1e-10)
    every = math.sqrt(sum(part.square().sum().item() for part in found[1:]))
    assert math.sqrt((100**result.weight_gradient).sum()) == pytest.approx(every, rel=1e-10)


MODULES_OF_PHI = [
    nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.SELU(), nn.GELU(), nn.SiLU(),
    nn.Softplus(), nn.Sigmoid(), nn.Tanh(), nn.Hardtanh(), nn.Softsign(), nn.GELU("tanh"),
    nn.Mish(), nn.ReLU6(), nn.Hardswish(),
    ACTIVATIONS["hard_sigmoid"].torch(nn),  # PyTorch's own slope is a float32 number in float64 too
]  # fmt: skip


def test_a_sequential_of_everything():
    parts = [part for phi in MODULES_OF_PHI for part in (nn.Linear(7, 7), phi)]
    module = nn.Sequential(
        nn.Linear(5, 7, bias=False),
        nn.LayerNorm(7, eps=1e-3),
        nn.Sequential(*parts, nn.Dropout(0.5)),
        nn.RMSNorm(7, eps=1e-4),
        nn.BatchNorm1d(7, track_running_stats=False),
        nn.Flatten(),
        nn.Linear(7, 3),
    )
    check_equals_autograd(module.eval(), 5)


def test_batch_normalisation_in_training_mode():
    check_equals_autograd(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh()), 4)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu", nn.SiLU()])
def test_an_encoder_layer(norm_first, activation):
    layer = encoder_layer(norm_first=norm_first, activation=activation, dropout=0.3)
    check_equals_autograd(layer.eval(), 8, tokens=3)


def test_an_encoder():
    one = encoder_layer(bias=False, norm_first=True)
    module = nn.TransformerEncoder(one, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False)
    check_equals_autograd(module, 8, tokens=3)
    assert vgsim.from_torch(module, tokens=3).depth == 3


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal):
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    mask = torch.ones(3, 3, dtype=torch.bool).triu(1) if causal else None
    check_equals_autograd(module, 8, 3, lambda x: module(x, x, x, attn_mask=mask)[0], causal=causal)


def test_attention_with_trained_biases():
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        module.in_proj_bias.normal_()
    with pytest.raises(ValueError, match="network has no '0.query_bias'.* bias_std > 0"):
        vgsim.torch_parameters(module, vgsim.from_torch(module, tokens=3))
    law = {"init": "lecun_uniform", "bias_std": 1.0}
    check_equals_autograd(module, 8, 3, lambda x: module(x, x, x)[0], **law)


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("init", [None, "glorot_normal"])
def test_recurrent_modules(cell, init):
    torch.manual_seed(4)
    module, n, steps, B = cell(5, 5).double(), 5, 4, 3
    h, s = (torch.randn(k, B, n, dtype=torch.float64) for k in (1, steps))
    if init == "glorot_normal" and cell is nn.GRU:  # which has no bias inside the candidate
        with torch.no_grad():
            module.bias_hh_l0[2 * n :] = 0
    h.requires_grad_()
    c = torch.zeros_like(h, requires_grad=True)
    y, _ = module(s, (h, c) if cell is nn.LSTM else h)
    g = torch.randn(B, n, dtype=torch.float64)
    states = [h, c] if cell is nn.LSTM else [h]
    found = torch.autograd.grad(y[-1], [*states, module.weight_hh_l0], g)
    options = {"bias_std": 1.0} if init else {}
    net = vgsim.from_torch(module, steps=steps, init=init, **options)
    parameters = vgsim.torch_parameters(module, net)
    drive = s.numpy().transpose(0, 2, 1)
    result = vgsim.evaluate(
        net, {**parameters, "drive": drive}, h.detach().numpy()[0].T, g.numpy().T
    )
    norm = math.sqrt(sum(part.square().sum().item() for part in found[:-1]))
    assert 10 ** result.gradient[0] == pytest.approx(norm, rel=1e-10)
    assert 10 ** result.weight_gradient[0] == pytest.approx(found[-1].norm().item(), rel=1e-10)


def test_a_module_at_two_places_is_read_twice():
    phi = nn.Tanh()
    module = nn.Sequential(nn.Linear(5, 5), phi, nn.Sequential(nn.Linear(5, 5), phi), phi)
    net = vgsim.from_torch(module)
    linear = vgsim.Linear(init="torch_default")
    assert net == vgsim.Sequential(5, [linear, "tanh", [linear, "tanh"], "tanh"])
    check_equals_autograd(module, 5)


def test_an_empty_sequential_changes_nothing():
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(), nn.Linear(4, 3))
    assert vgsim.from_torch(module).layers[1] == vgsim.Activation("linear")
    check_equals_autograd(module, 4)


# Round trip


NETWORKS = {
    "list": vgsim.Sequential(
        6,
        [
            vgsim.Linear(8, init="torch_default"),
            "tanh",
            vgsim.Dropout(0.2),
            vgsim.Skip(["relu", vgsim.Linear(init="lecun_uniform", gain=3**-0.5)], branch=0.5),
            [vgsim.Norm("batch"), vgsim.Activation("elu", alpha=0.5)],
            vgsim.Gate(["erf"], bias=-1.5, init="lecun_uniform", gain=3**-0.5),
            vgsim.Attention(
                2, causal=True, init="lecun_uniform", gain=2**-0.5, output_gain=3**-0.5
            ),
            vgsim.Norm("rms", eps=1e-4),
        ],
        tokens=3,
        clip=vgsim.ClipNorm(0.5),
    ),
    "mlp": vgsim.MLP(3, [4, 6, 6, 6], init="torch_default", norm="layer"),
    "residual": vgsim.MLP(4, 6, init="torch_default", residual=vgsim.Residual(2, style="post")),
    "highway": vgsim.MLP(2, 6, highway=vgsim.Highway(-1.0), init="lecun_uniform", gain=3**-0.5),
    "rnn": vgsim.RNN(3, 6, leak=0.5, init="torch_recurrent", input_std=3**-0.5),
    "undriven": vgsim.RNN(3, 6, activation="relu", init="torch_recurrent", input_std=0),
    "lstm": vgsim.LSTM(3, 6, init="torch_recurrent", input_std=3**-0.5),
    "gru": vgsim.GRU(3, 6, init="torch_recurrent", input_std=3**-0.5),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_round_trip_with_to_torch(name):
    net = NETWORKS[name]
    sample = vgsim.replay(net, seed=5, batch_size=2)
    module = sample.to_torch()
    again = vgsim.from_torch(module)
    if isinstance(net, vgsim.MLP):  # a Sequential of the same operations
        kinds = [type(part).__name__ for part in again.layers]
        assert {"mlp": "Linear", "residual": "Skip", "highway": "Gate"}[name] in kinds
        assert again.widths[0] == net.width_at(0)
    else:
        assert again == net
    parameters = vgsim.torch_parameters(module, again)
    result = vgsim.evaluate(again, parameters, sample.inputs, sample.output_gradient)
    arrays = sample.inputs, sample.output_gradient
    expected = vgsim.evaluate(net, sample.parameters, *arrays)
    assert result.gradient[0] == pytest.approx(expected.gradient[0], abs=1e-12)
    assert result.activation[-1] == pytest.approx(expected.activation[-1], abs=1e-12)


# Options and errors


def test_laws_given_by_name():
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2, bias=False))
    net = vgsim.from_torch(module, init="he_normal", gain=0.5, bias_std=0.1)
    assert net == vgsim.Sequential(
        4,
        [
            vgsim.Linear(6, init="he_normal", gain=0.5, bias_std=0.1),
            "relu",
            vgsim.Linear(2, init="he_normal", gain=0.5),
        ],
    )


def test_dropout_is_active_in_training_mode_only():
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3))
    net = vgsim.from_torch(module)
    assert net.layers[1] == vgsim.Dropout(0.3)
    with pytest.raises(ValueError, match=r"module draws a mask in every pass \(1: Dropout\)"):
        vgsim.torch_parameters(module, net)
    assert vgsim.from_torch(module.eval()).layers[1] == vgsim.Activation("linear")


def test_trained_norms_cannot_be_evaluated():
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.LayerNorm(4)))
    net = vgsim.from_torch(module)
    with torch.no_grad():
        module[1][0].weight[2] = 1.5
    with pytest.raises(ValueError, match=r"module has trained .*\(1\.0: scales of LayerNorm\)"):
        vgsim.torch_parameters(module, net)


def test_parameters_of_another_network_are_refused():
    module = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(ValueError, match="network has '1.weight', and the module has not"):
        vgsim.torch_parameters(module, vgsim.Sequential(4, [vgsim.Linear()] * 2))


def test_an_lstm_with_another_law_has_the_biases_that_are_given():
    net = vgsim.from_torch(nn.LSTM(4, 4), steps=2, init="orthogonal", bias_std=0.1)
    assert net == vgsim.LSTM(2, 4, init="orthogonal", bias_std=0.1, forget_bias=0.0)
    bare = vgsim.from_torch(nn.LSTM(4, 4, bias=False), steps=2, init="orthogonal", bias_std=0.1)
    assert bare == vgsim.LSTM(2, 4, init="orthogonal", forget_bias=0.0)
    assert not np.any(vgsim.replay(bare).parameters["bias"])


class Conv(nn.Sequential):
    pass


def tied():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), nn.Sequential(second))


def changed(change):
    layer = nn.Linear(3, 3)
    change(layer)
    return nn.Sequential(nn.Tanh(), layer)


def double(_, inputs, output):
    return 2 * output


PRUNE = prune.random_unstructured
SHARED = nn.Linear(3, 3)
HEADS = encoder_layer()
nn.utils.parametrizations.spectral_norm(HEADS.self_attn.out_proj)


REFUSED = [
    (nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Conv2d(1, 1, 1))), {}, "holds 1.0: Conv2d"),
    (Conv(nn.Linear(3, 3)), {}, "holds Conv, for which vgsim has no layer"),
    (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(3)), {}, "1: LayerNorm, which takes 3 units, and"),
    (nn.Sequential(nn.LayerNorm((3, 3))), {}, "normalises over 2 dimensions"),
    (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval(), {}, "running statistics"),
    (nn.Sequential(nn.Linear(3, 3), nn.Softplus(2)), {}, "1: Softplus, with parameters"),
    (nn.Sequential(nn.Linear(3, 3), nn.Hardtanh(-2, 2)), {}, "1: Hardtanh, with parameters"),
    (nn.ReLU(), {}, "must hold a layer that says how many"),
    (nn.Sequential(SHARED, nn.ReLU(), SHARED), {}, "2: Linear, whose weight is the same tensor as"),
    (tied(), {}, "2.0: Linear, whose weight is the same tensor as 0.weight"),
    (changed(nn.utils.spectral_norm), {}, "1: Linear, whose weights are computed by torch.nn.uti"),
    (changed(lambda m: PRUNE(m, "weight", 0.5)), {}, "1: Linear, whose weights are computed by"),
    (changed(lambda m: m.register_forward_hook(double)), {}, "1: Linear, with a hook"),
    (HEADS, {}, "self_attn.out_proj: Parametrized.*, whose weights are parametrised"),
    (nn.Linear(3, 3, dtype=torch.complex64), {}, "Linear, of torch.complex64 numbers"),
    (nn.Sequential(nn.Flatten(0), nn.Linear(3, 3)), {}, "0: Flatten, which joins the examples"),
    (nn.Sequential(nn.Tanh(), nn.LSTM(3, 3)), {"steps": 2}, "1: LSTM, which is a network of its"),
    (nn.Linear(3, 3), {"causal": True}, "causal is for modules with MultiheadAttention"),
    (nn.GRU(3, 3), {"steps": 2, "causal": True}, "causal is for modules with MultiheadAttention"),
    (nn.TransformerEncoderLayer(8, 2), {}, "self_attn: MultiheadAttention, with dropout of the"),
    (encoder_layer(activation=torch.sin), {}, "neither relu nor gelu"),
    (nn.MultiheadAttention(8, 2, kdim=4), {}, "kdim or vdim"),
    (nn.LSTM(3, 4), {"steps": 2}, "another number of inputs than of hidden units"),
    (nn.GRU(4, 4, 2), {"steps": 2}, "several layers"),
    (nn.GRU(4, 4, bidirectional=True), {"steps": 2}, "both directions"),
    (nn.LSTM(4, 4, proj_size=2), {"steps": 2}, "a projection"),
    (nn.RNN(4, 4, bias=False), {"steps": 2}, "without biases"),
    (nn.RNN(4, 4), {"steps": 2, "tokens": 2}, "tokens must be 1"),
    (nn.Linear(4, 4), {"steps": 2}, "steps is for an RNN"),
    (nn.Linear(4, 4), {"gain": 2.0}, "gain needs init"),
    (nn.Linear(4, 4), {"init": "hee"}, "'hee' is unknown"),
]


@pytest.mark.parametrize(("module", "options", "sentence"), REFUSED)
def test_what_cannot_be_described(module, options, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        vgsim.from_torch(module, **options)
    assert caught.value.argument in ("module", *options)


def test_a_module_without_values_has_no_parameters():
    module = nn.Linear(3, 3, device="meta")
    with pytest.raises(ValueError, match="module must hold values, got tensors on the device meta"):
        vgsim.torch_parameters(module, vgsim.from_torch(module))


@pytest.mark.parametrize("module", [3, None, nn.Linear, "Linear"])
def test_what_is_no_module(module):
    with pytest.raises(TypeError, match="module must be a torch.nn.Module"):
        vgsim.from_torch(module)


def test_steps_are_required():
    with pytest.raises(TypeError, match="steps must be given for LSTM"):
        vgsim.from_torch(nn.LSTM(4, 4))
