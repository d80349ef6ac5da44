"""TorchModule: samples by autograd against known gradients, the description, its errors."""

import functools
import math
import pickle

import numpy as np
import pytest

import vgsim

torch = pytest.importorskip("torch", reason="PyTorch is needed for samples of modules")
import torch_models  # noqa: E402  (needs torch)

nn = torch.nn
EVERY = (
    "gradient",
    "activation",
    "weight_gradient",
    "update_ratio",
    "activation_correlation",
    "gradient_correlation",
)
TANH = vgsim.TorchModule("torch_models:tanh_layers", 12, arguments={"layers": 3})


def test_known_weights():
    net = vgsim.TorchModule(torch_models.doubling, 3)
    s = vgsim.simulate(net, 20, layers=(0, 1, 2), record=EVERY[:4], dtype="float64")
    np.testing.assert_allclose(s.log10_ratio, [[math.log10(4), math.log10(2), 0]] * 20, atol=1e-14)
    np.testing.assert_allclose(
        s.activation - s.activation[:, :1], s.log10_ratio[:, ::-1], atol=1e-14
    )
    # ∂L/∂W_l = g_l x_{l-1}ᵀ, of norm ‖G_l‖ ‖X_{l-1}‖
    x = s.activation[:, :2] + 0.5 * math.log10(3)
    np.testing.assert_allclose(s.weight_gradient, s.gradient[:, 1:] + x, atol=1e-14)
    size = math.log10(2 * math.sqrt(3))
    np.testing.assert_allclose(s.update_ratio, s.weight_gradient - size, atol=1e-14)
    rms = s.gradient - 0.5 * math.log10(3)
    np.testing.assert_allclose(s.rms_max, rms, atol=1e-14)
    np.testing.assert_allclose(s.rms_min, np.repeat(rms[:, 2:], 3, axis=1), atol=1e-14)


def fixed(loss, classes=4):
    """A module whose weights do not depend on random numbers, on fixed inputs."""
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, classes))


def fixed_inputs(count):
    return torch.linspace(-1, 1, 3 * count).reshape(count, 3)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_losses_and_correlations(loss):
    net = vgsim.TorchModule(fixed, 3, arguments={"loss": loss}, draw=fixed_inputs)
    s = vgsim.simulate(net, 40, batch_size=4, loss=loss, layers=range(4), record=EVERY)
    module, x = fixed(loss), fixed_inputs(4)
    y = module(x)
    described = vgsim.from_torch(module)
    parameters = vgsim.torch_parameters(module, described)
    every = [x.numpy()]
    for part in module:
        every.append(part(torch.as_tensor(every[-1])).detach().numpy())
    for l, X in enumerate(every):
        rms = 0.5 * math.log10(np.mean(X.astype(float) ** 2))
        np.testing.assert_allclose(s.activation[:, l], rms, atol=1e-6)
    if loss == "cross_entropy":  # at most 4^4 gradients, each softmax − one-hot
        p = y.softmax(dim=1).detach().numpy()
        sizes = [[np.sum((row - np.eye(4)[k]) ** 2) for k in range(4)] for row in p]
        allowed = np.add.outer(np.add.outer(*sizes[:2]), np.add.outer(*sizes[2:])).ravel()
        nearest = np.abs(allowed[:, np.newaxis] / 100**s.output_gradient - 1).min(axis=0)
        assert nearest.max() < 1e-5
    else:  # X_D − T, T of N(0, 1): the mean of ‖·‖² is ‖X_D‖² + 16
        mean = y.square().sum().item() + 16
        spread = math.sqrt((2 * 16 + 4 * (mean - 16)) / 40)
        assert np.mean(100**s.output_gradient) == pytest.approx(mean, abs=5 * spread)
    result = vgsim.evaluate(described, parameters, x.numpy().T, np.ones((4, 4)))
    np.testing.assert_allclose(
        s.activation_correlation[0], result.activation_correlation, atol=1e-5
    )
    assert np.all(np.abs(s.gradient_correlation) <= 1)


def test_convolutions_and_operations_in_place():
    net = vgsim.TorchModule(torch_models.convolutions, (2, 4, 4))
    s = vgsim.simulate(net, 30, batch_size=2, layers=range(7), record=EVERY, dtype="float64")
    assert net.depth == 6
    np.testing.assert_allclose(s.gradient[:, 4], s.gradient[:, 5], atol=1e-12)  # Flatten
    assert np.isneginf(s.weight_gradient[:, [1, 3, 4]]).all()  # places without matrices
    assert np.isfinite(s.weight_gradient[:, 5]).all()
    assert (s.activation[:, 2] < s.activation[:, 1]).all()  # X_1 is kept from before ReLU


def test_dead_networks():
    def closed():
        module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
        with torch.no_grad():
            module[0].weight.zero_()
            module[0].bias.fill_(-1.0)
        return module

    s = vgsim.simulate(vgsim.TorchModule(closed, 3), 5, layers=(0, 1, 2, 3))
    assert s.dead.all()
    assert np.isneginf(s.gradient[:, :2]).all()
    assert np.isfinite(s.gradient[:, 2:]).all()


def test_a_sample_depends_on_its_index_only():
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    s = vgsim.simulate(TANH, 8, layers=(0, 3), seed=5)
    again = vgsim.simulate(TANH, 3, layers=(0, 3), seed=5, first=4)
    np.testing.assert_array_equal(again.gradient, s.gradient[4:7])
    assert len(set(s.gradient[:, 0])) == 8
    assert not np.isin(vgsim.simulate(TANH, 8, layers=(0,), seed=6).gradient, s.gradient).any()
    torch.testing.assert_close(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert s.provenance["torch"] == torch.__version__


def test_rows_of_data(rng):
    data = rng.normal(size=(5, 12)) * 10.0 ** np.arange(5)[:, np.newaxis]
    s = vgsim.simulate(TANH, 60, layers=(0,), inputs=data, record=("activation",))
    rms = 0.5 * np.log10(np.mean(data**2, axis=1))
    nearest = np.abs(s.activation - rms).argmin(axis=1)
    np.testing.assert_allclose(s.activation[:, 0], rms[nearest], atol=1e-6)
    assert set(nearest) == set(range(5))


def test_inputs_from_a_function():
    net = vgsim.TorchModule(torch_models.doubling, 3, draw="torch_models:large_inputs")
    s = vgsim.simulate(net, 5, layers=(0,), record=("activation",))
    assert np.all((s.activation > 3) & (s.activation < 3.001))
    assert len(set(s.activation[:, 0])) == 5


def test_named_places():
    net = vgsim.TorchModule(torch_models.tanh_layers, 12, places=["1", "3", "7"])
    s = vgsim.simulate(net, 10, layers=range(4), record=EVERY[:4])
    assert s.network.depth == 3
    assert np.isneginf(s.weight_gradient).all()  # the places are activations
    assert np.isfinite(s.gradient).all()


def test_description_in_json_labels_and_copies():
    net = vgsim.TorchModule(
        torch_models.tanh_layers, [12], arguments={"width": 12, "layers": 2}, places=("1", "3")
    )
    text = (
        '{"arguments":{"layers":2,"width":12},"depth":2,"input_shape":[12],"kind":"TorchModule",'
        '"make":"torch_models:tanh_layers","places":["1","3"]}'
    )
    assert net.canonical_json() == text
    for other in (vgsim.TorchModule.from_dict(net.to_dict()), pickle.loads(pickle.dumps(net))):
        assert other == net
        assert hash(other) == hash(net)
        assert vgsim.simulate(other, 2) is not None
    labels = net.labels
    assert (labels["arguments__layers"], labels["places"], labels["input_shape"]) == (
        2,
        "1,3",
        "12",
    )
    networks = vgsim.sweep(
        vgsim.TorchModule, make="torch_models:tanh_layers", input_shape=12, arguments__layers=[1, 2]
    )
    assert [network.depth for network in networks] == [2, 4]


BAD = [
    ({"make": 3}, TypeError, "make must be a function or 'package.module:function'"),
    ({"make": functools.partial(torch_models.tanh_layers, 2)}, TypeError, "make must be a fun"),
    ({"make": "tanh_layers"}, ValueError, "make must be a function or"),
    ({"make": "torch_models:absent"}, ValueError, "make cannot be imported as .*absent"),
    ({"make": "no_module_of_this_name:f"}, ValueError, "make cannot be imported"),
    ({"make": dict}, TypeError, "make must return a torch.nn.Module, got {}"),
    ({"input_shape": 0}, ValueError, "input_shape must be an int from 1"),
    ({"input_shape": []}, ValueError, "input_shape must have at least one dimension"),
    ({"arguments": 3}, TypeError, "arguments must be a mapping"),
    ({"arguments": {"layers": object()}}, TypeError, "arguments must be a mapping"),
    ({"places": ["1", "1"]}, ValueError, "places must be distinct names"),
    ({"places": "1"}, TypeError, "places must be a sequence of distinct names"),
    ({"places": ["1"], "depth": 2}, ValueError, "depth must be the number of places, 1, got 2"),
]


@pytest.mark.parametrize(("choice", "error", "sentence"), BAD)
def test_invalid_descriptions(choice, error, sentence):
    fields = {"make": torch_models.tanh_layers, "input_shape": 12, **choice}
    with pytest.raises(error, match=sentence) as caught:
        vgsim.TorchModule(**fields)
    assert caught.value.argument.split("[")[0] in fields


def scaling(factor):
    """x ↦ factor^200 x."""
    module = nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in range(200)))
    for part in module:
        with torch.no_grad():
            part.weight.copy_(factor * torch.eye(3))
    return module


RUNS = [
    (torch_models.Twice, {}, ["layer"], "'layer' is called twice"),
    (torch_models.Twice, {}, ["recurrent", "unused"], "places must all be called"),
    (torch_models.Twice, {}, ["leyer"], "places must be names of submodules, 'layer', .*'leyer'"),
    (torch_models.Twice, {"record": ("saturation",)}, ["recurrent"], "'saturation' needs the act"),
    (torch_models.Twice, {"record": ("clipped",)}, ["recurrent"], "'clipped' needs"),
    (torch_models.Twice, {"engine": "dense"}, ["recurrent"], "engine must be 'auto' or 'torch'"),
    (torch_models.Twice, {"inputs": np.ones((3, 5))}, ["recurrent"], "inputs must be .*n_0 = 4"),
    (torch_models.convolutions, {"loss": "cross_entropy"}, ["0"], None),
]


@pytest.mark.parametrize(("make", "options", "places", "sentence"), RUNS)
def test_runs_that_are_refused(make, options, places, sentence):
    shape = 4 if make is torch_models.Twice else (2, 4, 4)
    net = vgsim.TorchModule(make, shape, places=places)
    if sentence is None:
        assert len(vgsim.simulate(net, 2, **options)) == 2
        return
    with pytest.raises(ValueError, match=sentence):
        vgsim.simulate(net, 2, **options)


def test_a_place_may_return_several_tensors():
    net = vgsim.TorchModule(torch_models.Twice, 4, places=["recurrent"])
    s = vgsim.simulate(net, 3, layers=(0, 1), record=EVERY[:4])
    assert np.isfinite(s.weight_gradient).all()


def test_frozen_matrices_and_several_outputs():
    net = vgsim.TorchModule(torch_models.Frozen, 4, places=["first", "last"])
    s = vgsim.simulate(net, 3, record=EVERY[:4], dtype="float64")
    assert (s.weight_gradient[:, 0] == -np.inf).all()
    assert (s.update_ratio[:, 0] == -np.inf).all()
    # of the last layer ‖∂L/∂W‖ = ‖G_D‖ ‖x‖ for one example
    sizes = s.activation[:, 1] + math.log10(4**0.5)
    np.testing.assert_allclose(s.weight_gradient[:, 1], s.output_gradient + sizes, rtol=1e-12)


@pytest.mark.parametrize(
    ("way", "places", "sentence"),
    [
        ("detached", ["last"], "make must return a module with .*: it has no gradient"),
        ("class", ["last"], "make must return a module with .*: the output is a Tensor of torch.i"),
        ("dict", ["last"], "make must return a module with .*: the output is a dict"),
        ("pair", ["first", "unused"], "places must end with a module .* depends on, got 'unused'"),
    ],
)
def test_outputs_that_have_no_gradient(way, places, sentence):
    net = vgsim.TorchModule(torch_models.Frozen, 4, arguments={"way": way}, places=places)
    with pytest.raises(ValueError, match=sentence):
        vgsim.simulate(net, 1)


def test_beyond_the_range_of_the_dtype():
    net = vgsim.TorchModule(scaling, 3, arguments={"factor": 4.0})
    with pytest.raises(ValueError, match="dtype is too small for the module"):
        vgsim.simulate(net, 1, layers=(0,))
    s = vgsim.simulate(net, 1, layers=(0,), dtype="float64")
    assert s.log10_ratio[0, 0] == pytest.approx(400 * math.log10(2), rel=1e-12)
    small = vgsim.TorchModule(scaling, 3, arguments={"factor": 0.25})
    assert vgsim.simulate(small, 1, layers=(0,)).dead.all()
    assert vgsim.simulate(small, 1, dtype="float64").n_dead == 0


def test_there_are_no_kernels_and_no_theory_for_a_module():
    for call in (
        lambda: vgsim.replay(TANH),
        lambda: vgsim.lyapunov(TANH, 10),
        lambda: vgsim.depth_curve(TANH, (2, 4), 10),
        lambda: vgsim.theory.log_gradient_moments(TANH),
    ):
        with pytest.raises(TypeError, match="network must be described layer by layer"):
            call()
    with pytest.raises(ValueError, match="'torch' is for networks that are not described"):
        vgsim.simulate(vgsim.MLP(2, 3), 5, engine="torch")
    assert "theory" not in vgsim.simulate(TANH, 5, layers=(0, 3, 6)).summary().table()
