"""Peers run in processes of their own, each held to some of the cores before it loads anything.

A library sizes its thread pool by the cores it finds, and two libraries in one process would share
OpenMP and memory. Parent and workers talk between the timings only.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.managers import BaseManager

import numpy as np

from bench.peers import PEERS


class PeerTurn:
    """A peer at one setting, in its worker."""

    def __init__(self, peer, depth, width, law, stack, cores):
        self.turn = PEERS[peer][1](depth, width, law, stack, cores)

    def run(self, repeats=1):
        """Seconds a network, and the statistic of each network."""
        started = time.perf_counter()
        statistics = [self.turn() for _ in range(repeats)]
        seconds = time.perf_counter() - started
        values = np.concatenate(statistics)
        return seconds / len(values), values


class Worker(BaseManager):
    """A process that holds peers' turns; `Worker.PeerTurn` is a turn seen from here."""


Worker.register("PeerTurn", PeerTurn)


def all_cores() -> list[int]:
    """Processors of this process."""
    return sorted(os.sched_getaffinity(0))


@contextmanager
def workers():
    """Workers by (library, number of cores), for each installed library on one core and on all.

    NumPy's peer runs a network on each core, and so its BLAS has one thread for each of these.
    """
    cores = all_cores()
    libraries = dict.fromkeys(library for library, *_ in PEERS.values() if find_spec(library))
    with ExitStack() as stack:
        made = {}
        for count in sorted({1, len(cores)}):
            os.sched_setaffinity(0, cores[:count])
            try:
                for library in libraries:
                    worker = Worker(ctx=get_context("spawn"))
                    os.environ |= {"OPENBLAS_NUM_THREADS": "1"} if library == "numpy" else {}
                    worker.start()
                    os.environ.pop("OPENBLAS_NUM_THREADS", None)
                    stack.callback(worker.shutdown)
                    made[library, count] = worker
            finally:
                os.sched_setaffinity(0, cores)
        yield made
