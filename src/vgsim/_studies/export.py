"""Export of a study: NetCDF, CSV and .npz."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vgsim._checks import value_error
from vgsim._results import files
from vgsim._results.labelled import imported
from vgsim._studies.study import Study

__all__ = ["WRITERS", "check_new", "export"]


def export(study: Study, path: str | os.PathLike[str]) -> None:
    """Write `study` to a new file, atomically; the suffix of the path gives the format.

    Parameters
    ----------
    study : Study
    path : path-like
        Ends in .nc (NetCDF, by h5netcdf), .csv (the rows of :meth:`Study.to_dataframe`) or .npz
        (:meth:`Study.save`).

    Raises
    ------
    ValueError
        If the suffix is another, the file exists, or the study does not fit the format.
    ImportError
        If a package that writes the format is not installed.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.collect import collect
    >>> from vgsim._studies.export import export
    >>> study = collect([vgsim.MLP(5, 8)], max_samples=1000)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(study, f"{folder}/study.npz")
    ...     vgsim.load(f"{folder}/study.npz") == study
    True
    """
    out = check_new(path)
    with files.whole(out) as temporary:
        WRITERS[out.suffix](study, temporary)


def check_new(path: str | os.PathLike[str]) -> Path:
    """Return a path that `export` can write to.

    Raises
    ------
    ValueError
        If its suffix is not that of a format, the file exists, or its folder does not exist.

    Examples
    --------
    >>> from vgsim._studies.export import check_new
    >>> check_new("study.doc")
    Traceback (most recent call last):
    ValueError: out must end in one of .nc, .csv, .npz, got 'study.doc'
    """
    out = Path(path)
    if out.suffix not in WRITERS:
        raise value_error("out", f"must end in one of {', '.join(WRITERS)}, got {str(out)!r}")
    files.check_new(out)
    if not out.parent.is_dir():
        raise value_error("out", f"must be in a folder that exists, got {str(out)!r}")
    return out


def _netcdf(study: Study, path: Path) -> None:
    for package in ("h5netcdf", "h5py"):
        imported(package, "NetCDF")
    study.to_xarray().to_netcdf(path, engine="h5netcdf")


def _csv(study: Study, path: Path) -> None:
    study.to_dataframe().to_csv(path, index=False)


WRITERS: dict[str, Callable[[Study, Path], None]] = {
    ".nc": _netcdf,
    ".csv": _csv,
    ".npz": Study.save,
}
