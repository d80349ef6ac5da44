"""The page of the claims in Markdown, from stored results only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from claims_measured.claim import Case, Claim, Figure, read, verdict
from claims_measured.measurement import LEVEL
from claims_measured.topics import CLAIMS
from claims_measured.trained import EVERY, RATE, STEPS, WIDTH

FINEST = 4  # decimals; less is rounding
HEAD = f"""\
# The claims, measured

What textbooks say of vanishing and exploding gradients, and what is measured at random
initialisation and, below *Learning*, in training. All numbers on this page were made by

```sh
python examples/claims.py
```

which stores them in [results/claims.json](results/claims.json); `--claim NAME` measures one claim,
`--page` makes this page and its figures from the stored results. R = log10(‖G_0‖/‖G_D‖) is the
gradient norm at the input relative to that at the output, in decades. *Vanishing* is R < −6,
*exploding* R > 6, *healthy* neither; *dead* is a gradient that is exactly 0. Networks have 128
units per layer (recurrent ones 64) and the initialisation that is usual for their activation,
unless the setting says otherwise. In the figures bands are {100 * LEVEL:g} % intervals, dashed
lines theory, grey lines R = ±6; some axes of R are linear to ±10 and logarithmic beyond.
[techniques.md](techniques.md) explains causes and remedies.

The claims on learning train networks of {WIDTH} units per layer with a linear read-out by
`vgsim.train`: scikit-learn's images of handwritten digits, reduced to {WIDTH} principal components,
{STEPS} steps of gradient descent with minibatches of 32 and the step size {RATE["sgd"]:g}, unless
the setting says otherwise. The loss is the mean of five recorded steps, each {EVERY} after the one
before; its baseline, ln 10, is that of guessing. A network has *learned* when the loss was below
half of the baseline, is *stuck* if it never was below 0.9 of the baseline or of its start, and has
*diverged* if the loss is not finite or ends above 1.1 times its start. *Movement* is the change of
a matrix W since its start, ‖W − W(0)‖/‖W(0)‖.

Each claim is measured in several cases. A case states the region in which its number would agree
with the claim: mostly a probability of at most 0.1 for "does not", or of at least 0.9 for "does".
The case *holds* if the whole {100 * LEVEL:g} % interval of the number lies in that region, *fails*
if none of it does, and is *open* otherwise. Typical cases are those that the sentence is usually
said of; the others, in italics, go beyond them. The verdict is computed from the outcomes:

- **true**: all cases hold;
- **true with conditions**: all typical cases hold, and another case does not;
- **depends**: some typical cases hold, others fail;
- **false**: all typical cases fail;
- **undecided**: the typical cases that are not open all hold or all fail, and one is open.

"""


def page(records: dict[str, Any]) -> str:
    """Return the page of all stored claims, in the order of the program."""
    known = {name: claim for name, claim in CLAIMS.items() if name in records}
    return HEAD + "\n".join(
        [
            "| claim | verdict | holds, for example | fails, for example |",
            "| --- | --- | --- | --- |",
            *(row(claim, read(records[name])[0]) for name, claim in known.items()),
            "",
            *sections(known, records),
            *provenance(records),
        ]
    )


def row(claim: Claim, cases: list[Case]) -> str:
    """Return the row of a claim in the first table."""
    cells = [f"[{claim.title}](#{claim.name}): “{claim.sentence}”", f"**{verdict(cases)}**"]
    for outcome in ("holds", "fails"):
        found = [case for case in cases if case.outcome == outcome]
        shown = [f"{case.setting}: {case.quantity} = {number(case)}" for case in found[:1]]
        cells.append(escaped("".join(shown)))
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Return the text for a cell of a Markdown table."""
    return text.replace("|", "\\|")


def sections(known: dict[str, Claim], records: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of all claims below the headings of their topics."""
    topic = ""
    for name, claim in known.items():
        cases, figure = read(records[name])
        if claim.topic != topic:
            topic = claim.topic
            yield f"## {topic}\n"
        yield from section(claim, cases, figure)


def section(claim: Claim, cases: list[Case], figure: Figure) -> Iterator[str]:
    """Yield the lines of one claim."""
    yield f"### {claim.title}\n"
    yield f"> “{claim.sentence}”\n"
    counts = " and ".join(
        f"{[case.outcome for case in found].count('holds')} of {len(found)} {kind}"
        for kind, typical in (("typical cases", True), ("others", False))
        if (found := [case for case in cases if case.typical is typical])
    )
    remark = claim.remark.format(*map(number, cases))
    yield f"**{verdict(cases).capitalize()}**: {counts} hold. {remark}\n"
    yield "| setting | number | measured | claim | outcome |"
    yield "| --- | --- | --- | --- | --- |"
    for case in cases:
        setting = case.setting if case.typical else f"*{case.setting}*"
        cells = (setting, case.quantity, number(case), region(case), case.outcome)
        yield "| " + " | ".join(map(escaped, cells)) + " |"
    if figure.kind == "points":
        yield from depths(figure)
    yield f"\n![{claim.title}](figures/claims/{claim.name}.svg)\n"
    yield f"{figure.caption}\n"


def depths(figure: Figure) -> Iterator[str]:
    """Yield a table of what each network costs and buys."""
    yield "\n| network | time per layer | critical depth |"
    yield "| --- | ---: | ---: |"
    for point in figure.series:
        depth = f"more than {point['beyond']:,}" if "beyond" in point else interval(point)
        yield f"| {point['label']} | × {point['x']:.2f} | {depth} |"


def interval(point: dict[str, Any]) -> str:
    """Return a stored estimate with its interval."""
    return number(Case("", "", point["estimate"], point["low"], point["high"], None, None))


def number(case: Case) -> str:
    """Return the number of a case with its interval, with the digits that this supports."""
    known = [x for x in (case.estimate, case.low, case.high) if x is not None]
    width = max(known) - min(known)
    digits = min(max(0, math.ceil(-math.log10(width / 2))), FINEST) if width > 0 else 3
    estimate, low, high = (
        sign if x is None else f"{round(x, digits) + 0.0:,.{digits}f}".replace("-", "−")
        for x, sign in ((case.estimate, "unknown"), (case.low, "−∞"), (case.high, "∞"))
    )
    return f"{estimate} ({low} to {high})"


def region(case: Case) -> str:
    """Return the region in which a number agrees with the claim."""
    low, high = (
        None if x is None else f"{x:.4g}".replace("-", "−") for x in (case.at_least, case.at_most)
    )
    if low is None:
        return f"≤ {high}"
    return f"≥ {low}" if high is None else f"{low} to {high}"


def provenance(records: dict[str, Any]) -> Iterator[str]:
    """Yield where and when the claims were measured."""
    yield "## Provenance\n"
    runs: dict[str, list[Any]] = {}
    for record in records.values():
        made = record["provenance"]
        text = (
            f"{made['cores']} cores of {made['processor']}, {made['isa']}, {made['compiler']}, "
            f"vgsim {made['vgsim']}, NumPy {made['numpy']}, Python {made['python']}"
        )
        runs.setdefault(text, []).append(record)
    for text, found in runs.items():
        seconds = sum(record["seconds"] for record in found)
        networks = sum(record["networks"] for record in found)
        last = max(record["time"] for record in found)
        yield (
            f"{len(found)} claims, {networks:,} networks, {seconds:.0f} s, until {last}: {text}. "
            "Seed 0: all simulated numbers have the same bits on every machine; times do not, nor do "
            "the numbers of trainings, which depend on rounding.\n"
        )
