"""Instructions of a matrix-free pass by source file and by function, counted by callgrind.

Inlined code counts for the file in which it is written, so rows are purposes (random words,
elementary functions, …) and columns are the functions that call them. The unit is instructions per
vector of normals, one normal per lane. Needs valgrind, which cannot run AVX-512.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.pages import digits, markdown
from vgsim import _kernels

DEPTH, WIDTH = 500, 128
PROGRAM = """
import vgsim
from vgsim import _kernels
network = vgsim.MLP({depth}, {width}, activation="tanh")
vgsim.simulate(network, _kernels.lanes("float32"), layers=[0], n_threads=1)
"""
ENTRY = "run"  # the function of the kernel that simulates a lane group
LINE = re.compile(r"^\s*([\d,]+) \([^)]*\)\s+(?:\S*/)?([^/\s:]+):(\S+)", re.MULTILINE)
LEAST = 0.01  # files and functions below this fraction are summed as "other"


def measure(quick: bool) -> dict:
    isas = [isa for isa in _kernels.available_isas() if isa != "avx512"]
    return {isa: instructions(isa) for isa in isas[-1 if quick else 0 :]}


def instructions(isa: str) -> list[tuple[str, str, float]]:
    """Return (file, function, instructions per vector of normals), in descending order."""
    with tempfile.TemporaryDirectory() as directory:
        counts = Path(directory, "callgrind.out")
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}"]
        part = ["--collect-atstart=no", f"--toggle-collect={ENTRY}"]
        program = PROGRAM.format(depth=DEPTH, width=WIDTH)
        run([*tool, *part, sys.executable, "-c", program], VGSIM_ISA=isa)
        text = run(["callgrind_annotate", "--auto=no", "--threshold=100", str(counts)])
    found = Counter()
    for count, file, function in LINE.findall(text):
        file = "intrinsics" if file.endswith("intrin.h") else file
        found[file, function] += int(count.replace(",", ""))
    if not found:
        raise RuntimeError(f"callgrind saw no function {ENTRY!r} in the {isa} kernels:\n{text}")
    vectors = 2 * WIDTH * DEPTH
    return [(*place, count / vectors) for place, count in found.most_common()]


def run(command: list[str], **variables: str) -> str:
    done = subprocess.run(
        command, env=os.environ | variables, check=True, capture_output=True, text=True
    )
    return done.stdout


def tables(results: dict) -> dict[str, str]:
    return {f"profile {isa}": matrix(entries) for isa, entries in results.items()}


def matrix(entries) -> str:
    """Return the table of files and functions, with small ones summed as "other"."""
    total = sum(count for *_, count in entries)

    def main(axis):
        sums = Counter()
        for entry in entries:
            sums[entry[axis]] += entry[2]
        return [name for name, count in sums.most_common() if count >= LEAST * total]

    files, functions = main(0), main(1)
    sums = Counter()
    for file, function, count in entries:
        row = file if file in files else "other"
        column = function if function in functions else "other"
        for place in ((row, column), (row, "all"), ("all", column), ("all", "all")):
            sums[place] += count
    rows = [name for name in (*files, "other", "all") if (name, "all") in sums]
    columns = [name for name in (*functions, "other", "all") if ("all", name) in sums]
    return markdown(
        ["", *columns, "share"],
        [
            [
                row,
                *(digits(sums[row, column]) if sums[row, column] else "" for column in columns),
                f"{100 * sums[row, 'all'] / total:.0f} %",
            ]
            for row in rows
        ],
    )
