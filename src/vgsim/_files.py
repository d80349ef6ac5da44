"""Samples in files: what a run was, and its arrays."""

from __future__ import annotations

import operator
import os
from typing import Any

from vgsim import _npz
from vgsim._network import network_from_json
from vgsim._samples import IDENTITY, Samples

__all__ = ["load", "save"]

KIND = "vgsim.Samples"


def save(samples: Samples, path: str | os.PathLike[str]) -> None:
    """Write `samples` to an .npz file: see :meth:`Samples.save`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._files import save
    >>> save(vgsim.simulate(vgsim.MLP(depth=10, width=32), 10), "no such folder/tanh.npz")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such folder/tanh.npz'
    """
    header = {name: getattr(samples, name) for name in (*IDENTITY, "provenance", "elapsed")}
    header["network"] = samples.network.canonical_json()
    header["seed"] = operator.index(samples.seed)
    arrays = {"index": samples.index, "layers": samples.layers, **samples._arrays}
    _npz.write(path, KIND, header, arrays)


def load(path: str | os.PathLike[str]) -> Samples:
    """Read the samples that :meth:`Samples.save` wrote.

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged, something else, or of a newer version of vgsim.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.load("no such file.npz")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.npz'
    """
    header, arrays = _npz.read(path, KIND)
    try:
        network = network_from_json(header.pop("network"))
        fields: dict[str, Any] = {**header, **arrays}
        return Samples(network, **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold consistent samples: {error}") from error
