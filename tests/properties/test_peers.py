"""The peers of the benchmark: log10 ‖G_0‖ of small networks has the law of vgsim's dense engine.

Each library runs in a process of its own, as in the benchmark. torch.compile is the identity here;
the benchmark itself checks the means of the compiled peers in every run.
"""

from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

import vgsim

ROOT = str(Path(__file__).parents[2])
DEPTH, WIDTH = 13, 5  # one group of compiled layers and a part of one
STACK, NETWORKS = 512, 2048
SINGLE = 512  # networks of peers without a stack
WEIGHTS = (
    "PyTorch loop",
    "PyTorch bmm",
    "torch.compile loop",
    "torch.compile bmm",
    "torch.func.vmap",
    "JAX jit(vmap(grad(scan)))",
    "NumPy",
    "Numba",
)
LAW = ("PyTorch, the law", "torch.compile, the law", "JAX jit(scan), the law")


@pytest.fixture(scope="module")
def bench():
    """The modules of the peers and a function that returns the worker of a library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        patch.setenv("TORCH_COMPILE_DISABLE", "1")
        from bench import law_peers, peers, workers

        started = {}

        def worker(library):
            if not find_spec(library):
                pytest.skip(f"needs {library}")
            if library not in started:
                started[library] = workers.Worker(ctx=get_context("spawn"))
                started[library].start()
            return started[library]

        yield peers.PEERS, law_peers.LAW_PEERS, worker
        for process in started.values():
            process.shutdown()


def check(turn, init, stack, n_samples):
    _, values = turn.run(n_samples // stack)
    assert len(values) == n_samples
    network = vgsim.MLP(DEPTH, WIDTH, activation="tanh", init=init)
    own = vgsim.simulate(network, 8192, layers=[0], engine="dense", seed=1)
    assert len(np.unique(values)) > 0.99 * n_samples  # every network is new
    assert ks_2samp(values, own.gradient[:, 0]).pvalue > 1e-5


@pytest.mark.parametrize("law", ["normal", "uniform"])
@pytest.mark.parametrize("peer", WEIGHTS)
def test_drawn_weights(bench, peer, law):
    peers, _, worker = bench
    library, _, stackable = peers[peer]
    stack = STACK if stackable else 1
    turn = worker(library).PeerTurn(peer, DEPTH, WIDTH, law, stack, 1)
    check(turn, f"lecun_{law}", stack, NETWORKS if stackable else SINGLE)


@pytest.mark.parametrize("peer", LAW)
def test_law(bench, peer):
    _, peers, worker = bench
    turn = worker(peers[peer][0]).LawTurn(peer, DEPTH, WIDTH, STACK)
    check(turn, "lecun_normal", STACK, NETWORKS)


def test_every_peer_is_tested(bench):
    peers, law_peers, _ = bench
    assert list(peers) == list(WEIGHTS)
    assert list(law_peers) == list(LAW)
