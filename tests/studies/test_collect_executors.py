"""One study has the same bits on threads, processes, Dask and MPI, and when workers are killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

import vgsim
from vgsim._studies.workers import Workers

STUDY = """
import vgsim
NETS = vgsim.sweep(vgsim.MLP, width=[16, 64], activation=["tanh", "relu"], depth=[5, 50])
ARGUMENTS = {
    "max_samples": 15_500,
    "stop": [vgsim.Precision(0.02, threshold=0.5), vgsim.Precision(0.02, event="dead", layer=2)],
    "thresholds": (1e-6, 0.5),
    "layers": (0, 2),
}
"""
exec(STUDY)
networks, arguments = NETS, ARGUMENTS  # noqa: F821


@pytest.fixture(scope="module")
def whole():
    """The study by threads of this process."""
    study = vgsim.collect(networks, **arguments)
    assert len({result.n for result in study}) > 2
    return study


def run_script(tmp_path, code, *command):
    """Run Python on a script with the study in it, in `tmp_path`; return what it writes."""
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

def main():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor()
        vgsim.collect(NETS, **ARGUMENTS, executor=executor).save("dask.npz")
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


def test_dask(whole, tmp_path):
    """By a cluster of two processes; then one of them is killed in mid-study."""
    pytest.importorskip("distributed", reason="needs dask.distributed")
    run_script(tmp_path, DASK, sys.executable)
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
        print(executor.num_workers)
    study.save("mpi.npz")
"""


def test_mpi(whole, tmp_path, mpiexec):
    done = run_script(tmp_path, MPI, *mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures")
    assert done.stdout.split() == ["2"]
    study = vgsim.load(tmp_path / "mpi.npz")
    assert study == whole
    assert study.provenance["executor"] == "MPIPoolExecutor"
    assert vgsim.collect(networks, **arguments, store=tmp_path / "store") == whole


def test_threads_of_a_unit(monkeypatch):
    """One in a worker of an executor, all of this process without; what is asked for wins."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with ThreadPoolExecutor(5) as executor:
        assert (Workers(executor, None).n_threads, Workers(executor, None).count) == (1, 5)
        assert (Workers(executor, 2).n_threads, Workers(executor, 2).count) == (2, 5)
    assert (Workers(None, None).n_threads, Workers(None, None).count) == (3, 1)
    assert (Workers(None, 2).n_threads, Workers(None, 2).count) == (2, 1)
