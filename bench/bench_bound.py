"""Lower bound of the time of the generator, from the instructions of its inner loop.

objdump (of binutils) lists the loop in the compiled module. Each class of instructions has its own
execution units, and all classes share the vector issue ports. So an iteration takes at least the
time of its slowest class, and at least the issue time of all instructions. Each pair of normals
takes one square root, which gives the number of vectors of normals per iteration.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter

from bench.pages import digits, markdown
from vgsim import _kernels

# Cycles per independent 512-bit instruction, measured on an AMD Zen 5 at 3.54 GHz.
CYCLES = {
    "multiply": 0.5,
    "add": 0.5,
    "widening multiply": 0.5,
    "shift": 0.5,
    "logic": 0.25,
    "divide": 2.4,
    "square root": 4.3,
    "other": 0.5,
}
ANY = 0.25  # four vector instructions per cycle
CLASSES = (
    ("widening multiply", r"v?pmul"),
    ("square root", r"v?sqrt"),
    ("divide", r"v?div"),
    ("multiply", r"v?mul"),
    ("shift", r"v?p(s[lr][la]|rol|ror)"),
    ("logic", r"v?(p?(and|or|xor|tern|blend)|blend)"),
    ("add", r"v?p?(add|sub)"),
    ("other", r"v?(cvt|min|max|cmp|p(cmp|min|max|shuf|unpck|broadcast|mov)|unpck|shuf|perm)"),
)
REGISTERS = {"base": "xmm", "avx2": "ymm", "avx512": "zmm"}


def measure(quick: bool) -> dict:
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", _kernels.__file__],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    functions = re.findall(r"<generate(?:\.\w+)?>:\n(.*?)(?:\n\n|\Z)", listing, re.S)
    return {
        f"{isa}, {dtype}": mix(loop)
        for isa in _kernels.available_isas()
        for dtype, suffix in (("float32", "ps"), ("float64", "pd"))
        for loop in [inner_loop(functions, REGISTERS[isa], suffix)]
    }


def inner_loop(functions, registers, suffix) -> list[str]:
    """Return the instructions of the innermost loop with the most square roots."""
    loops = [loop for text in functions for loop in innermost(text)]
    sqrt = re.compile(rf"\bv?sqrt{suffix}\s.*%{registers}")
    return max(loops, key=lambda loop: sum(bool(sqrt.search(line)) for line in loop))


def innermost(text):
    """Yield the innermost loops of a function: from the target of a backward jump to the jump."""
    code = [line.strip().split(":", 1) for line in text.splitlines() if ":" in line]
    place = {int(address, 16): i for i, (address, _) in enumerate(code)}
    lines = [line.strip() for _, line in code]
    spans = []
    for i, line in enumerate(lines):
        jump = re.match(r"j\w+\s+([0-9a-f]+)", line)
        if jump and place.get(int(jump[1], 16), i + 1) <= i:
            spans.append((place[int(jump[1], 16)], i))
    for a, b in spans:
        if not any(a <= c and d <= b for c, d in spans if (c, d) != (a, b)):
            yield lines[a : b + 1]


def mix(loop) -> dict[str, float]:
    """Return the number of instructions of each class per vector of normals."""
    count = Counter()
    for line in loop:
        if "mm" in line:
            name = line.split()[0]
            count[next((kind for kind, p in CLASSES if re.match(p, name)), "load, store")] += 1
        else:
            count["scalar"] += 1
    vectors = 2 * count["square root"]
    return {kind: n / vectors for kind, n in count.items()}


def tables(results: dict) -> dict[str, str]:
    kinds = [*CYCLES, "load, store", "scalar"]
    rows = [
        [kind, *(digits(loop.get(kind, 0)) for loop in results.values())]
        for kind in kinds
        if any(loop.get(kind) for loop in results.values())
    ]
    rows.append(["all", *(digits(sum(loop.values())) for loop in results.values())])
    wide = [name for name in results if name.startswith("avx512")]
    cycles = [
        [kind, *(digits(cost * results[name].get(kind, 0)) for name in wide)]
        for kind, cost in CYCLES.items()
        if any(results[name].get(kind) for name in wide)
    ]
    together = [sum(results[name].get(kind, 0) for kind in CYCLES) * ANY for name in wide]
    cycles.append(["all, four per cycle", *map(digits, together)])
    return {
        "instructions": markdown(["per vector of normals", *results], rows),
        "bound": markdown(["cycles per vector of normals", *wide], cycles),
    }
