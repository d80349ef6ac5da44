"""What a result was measured on."""

from __future__ import annotations

import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vgsim import _kernels
from vgsim._engine.run import provenance

LIBRARIES = ("scipy", "torch", "jax", "jaxlib", "numba")


def processor() -> str:
    """The processor's name as the system gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def machine() -> dict[str, object]:
    """Processor, cores, instruction sets, compiler, versions, load, time."""
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
    """One line for the reader of a table."""
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['isa']}, "
        f"{machine['compiler']}, vgsim {machine['vgsim']}, NumPy {machine['numpy']}, "
        f"PyTorch {machine['torch']}, JAX {machine['jax']}, Numba {machine['numba']}; "
        f"{machine['time']}"
    )
