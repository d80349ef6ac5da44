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


def main() -> None:
    from bench import pages
    from bench.machine import machine, sentence

    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (default: all), or profile"
    )
    parser.add_argument("--quick", action="store_true", help="under a minute, for a look")
    parser.add_argument("--tables", action="store_true", help="only lay out the kept results")
    arguments = parser.parse_args()

    tables = {}
    for part in arguments.parts or PARTS:
        bench = importlib.import_module(f"bench.bench_{part}")
        record = pages.load(part) if arguments.tables else None
        if not arguments.tables:
            started = time.perf_counter()
            record = {"machine": machine(), "quick": arguments.quick}
            record["results"] = bench.measure(arguments.quick)
            record["seconds"] = round(time.perf_counter() - started, 1)
            if not arguments.quick:
                pages.save(part, record)
        if record:
            note = f"\n{sentence(record['machine'])}\n"
            made = {name: table + note for name, table in bench.tables(record["results"]).items()}
            tables |= made
            for name, table in made.items():
                print(f"\n{name} ({record['seconds']} s)\n\n{table}", flush=True)
    if not arguments.quick:
        kept = {}
        pages.include(tables)


if __name__ == "__main__":
    main()
