"""Transfer of a study's input data to its workers: once per worker, not with every unit of work.

Dask sends an object once to each worker that needs it. Other executors offer only `submit`; their
workers usually run on this machine, and map the shared memory in which `Lent` holds the data.
Nothing is copied, and a killed process leaves no file behind. A worker that cannot map the memory,
such as an MPI process on another machine, raises `DataMissingError`. The unit of work is then
submitted again together with the data, which the worker keeps.
"""

from __future__ import annotations

import math
import mmap
import os
import stat
from dataclasses import dataclass
from typing import IO
from weakref import WeakValueDictionary

import numpy as np

from vgsim._engine.data import Data

__all__ = ["DataMissingError", "Lent", "Reference", "reached"]

HEADER = 128  # bytes: the digest, padded

_here: WeakValueDictionary[str, Data] = WeakValueDictionary()  # data in this process, by digest
_kept: Data | None = None  # the data last received from another process


class DataMissingError(Exception):
    """The data of a unit of work are neither in the worker's memory nor in shared memory."""


@dataclass(frozen=True)
class Reference:
    """Digest, shape and shared-memory path of data; a unit of work carries it instead of them."""

    digest: str
    shape: tuple[int, ...]
    path: str

    def data(self) -> Data:
        """Return the data, mapped from shared memory.

        Raises
        ------
        DataMissingError
            If the path does not hold them.
        """
        *rows_and_tokens, width = self.shape
        rows = math.prod(rows_and_tokens)
        try:
            found = os.stat(self.path)  # on another machine, the path may be another file or a pipe
            if not stat.S_ISREG(found.st_mode) or found.st_size != HEADER + 8 * rows * (width + 1):
                raise DataMissingError
            with open(self.path, "rb") as file:
                if file.read(HEADER).rstrip(b"\0") != self.digest.encode():
                    raise DataMissingError
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            raise DataMissingError from None
        significands = np.frombuffer(memory, np.float64, rows * width, HEADER)
        exponents = np.frombuffer(memory, np.int64, rows, HEADER + significands.nbytes)
        tokens = self.shape[1] if len(self.shape) == 3 else 1
        return Data(self.digest, significands.reshape(rows, width), exponents, tokens)


class Lent:
    """Data in shared memory that other processes of this machine can map until `close`.

    Parameters
    ----------
    data : Data

    Attributes
    ----------
    reference : Reference

    Examples
    --------
    >>> from vgsim._engine.data import checked_data
    >>> from vgsim._studies.carried import Lent
    >>> lent = Lent(checked_data([[1, 2], [0.5, 0.25]]))
    >>> lent.reference.data().values.tolist()
    [[1.0, 2.0], [0.5, 0.25]]
    >>> lent.close()
    """

    def __init__(self, data: Data) -> None:
        self._file: IO[bytes] | None = None
        path = ""
        try:
            self._file = os.fdopen(os.memfd_create("vgsim"), "wb")
            self._file.write(data.digest.encode().ljust(HEADER, b"\0"))
            self._file.write(data.significands.data)
            self._file.write(data.exponents.data)
            self._file.flush()
            path = f"/proc/{os.getpid()}/fd/{self._file.fileno()}"
        except (AttributeError, OSError):  # no memfd on this system, or too little memory
            self.close()
        self.reference = Reference(data.digest, data.shape, path)
        _here[data.digest] = data

    def close(self) -> None:
        """Stop sharing; the memory is freed when the last worker has unmapped it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def reached(carried: Data | Reference) -> Data:
    """Return the data that a unit of work carries or refers to; a process keeps the last received.

    Raises
    ------
    DataMissingError
        If this process cannot map them.

    Examples
    --------
    >>> from vgsim._engine.data import checked_data
    >>> from vgsim._studies.carried import Reference, reached
    >>> data = checked_data([[1, 2], [0.5, 0.25]])
    >>> reached(data) is reached(Reference(data.digest, data.shape, "nowhere")) is data
    True
    """
    global _kept
    data = _here.get(carried.digest)
    if data is None:
        data = carried.data() if isinstance(carried, Reference) else carried
        _here[data.digest] = _kept = data
    return data
