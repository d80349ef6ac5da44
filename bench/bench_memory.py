"""Peak resident memory of new processes against depth, width and number of samples."""

from __future__ import annotations

import subprocess
import sys

from bench.pages import digits, markdown

PROGRAM = """
import sys, vgsim
depth, width, n_samples = map(int, sys.argv[1:])
if depth:
    vgsim.simulate(vgsim.MLP(depth, width), n_samples, layers=[0], n_threads=1)
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")))
"""
DEPTHS = (100, 1000, 10_000, 100_000, 1_000_000)
WIDTHS = (8, 128, 1024, 8192)
SAMPLES = (1_000, 10_000, 100_000, 1_000_000)


def measure(quick: bool) -> dict:
    last = -1 if quick else None
    runs = [
        *((depth, 32, 16) for depth in DEPTHS[:last]),
        *((100, width, 16) for width in WIDTHS[:last]),
        *((10, 8, n_samples) for n_samples in SAMPLES[:last]),
    ]
    return {
        "imported": peak(0, 0, 0),
        "runs": [
            {"depth": depth, "width": width, "samples": n, "bytes": peak(depth, width, n)}
            for depth, width, n in runs
        ],
    }


def peak(*arguments: int) -> int:
    """Return the peak resident memory in bytes, as the operating system reports it."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) << 10


def tables(results: dict) -> dict[str, str]:
    imported = results["imported"]
    rows = [
        [
            f"{run['depth']:,} × {run['width']:,}",
            f"{run['samples']:,}",
            digits(run["bytes"] / 2**20),
            digits(max(0, run["bytes"] - imported) / 2**20),
            digits(4 * run["depth"] * run["width"] ** 2 / 2**20),
        ]
        for run in results["runs"]
    ]
    header = ["depth × width", "samples", "peak, MiB", "beyond import, MiB"]
    return {"memory": markdown([*header, "weights of one network, MiB"], rows)}
