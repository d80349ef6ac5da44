"""Run benchmarks and write their tables: ``python -m bench``, in the root of a clone.

Results are saved in bench/results/*.json. Their tables are written to bench/results/table.md, and
into the pages that include them. A quick run only prints its tables.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import time

# Variables that fix the processor type, cache size or number of threads of BLAS or OpenMP would
# slow the peers down. NumPy reads them when it is first imported.
for variable in [*os.environ]:
    if variable.startswith(("BLIS_", "GOTO_", "MKL_", "NUMBA_", "OMP_", "OPENBLAS_", "VECLIB_")):
        del os.environ[variable]

PARTS = (
    "peers",
    "techniques",
    "composed",
    "roofline",
    "scaling",
    "memory",
    "studies",
    "training",
    "profile",
    "bound",
)
TOOLS = {"profile": "valgrind", "bound": "objdump"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"default: {' '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="about two minutes; nothing is saved")
    parser.add_argument(
        "--tables", action="store_true", help="only write the tables of saved results"
    )
    arguments = parser.parse_args()
    if not set(arguments.parts) <= set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")

    for part in () if arguments.tables else arguments.parts or PARTS:
        if shutil.which(TOOLS.get(part, "true")):
            run(part, arguments.quick)
        else:
            print(f"\n{part}: skipped, needs {TOOLS[part]}")
    if not arguments.quick:
        include()


def run(part: str, quick: bool) -> None:
    """Measure one part, print its tables, and save its record unless `quick`."""
    from bench import pages
    from bench.machine import machine

    started = time.perf_counter()
    record = {"machine": machine(), "results": bench(part).measure(quick)}
    record["seconds"] = round(time.perf_counter() - started, 1)
    for name, table in laid_out(part, record).items():
        print(f"\n{name}\n\n{table}", flush=True)
    if not quick:
        pages.save(part, record)


def include() -> None:
    """Write the tables of all saved records into the pages."""
    from bench import pages

    kept = {part: pages.load(part) for part in PARTS}
    tables = [laid_out(part, record) for part, record in kept.items() if record]
    pages.include({name: table for made in tables for name, table in made.items()})


def bench(part: str):
    return importlib.import_module(f"bench.bench_{part}")


def laid_out(part: str, record: dict) -> dict[str, str]:
    """Return the tables of a part by name, each followed by its machine and duration."""
    from bench.machine import sentence

    note = f"\n{sentence(record['machine'])}; {record['seconds']:.0f} s.\n"
    return {name: table + note for name, table in bench(part).tables(record["results"]).items()}


if __name__ == "__main__":
    main()
