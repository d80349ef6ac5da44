"""What this installation is: versions, compiler, instruction sets."""

from __future__ import annotations

import platform

import numpy as np

from vgsim import __version__, _kernels
from vgsim._random import STREAM_VERSION
from vgsim._threads import thread_count

__all__ = ["provenance", "show_config"]


def provenance() -> dict[str, str]:
    """Return what made a result, as strings: versions, compiler, instruction set, machine."""
    return {
        "vgsim": __version__,
        "stream_version": str(STREAM_VERSION),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": _kernels.COMPILER,
        "isa": _kernels.selected_isa(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def show_config() -> None:
    """Print what was compiled and what is used here.

    Raises
    ------
    ValueError
        If the environment variable VGSIM_ISA names an instruction set that is not available.

    Examples
    --------
    >>> import vgsim
    >>> vgsim.show_config()  # doctest: +ELLIPSIS
    vgsim ...
    """
    made = provenance()
    rows = {
        f"vgsim {made['vgsim']}": f"stream version {made['stream_version']}",
        "python": f"{made['python']}, numpy {made['numpy']}",
        "compiler": made["compiler"],
        "compiled for": ", ".join(_kernels.compiled_isas()),
        "available here": ", ".join(_kernels.available_isas()),
        "in use": f"{made['isa']} ({_kernels.lanes('float32')} float32 or "
        f"{_kernels.lanes('float64')} float64 samples side by side)",
        "threads": str(thread_count()),
    }
    for name, value in rows.items():
        print(f"{name:<16}{value}")
