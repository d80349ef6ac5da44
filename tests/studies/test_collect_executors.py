"""A study has the same bits on threads, processes, Dask and MPI, and when workers are killed."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from weakref import WeakValueDictionary

import pytest

import vgsim
from vgsim._studies import carried
from vgsim._studies.workers import Workers

STUDY = """
import numpy as np
import vgsim
NETS = vgsim.sweep(vgsim.MLP, width=[16, 64], activation=["tanh", "relu"], depth=[5, 50])
ARGUMENTS = {
    "max_samples": 15_500,
    "stop": [vgsim.Precision(0.02, threshold=0.5), vgsim.Precision(0.02, event="dead", layer=2)],
    "thresholds": (1e-6, 0.5),
    "layers": (0, 2),
}
DATA = np.random.default_rng(0).normal(size=(5000, 16))
ON_DATA = {"max_samples": 8000, "inputs": DATA}
"""
exec(STUDY)
networks, arguments, on_data = NETS, ARGUMENTS, ON_DATA  # noqa: F821
narrow = [network for network in networks if network.width == 16]


@pytest.fixture(scope="module")
def whole():
    """The study by threads of this process."""
    study = vgsim.collect(networks, **arguments)
    assert len({result.n for result in study}) > 2
    return study


@pytest.fixture(scope="module")
def drawn():
    """A study on data by threads of this process."""
    return vgsim.collect(narrow, **on_data)


def run_script(tmp_path, code, *command):
    """Run a script, preceded by the code of the study, in `tmp_path`; return its stdout."""
    (tmp_path / "script.py").write_text(STUDY + code)
    done = subprocess.run(
        [*command, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done


def pool(method="spawn"):
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))


def test_threads(whole):
    assert vgsim.collect(networks, **arguments, n_threads=1) == whole
    with ThreadPoolExecutor(3) as executor:
        assert vgsim.collect(networks, **arguments, executor=executor) == whole


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes(whole, tmp_path, method):
    with pool(method) as executor:
        study = vgsim.collect(networks, **arguments, executor=executor, store=tmp_path / "x")
    assert study == whole
    assert study.provenance["executor"] == "ProcessPoolExecutor"
    assert vgsim.collect(networks, **arguments, store=tmp_path / "x") == whole


def test_a_killed_process_ends_a_pool_but_not_a_study(whole, tmp_path):
    def killing():
        for k, _ in enumerate(studies):
            if k == 4:
                os.kill(next(iter(executor._processes)), signal.SIGKILL)

    with pool() as executor:
        studies = vgsim.iter_collect(networks, **arguments, executor=executor, store=tmp_path / "x")
        with pytest.raises(RuntimeError, match="make a new (one|executor) and call again"):
            killing()
    held = next(vgsim.iter_collect(networks, **arguments, store=tmp_path / "x"))
    assert 0 < sum(result.n for result in held) < sum(result.n for result in whole)
    with pool() as executor:
        study = vgsim.collect(networks, **arguments, executor=executor, store=tmp_path / "x")
    assert study == whole


DASK = """
import os, signal
from distributed import Client, LocalCluster
from vgsim._engine.data import Data

pickled = 0

def reduced(data):
    global pickled
    pickled += 1
    return Data, (data.digest, data.significands, data.exponents)

Data.__reduce__ = reduced

def main():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor()
        vgsim.collect(NETS, **ARGUMENTS, executor=executor).save("dask.npz")
        vgsim.collect(NETS[:4], **ON_DATA, executor=executor).save("data.npz")
        print(pickled)
        killed = False
        for study in vgsim.iter_collect(NETS, **ARGUMENTS, executor=executor, store="store"):
            if not killed and sum(result.n for result in study) > 10_000:
                os.kill(client.run(os.getpid).popitem()[1], signal.SIGKILL)
                killed = True
        assert killed
        study.save("killed.npz")

if __name__ == "__main__":
    main()
"""


def test_dask(whole, drawn, tmp_path):
    """On a cluster of two processes; then one of them is killed during the study.

    The client, and the scheduler in its process, pickle the data at most once each.
    """
    pytest.importorskip("distributed", reason="needs dask.distributed")
    done = run_script(tmp_path, DASK, sys.executable)
    assert int(done.stdout) <= 2
    assert vgsim.load(tmp_path / "data.npz") == drawn
    study = vgsim.load(tmp_path / "dask.npz")
    assert study == whole
    assert study.provenance["executor"] == "ClientExecutor"
    assert vgsim.load(tmp_path / "killed.npz") == whole
    assert vgsim.collect(networks, **arguments, store=tmp_path / "store") == whole


MPI = """
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        study = vgsim.collect(NETS, **ARGUMENTS, executor=executor, store="store")
        vgsim.collect(NETS[:4], **ON_DATA, executor=executor).save("data.npz")
        print(executor.num_workers)
    study.save("mpi.npz")
"""


def test_mpi(whole, drawn, tmp_path, mpiexec):
    done = run_script(tmp_path, MPI, *mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures")
    assert done.stdout.split() == ["2"]
    assert vgsim.load(tmp_path / "data.npz") == drawn
    study = vgsim.load(tmp_path / "mpi.npz")
    assert study == whole
    assert study.provenance["executor"] == "MPIPoolExecutor"
    assert vgsim.collect(networks, **arguments, store=tmp_path / "store") == whole


class Pool(ProcessPoolExecutor):
    """Two processes; records the pickled sizes of the submitted units."""

    def __init__(self, *initializer):
        super().__init__(2, multiprocessing.get_context("spawn"), *initializer)
        self.sizes = []

    def submit(self, function, /, *unit):
        self.sizes.append(len(pickle.dumps((function, unit))))
        return super().submit(function, *unit)


def note_arrivals(path):
    """Make this process write its id to a file whenever it receives data."""
    data = carried.Reference.data

    def noting(reference):
        with open(path, "a") as file:
            file.write(f"{os.getpid()}\n")
        return data(reference)

    carried.Reference.data = noting


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memory that can be lent")
def test_data_reach_each_process_once(drawn, tmp_path):
    with Pool(note_arrivals, (tmp_path / "arrivals",)) as executor:
        assert vgsim.collect(narrow, **on_data, executor=executor) == drawn
    arrivals = (tmp_path / "arrivals").read_text().split()
    assert 1 <= len(arrivals) == len(set(arrivals)) <= 2
    assert len(executor.sizes) > 4
    assert max(executor.sizes) < 4000


class Apart(Executor):
    """Two simulated worker processes, used in turn, each with its own data."""

    _max_workers = 2

    def __init__(self):
        self.memories = [(WeakValueDictionary(), None)] * 2
        self.sizes = []

    def submit(self, function, /, *unit):
        sent, worker, future = pickle.dumps((function, unit)), len(self.sizes) % 2, Future()
        self.sizes.append(len(sent))
        own = carried._here, carried._kept
        carried._here, carried._kept = self.memories[worker]
        try:
            function, unit = pickle.loads(sent)
            future.set_result(function(*unit))
        except Exception as error:
            future.set_exception(error)
        finally:
            self.memories[worker] = carried._here, carried._kept
            carried._here, carried._kept = own
        return future


@pytest.mark.parametrize("lending", [True, False])
def test_data_are_sent_where_they_cannot_be_lent(drawn, monkeypatch, lending):
    """At most twice to each worker: two units are submitted before its first error arrives."""
    if not lending:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif not hasattr(os, "memfd_create"):
        pytest.skip("needs memory that can be lent")
    executor = Apart()
    assert vgsim.collect(narrow, **on_data, executor=executor) == drawn
    with_data = sum(size > on_data["inputs"].nbytes for size in executor.sizes)
    assert with_data == 0 if lending else 2 <= with_data <= 4


def test_threads_of_a_pool_have_the_data(drawn, monkeypatch):
    """Threads share the data of the process, and keep them only during the study."""
    monkeypatch.setattr(carried, "_kept", None)  # data that other tests brought here
    with ThreadPoolExecutor(2) as executor:
        assert vgsim.collect(narrow, **on_data, executor=executor) == drawn
    assert carried._kept is None


def test_threads_of_a_unit(monkeypatch):
    """By default one with an executor and all without; `n_threads` overrides both."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with ThreadPoolExecutor(5) as executor:
        assert (Workers(executor, None).n_threads, Workers(executor, None).count) == (1, 5)
        assert (Workers(executor, 2).n_threads, Workers(executor, 2).count) == (2, 5)
    assert (Workers(None, None).n_threads, Workers(None, None).count) == (3, 1)
    assert (Workers(None, 2).n_threads, Workers(None, 2).count) == (2, 1)
