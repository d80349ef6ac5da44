"""Samples in files: what a run was, and its arrays; and load(), which reads all there is."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgsim import _npz, _study_files
from vgsim._network import network_from_json
from vgsim._samples import IDENTITY, Samples

if TYPE_CHECKING:
    from vgsim._study import Study

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


def load(path: str | os.PathLike[str]) -> Samples | Study:
    """Read what :meth:`Samples.save` or :meth:`Study.save` wrote, or the store of a study.

    Parameters
    ----------
    path : path-like
        A file, or the folder that :func:`collect` was given as `store`: all samples that it holds,
        from index 0 on, of every network. It may be growing.

    Returns
    -------
    Samples or Study

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
    if isinstance(path, (str, os.PathLike)) and Path(path).is_dir():
        from vgsim._store_contents import stored_study

        return stored_study(path)
    if _npz.kind_of(path) == _study_files.KIND:
        return _study_files.load(path)
    header, arrays = _npz.read(path, KIND)
    try:
        network = network_from_json(header.pop("network"))
        fields: dict[str, Any] = {**header, **arrays}
        return Samples(network, **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold consistent samples: {error}") from error
