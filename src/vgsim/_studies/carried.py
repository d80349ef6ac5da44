"""The data of a study on their way to the workers: once to each, and not with every unit of work.

Dask brings an object to each of its workers once, and only there a unit needs it. Any other
executor offers nothing but `submit`. Its workers are on this machine as a rule, and map the memory
in which `Lent` holds the data: nothing is copied, no file is left behind even by a killed process,
and all workers of a machine share it. A worker that finds nothing there, as one of MPI on another
machine, raises `DataMissingError`; the unit is submitted again together with the data, and the
worker keeps them. So no executor needs a network connection, an initialiser, or a disk of its own.
"""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass
from typing import IO
from weakref import WeakValueDictionary

import numpy as np

from vgsim._engine.data import Data

__all__ = ["DataMissingError", "Lent", "Reference", "reached"]

HEADER = 128  # bytes: the digest, filled up

_here: WeakValueDictionary[str, Data] = WeakValueDictionary()  # what this process lends or keeps
_kept: Data | None = None  # what came last from another process


class DataMissingError(Exception):
    """A worker can reach the data of its unit neither in its memory nor in the lender's."""


@dataclass(frozen=True)
class Reference:
    """What a unit carries in place of data: their digest and shape, and where they lie."""

    digest: str
    shape: tuple[int, int]
    path: str

    def data(self) -> Data:
        """Map the memory that holds the data.

        Raises
        ------
        DataMissingError
            If they are not there.
        """
        rows, width = self.shape
        try:
            found = os.stat(self.path)  # elsewhere the path may be that of anything, as of a pipe
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
        return Data(self.digest, significands.reshape(self.shape), exponents)


class Lent:
    """Data in memory that the other processes of this machine can map, until it is closed.

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
        except (AttributeError, OSError):  # not on this system, or not so much memory: none is lent
            self.close()
        self.reference = Reference(data.digest, data.shape, path)
        _here[data.digest] = data

    def close(self) -> None:
        """Lend no more; the memory is free when the last worker has let it go."""
        if self._file is not None:
            self._file.close()
            self._file = None


def reached(carried: Data | Reference) -> Data:
    """Return the data that a unit brought or refers to; a process keeps the last that it got.

    Raises
    ------
    DataMissingError
        If they cannot be reached from here.

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
