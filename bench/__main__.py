"""Measure, keep the results, and fill the pages: ``python -m bench``, from the checkout.

Results go to bench/results/*.json; their tables to bench/results/table.md, and into README.md and
docs/performance.md where these have a place for them. A quick run goes to the screen only.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time

# Variables that pin the BLAS to one processor type, cache size or number of threads would handicap
# the peers; they are read when NumPy is first imported.
for variable in [*os.environ]:
    if variable.startswith(("BLIS_", "GOTO_", "MKL_", "NUMBA_", "OMP_", "OPENBLAS_", "VECLIB_")):
        del os.environ[variable]

PARTS = ("peers", "roofline", "scaling", "memory")
ALL = (*PARTS, "profile")


def main() -> None:
    from bench import pages
    from bench.machine import machine

    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (default: all), or profile"
    )
    parser.add_argument("--quick", action="store_true", help="under a minute, for a look")
    parser.add_argument("--tables", action="store_true", help="only lay out the kept results")
    arguments = parser.parse_args()

    for part in () if arguments.tables else arguments.parts or PARTS:
        started = time.perf_counter()
        record = {"machine": machine(), "quick": arguments.quick}
        record["results"] = bench(part).measure(arguments.quick)
        record["seconds"] = round(time.perf_counter() - started, 1)
        for name, table in laid_out(part, record).items():
            print(f"\n{name}\n\n{table}", flush=True)
        if not arguments.quick:
            pages.save(part, record)
    if not arguments.quick:
        kept = {part: pages.load(part) for part in ALL}
        tables = [laid_out(part, record) for part, record in kept.items() if record]
        pages.include({name: text for made in tables for name, text in made.items()})


def bench(part):
    return importlib.import_module(f"bench.bench_{part}")


def laid_out(part, record):
    """The tables of a part by name, each with what it was measured on."""
    from bench.machine import sentence

    note = f"\n{sentence(record['machine'])}; {record['seconds']} s.\n"
    return {name: table + note for name, table in bench(part).tables(record["results"]).items()}


if __name__ == "__main__":
    main()
