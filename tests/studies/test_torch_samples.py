"""torch_samples and collect of TorchModule: processes, stores, arguments."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import vgsim
from vgsim._cli.study_file import read_study

torch = pytest.importorskip("torch", reason="PyTorch is needed for torch_samples")
import torch_models  # noqa: E402  (needs torch)


def test_equals_simulate():
    net = vgsim.TorchModule(torch_models.tanh_layers, 12)
    s = vgsim.torch_samples(torch_models.tanh_layers, 5, input_shape=12, seed=3, first=7)
    assert s.network == net
    np.testing.assert_array_equal(s.gradient, vgsim.simulate(net, 5, seed=3, first=7).gradient)


def test_inputs_of_any_shape(rng):
    data = rng.normal(size=(6, 2, 4, 4))
    make = torch_models.convolutions
    record = ("activation",)
    s = vgsim.torch_samples(make, 10, inputs=data, batch_size=2, layers=(0,), record=record)
    assert s.network.input_shape == (2, 4, 4)
    tensor = torch.as_tensor(data)
    t = vgsim.torch_samples(make, 10, inputs=tensor, batch_size=2, layers=(0,), record=record)
    np.testing.assert_array_equal(s.activation, t.activation)
    assert s.inputs == t.inputs
    assert s.inputs.startswith("sha256:")
    squares = np.mean(data**2, axis=(1, 2, 3))
    pairs = (squares[:, np.newaxis] + squares)[np.triu_indices(6, 1)] / 2  # without replacement
    found = 100 ** s.activation[:, 0]
    assert np.abs(found[:, np.newaxis] / pairs - 1).min(axis=1).max() < 1e-6
    u = vgsim.torch_samples(make, 2, input_shape=(2, 4, 4), inputs=lambda n: torch.ones(n, 2, 4, 4))
    assert len(u) == 2


def test_inputs_of_half_precision():
    data = torch.arange(24.0).reshape(2, 12)  # exact in 8 bits
    s, t = (
        vgsim.torch_samples(torch_models.tanh_layers, 4, inputs=x) for x in (data, data.bfloat16())
    )
    np.testing.assert_array_equal(s.gradient, t.gradient)


def test_threads_give_equal_bits():
    options = {"input_shape": (2, 4, 4), "arguments": {"layers": 6}, "layers": (0,)}
    state = torch.get_rng_state()
    alone = vgsim.torch_samples(torch_models.convolutions, 256, **options)
    with ThreadPoolExecutor(4) as executor:
        s = vgsim.torch_samples(torch_models.convolutions, 256, executor=executor, **options)
    np.testing.assert_array_equal(s.gradient, alone.gradient)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_function_without_a_name_works_in_this_process():
    s = vgsim.torch_samples(lambda: torch_models.tanh_layers(1), 3, input_shape=12)
    assert len(s) == 3


@pytest.mark.slow
def test_processes_give_equal_bits():
    record = ("gradient", "weight_gradient")
    options = {"input_shape": 12, "layers": (0, 4), "record": record}
    alone = vgsim.torch_samples(torch_models.tanh_layers, 20, **options)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        s = vgsim.torch_samples(torch_models.tanh_layers, 20, executor=executor, **options)
        with pytest.raises(ValueError, match="make cannot be imported"):
            vgsim.torch_samples(lambda: None, 2, places=["0"], input_shape=1, executor=executor)
    np.testing.assert_array_equal(s.gradient, alone.gradient)
    np.testing.assert_array_equal(s.weight_gradient, alone.weight_gradient)


def test_a_study_continues_from_its_store(tmp_path):
    networks = [
        vgsim.TorchModule("torch_models:tanh_layers", 12, arguments={"layers": layers})
        for layers in (1, 2)
    ]
    store = tmp_path / "study.sqlite"
    vgsim.collect(networks, max_samples=30, store=store, thresholds=(0.5,))
    study = vgsim.collect(networks, max_samples=70, store=store, thresholds=(0.5,))
    assert [result.n for result in study] == [70, 70]
    samples = vgsim.simulate(networks[1], 70, layers=(0,))
    (result,) = study.find(arguments__layers=2)
    assert result.task.engine == "torch"
    one, other = (x.probability("vanishing", threshold=0.5) for x in (result, samples))
    assert one.estimate == other.estimate
    assert result.mean() == pytest.approx(samples.mean(), abs=1e-8)
    assert vgsim.load(store)[1].n == 70
    table = study.table()
    assert "arguments__layers" in table
    study.save(path := tmp_path / "study.npz")
    assert vgsim.load(path) == study


def test_samples_in_a_file(tmp_path):
    s = vgsim.torch_samples(torch_models.convolutions, 6, input_shape=(2, 4, 4), batch_size=2)
    s.save(path := tmp_path / "samples.npz")
    loaded = vgsim.load(path)
    assert loaded.network == s.network
    np.testing.assert_array_equal(loaded.gradient, s.gradient)


def test_arguments():
    make = torch_models.tanh_layers
    with pytest.raises(TypeError, match="input_shape must be given unless inputs are an array"):
        vgsim.torch_samples(make, 5)
    with pytest.raises(ValueError, match=r"inputs must have shape \(N, ...\)"):
        vgsim.torch_samples(make, 5, inputs=[1.0, 2.0])
    with pytest.raises(ValueError, match="inputs 'zeros', a zero initial state, is for recurrent"):
        vgsim.torch_samples(make, 5, inputs="zeros", input_shape=12)
    with pytest.raises(TypeError, match="executor must be a concurrent.futures.Executor"):
        vgsim.torch_samples(make, 5, input_shape=12, executor=2)
    with pytest.raises(ValueError, match="n_samples must be"):
        vgsim.torch_samples(make, 0, input_shape=12)


def test_the_version_of_pytorch_is_part_of_the_provenance(tmp_path):
    net = vgsim.TorchModule("torch_models:doubling", 3)
    study = vgsim.collect([net], max_samples=2, store=tmp_path / "study.sqlite")
    version = torch.__version__
    assert study.provenance["torch"] == version
    assert vgsim.load(tmp_path / "study.sqlite").provenance["torch"] == version
    plain = vgsim.collect([vgsim.MLP(2, 3)], max_samples=2)
    assert "torch" not in plain.provenance


def test_modules_in_a_study_file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        """
        max_samples = 5
        [[sweep]]
        kind = "TorchModule"
        make = "torch_models:tanh_layers"
        input_shape = [[12]]
        arguments = {layers = [1, 3]}
        """
    )
    networks = list(read_study(path).networks)
    assert [network.depth for network in networks] == [2, 6]
    assert networks == vgsim.sweep(
        vgsim.TorchModule, make="torch_models:tanh_layers", input_shape=12, arguments__layers=[1, 3]
    )
