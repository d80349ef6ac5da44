"""Write docs/papers.md from the stored results of the papers: python examples/papers/page.py."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from comparison import DOCS, Number, row

PAPERS = (
    "glorot_bengio_2010",
    "pascanu_2013",
    "sussillo_abbott_2014",
    "jozefowicz_2015",
    "schoenholz_2017",
    "schoenholz_2017_training",
    "yang_schoenholz_2017",
    "pennington_2017",
    "klambauer_2017",
    "balduzzi_2017",
    "hanin_2018",
    "yang_2019",
    "lu_2019",
    "lu_2019_training",
    "zhang_2019",
    "hanin_nica_2020",
    "wang_2022",
    "yang_2022",
)
COLUMNS = ("what", "in the paper", "paper", "vgsim", "interval", "theory", "verdict")
HEAD = """# Papers reproduced

Numbers of papers about the gradients of random networks and about what such networks learn, beside
those that vgsim measures. In the root of a clone, `python examples/papers/NAME.py` measures those
of one paper, in a minute or two on two cores, and stores them in docs/results/papers. Those on
training take some minutes, and need `pip install 'vgsim[train]'`. `python examples/papers/page.py`
writes this page from what is stored.

Intervals are of {level:.0f} % confidence: one in {odds:.0f} misses the true value by chance. A ± at
the paper's number is its accuracy: half a unit of the last printed digit, or the terms that a limit
of infinite width neglects. *theory* is the value without simulation where one is known: exact at
the simulated width and depth, or, after ≈, in the limit of infinite width.

- *agrees*: the interval meets the paper's number within that accuracy, which a wide interval does
  more easily. *differs*: it does not; the deviation is that of the estimate.
- *holds*, *fails*, for a bound (≤, ≥): the whole interval lies on one side of it. Otherwise
  *undecided*.
- *compared*: the paper's number is of a limit, or of another setting than the simulated one, so the
  deviation says how far that carries and is no verdict on the paper.

The column "in the paper" says where the number is from, or how a statement in words was read as a
number. There is no interval (*none*) of a constant, of an extreme, or of a number that is the same
in all networks.

Of the {exact} intervals with an exact value, {inside} contain it.

"""


def load(name: str, folder: Path = DOCS) -> dict[str, Any]:
    """Return the stored results of a paper."""
    found: dict[str, Any] = json.loads((folder / "results" / "papers" / f"{name}.json").read_text())
    return found


def table(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a Markdown table."""
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in (columns, *rows)]
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return [lines[0], "|" + " --- |" * len(columns), *lines[1:]]


def section(stored: dict[str, Any]) -> list[str]:
    """Return the lines of one paper."""
    paper, key = stored["paper"], stored["paper"]["key"]
    lines = [f"## {paper['title']}", "", f"{paper['reference']}. {paper['setting']}", ""]
    lines += [*table(COLUMNS, [row(Number(**n)) for n in stored["numbers"]]), ""]
    lines += [paper["remark"], ""]
    if stored["figure"]:
        lines += [
            f"![{paper['caption']}](figures/papers/{key}.svg)",
            "",
            f"*{paper['caption']}*",
            "",
        ]
    return [*lines, "```sh", f"python examples/papers/{key}.py", "```", ""]


def page(folder: Path = DOCS) -> str:
    """Return the text of docs/papers.md."""
    stored = [load(name, folder) for name in PAPERS]
    numbers = [[Number(**n) for n in one["numbers"]] for one in stored]
    exact = [n for each in numbers for n in each if n.exact is not None]
    inside = sum(bool(n.contains_exact) for n in exact)
    level = stored[0]["confidence_level"]
    head = HEAD.format(level=100 * level, odds=1 / (1 - level), exact=len(exact), inside=inside)
    overview = []
    for one, each in zip(stored, numbers, strict=True):
        good = sum(n.verdict in ("agrees", "holds") for n in each)
        compared = sum(n.relation == "~" for n in each)
        overview.append((one["paper"]["reference"], good, len(each) - good - compared, compared))
    columns = ("paper", "agrees or holds", "differs, fails or undecided", "compared")
    lines = [*table(columns, overview), ""]
    for one in stored:
        lines += section(one)
    return head + "\n".join(lines)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else DOCS
    (folder / "papers.md").write_text(page(folder))
    print(f"{folder / 'papers.md'}: {len(PAPERS)} papers")
