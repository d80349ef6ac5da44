"""Executors by name: process:4, dask:tcp://scheduler:8786 or mpi."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

from vgsim._results.labelled import imported

__all__ = ["executor_of"]


@contextmanager
def executor_of(name: str | None) -> Iterator[Executor | None]:
    """Open the executor of that name, and shut it down at the end; None yields None.

    With "mpi", in ``mpiexec -n 4 vgsim …``, only the first process runs the ``with`` block. The
    others are its workers, and exit at the end.

    Raises
    ------
    ImportError
        If a package that the executor needs is not installed.
    OSError
        If no scheduler answers at the address.

    Examples
    --------
    >>> from vgsim._cli.executors import executor_of
    >>> with executor_of("process:2") as executor:
    ...     executor.submit(sum, [1, 2]).result()
    3
    """
    kind, _, value = (name or "").partition(":")
    if kind == "process":
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(int(value), context, _end_with, (os.getpid(),)) as pool:
            yield pool
    elif kind == "dask":
        distributed = imported("distributed", "the executor dask")
        with distributed.Client(value, set_as_default=False) as client:
            yield client.get_executor()
    elif kind == "mpi":
        try:
            futures = imported("mpi4py.futures", "the executor mpi")
        except RuntimeError as error:  # mpi4py without an MPI library
            raise ImportError(f"the executor mpi needs an MPI library: {error}") from error
        first = False
        with futures.MPICommExecutor() as pool:
            if first := pool is not None:
                yield pool
        if not first:
            raise SystemExit(0)
    else:
        yield None


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
