"""Files of results: JSON, Markdown tables, and the pages that include them.

A page includes a table between two lines:

    <!-- bench: peers -->
    <!-- end of bench -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / page for page in ("performance.md", "scale.md", "techniques.md")),
]


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table, with the first column left-aligned and the others right-aligned."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *rest = zip(row, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(cells[0]), line(rule), *map(line, cells[1:])]) + "\n"


def digits(value: float, n: int = 3) -> str:
    """Return `value` as text with n significant digits and separated thousands."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{n}g}")
    decimals = max(0, n - len(str(int(abs(rounded)))) + (abs(rounded) < 1))
    if abs(rounded) < 0.1:
        return f"{rounded:.{n}g}"
    return f"{rounded:,.{decimals}f}"


def span(ratio: dict[str, float]) -> str:
    """Return a ratio as text: median (least–greatest)."""
    return f"{digits(ratio['median'])} ({digits(ratio['low'])}–{digits(ratio['high'])})"


def save(name: str, record: dict) -> None:
    """Save the record of a part."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def load(name: str) -> dict | None:
    """Return the saved record of a part; None if there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def include(tables: dict[str, str]) -> list[Path]:
    """Write all tables to results/table.md and into the pages that include them."""
    RESULTS.mkdir(exist_ok=True)
    text = "\n".join(f"### {name}\n\n{table}" for name, table in tables.items())
    (RESULTS / "table.md").write_text(text, encoding="utf-8")
    changed = []
    for page in filter(Path.exists, PAGES):
        before = after = page.read_text(encoding="utf-8")
        for name, table in tables.items():
            place = rf"(<!-- bench: {re.escape(name)} -->\n).*?(<!-- end of bench -->)"
            after = re.sub(
                place, lambda m, t=table: m[1] + "\n" + t + "\n" + m[2], after, flags=re.S
            )
        if after != before:
            page.write_text(after, encoding="utf-8")
            changed.append(page)
    return changed
