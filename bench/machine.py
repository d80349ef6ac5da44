"""The machine and software of a measurement."""

from __future__ import annotations

import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vgsim import _kernels
from vgsim._engine.run import provenance

LIBRARIES = ("scipy", "torch", "jax", "jaxlib", "numba")


def processor() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def machine() -> dict[str, object]:
    """Return processor, cores, instruction sets, compiler, versions, load and time."""
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "not installed"
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "isas": list(_kernels.available_isas()),
        **provenance(),
        **versions,
        "load": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def sentence(machine: dict[str, object]) -> str:
    """Return the line below a table that describes the machine."""
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['isa']}, "
        f"{machine['compiler']}, vgsim {machine['vgsim']}, NumPy {machine['numpy']}, "
        f"PyTorch {machine['torch']}, JAX {machine['jax']}, Numba {machine['numba']}; "
        f"{machine['time']}"
    )
