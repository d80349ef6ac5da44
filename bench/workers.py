"""Processes of the peers: one per library and number of cores.

Each is bound to its cores before it loads its library, which chooses its number of threads from
them. Two libraries in one process would share OpenMP and memory. Messages between the processes
are not timed.
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
    """The calls of a peer at one setting, in its worker process."""

    def __init__(self, peer, depth, width, law, stack, cores):
        self.turn = PEERS[peer][1](depth, width, law, stack, cores)

    def run(self, repeats=1, clock="perf_counter"):
        """Return the seconds per network by a clock of `time`, and the statistic of each."""
        now = getattr(time, clock)
        started = now()
        statistics = [self.turn() for _ in range(repeats)]
        seconds = now() - started
        values = np.concatenate(statistics)
        return seconds / len(values), values


class Worker(BaseManager):
    """A worker process; `Worker.PeerTurn` makes a proxy of a turn in it."""


Worker.register("PeerTurn", PeerTurn)


def all_cores() -> list[int]:
    """Return the processors of this process."""
    return sorted(os.sched_getaffinity(0))


@contextmanager
def workers():
    """Yield workers by (library, number of cores): each installed library on one and all cores.

    The NumPy peer runs one network per core, with one BLAS thread each.
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
