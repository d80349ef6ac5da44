"""Networks with custom activations in files, stores and other processes."""

import multiprocessing
import sqlite3
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import vgsim
from vgsim._networks import custom_table
from vgsim._studies.merge import merge

LOAD = """
import sys, vgsim
found = vgsim.load(sys.argv[1])
net = found.network if hasattr(found, "network") else found[0].network
again = vgsim.simulate(net, 5, seed=2)
print(net.activation.name, float(again.log10_ratio.sum()).hex(), net.activation.value(0.5))
"""


def network(depth=4):
    phi = vgsim.Activation(
        "custom", function=lambda h: 2 * np.tanh(h / 2), derivative=lambda h: np.cosh(h / 2) ** -2.0
    )
    return vgsim.MLP(depth, 8, activation=phi)


def loaded_elsewhere(path):
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def expected(net):
    again = vgsim.simulate(net, 5, seed=2)
    return ["custom", float(again.log10_ratio.sum()).hex(), str(net.activation.value(0.5))]


@pytest.fixture
def forgets(monkeypatch):
    """Return a function after which this process knows no table, as a new one."""
    return lambda: monkeypatch.setattr(custom_table, "_known", {})


def test_samples_are_loaded_in_a_new_process(tmp_path):
    net, path = network(), tmp_path / "samples.npz"
    vgsim.simulate(net, 10).save(path)
    assert loaded_elsewhere(path) == expected(net)


def test_a_store_and_a_saved_study_are_loaded_in_a_new_process(tmp_path):
    net = network()
    study = vgsim.collect([net, vgsim.MLP(3, 8)], max_samples=1000, store=tmp_path / "a.sqlite")
    study.save(tmp_path / "study.npz")
    for name in ("a.sqlite", "study.npz"):
        assert loaded_elsewhere(tmp_path / name) == expected(net)


def test_a_list_with_a_custom_activation_is_loaded(tmp_path, forgets):
    phi = network().activation
    layers = [vgsim.Linear(8), phi, vgsim.Skip([phi, vgsim.Linear()]), vgsim.Gate([phi])]
    net = vgsim.Sequential(8, layers)
    samples = vgsim.simulate(net, 10)
    samples.save(tmp_path / "samples.npz")
    study = vgsim.collect([net], max_samples=1000, store=tmp_path / "a.sqlite")
    forgets()
    found = vgsim.load(tmp_path / "samples.npz")
    assert found.network == net
    assert np.array_equal(vgsim.simulate(found.network, 10).gradient, samples.gradient)
    assert vgsim.load(tmp_path / "a.sqlite") == study


def test_merged_stores_keep_the_tables(tmp_path, forgets):
    nets = [network(), network(5)]
    for name, net in zip("ab", nets, strict=True):
        vgsim.collect([net], max_samples=1000, store=tmp_path / f"{name}.sqlite")
    vgsim.collect([vgsim.MLP(3, 8)], max_samples=1000, store=tmp_path / "c.sqlite")
    forgets()
    merge([tmp_path / f"{name}.sqlite" for name in "abc"], tmp_path / "all.sqlite")
    forgets()
    study = vgsim.load(tmp_path / "all.sqlite")
    assert sorted(result.network.depth for result in study) == [3, 4, 5]


def test_a_study_resumes_from_its_store(tmp_path, forgets):
    path = tmp_path / "a.sqlite"
    vgsim.collect([network()], max_samples=1000, store=path)
    forgets()
    more = vgsim.collect([network()], max_samples=2000, store=path)
    assert more == vgsim.collect([network()], max_samples=2000)


def test_workers_of_other_processes_know_the_activation():
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as executor:
        study = vgsim.collect([network()], max_samples=2000, executor=executor)
    assert study == vgsim.collect([network()], max_samples=2000)


def test_a_store_without_the_table_says_that_the_description_is_lost(tmp_path, forgets):
    path = tmp_path / "a.sqlite"
    vgsim.collect([network(), vgsim.MLP(3, 8)], max_samples=1000, store=path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE activations SET content = x'00'")
    connection.close()
    forgets()
    with pytest.warns(match="description"):
        study = vgsim.load(path)
    assert [result.network.depth for result in study] == [3]
