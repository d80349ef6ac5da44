"""What the textbooks say of vanishing and exploding gradients, measured.

Without options all claims are measured, in some minutes, and written to docs/results/claims.json.
--page makes docs/claims.md and its figures from the stored results, without simulation.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from claims_measured.claim import read, stored, verdict
from claims_measured.measurement import Measurement
from claims_measured.page import number, page
from claims_measured.topics import CLAIMS

import vgsim

DOCS = Path(__file__).resolve().parents[1] / "docs"


def measured(name: str, quick: bool) -> dict[str, Any]:
    """Measure a claim; return its record as JSON types."""
    measurement, start = Measurement(quick), time.perf_counter()
    cases, figure = CLAIMS[name].measure(measurement)
    return {
        **stored(cases, figure),
        "networks": measurement.networks,
        "seconds": round(time.perf_counter() - start, 1),
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "provenance": machine(),
    }


def machine() -> dict[str, Any]:
    """Return the machine and the versions of a measurement."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    made = vgsim.simulate(vgsim.MLP(1, 1), 1).provenance
    cores = len(os.sched_getaffinity(0))
    return {"processor": names[0] if names else "unknown", "cores": cores, **made}


def load(path: Path) -> dict[str, Any]:
    """Return the stored records by name."""
    found: dict[str, Any] = {}
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else found


def store(path: Path, records: dict[str, Any]) -> None:
    """Write the records, one a line."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(record, ensure_ascii=False, allow_nan=False)}"
        for name, record in records.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def write_page(records: dict[str, Any]) -> None:
    """Write the page and the figures of all stored claims."""
    from claims_measured import figures

    folder = DOCS / "figures" / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    for name, record in records.items():
        figures.save(read(record)[1], folder / f"{name}.svg")
    (DOCS / "claims.md").write_text(page(records), encoding="utf-8")


def main() -> None:
    """Measure claims, or make the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--claim",
        nargs="+",
        choices=CLAIMS,
        default=list(CLAIMS),
        metavar="NAME",
        help="measure these",
    )
    parser.add_argument("--quick", action="store_true", help="few networks; nothing is stored")
    parser.add_argument("--page", action="store_true", help="make the page from stored results")
    parser.add_argument("--list", action="store_true", help="list the names of the claims")
    given = parser.parse_args()
    path = DOCS / "results" / "claims.json"
    records = load(path)
    if given.list:
        for name, claim in CLAIMS.items():
            print(f"{name:32} “{claim.sentence}”")
        return
    if given.page:
        write_page(records)
        return
    for name in given.claim:
        record = measured(name, given.quick)
        cases = read(record)[0]
        print(f"{name}: {verdict(cases)} ({record['seconds']:.1f} s)")
        for case in cases:
            print(f"    {case.outcome:6} {case.setting}: {case.quantity} {number(case)}")
        records[name] = record
        if not given.quick:
            store(path, {name: records[name] for name in CLAIMS if name in records})


if __name__ == "__main__":
    main()
