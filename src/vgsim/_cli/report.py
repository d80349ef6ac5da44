"""The command vgsim report."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import vgsim
from vgsim._cli.figures import check_output, new_figure
from vgsim._cli.options import path
from vgsim._cli.plot import add_files, refuse_for_samples, samples_in
from vgsim._cli.report_figures import sample_pictures, study_pictures
from vgsim._cli.report_page import Block, Page, Section, check_jinja, rendered, table_of
from vgsim._cli.study_toml import study_toml
from vgsim._results import files
from vgsim._results.events import limits_in_words
from vgsim._results.joined import merged_provenance
from vgsim._results.samples import Samples
from vgsim._studies.columns import differing, label_columns, ordered, words
from vgsim._studies.contents import contents
from vgsim._studies.load import is_store
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.status import Target, targets
from vgsim._studies.study import Study

__all__ = ["add_report_command", "report"]

REPORT = """\
Write a report of a study or of samples: one HTML page with figures, a table, warnings, provenance,
and the commands that repeat it. The page holds everything that it shows and loads nothing."""
REPORT_MORE = """\
examples:
  vgsim report depth.sqlite -o depth.html
  vgsim report samples.npz -o samples.html"""
MOST_VALUES = 12  # of a swept field in the text
MOST_NAMED = 3  # networks in a warning
UNSAID = ("steps", "stream_version")
DEFINITIONS = (
    (
        "R, R_l",
        "log10(‖G_l‖/‖G_D‖), in decades: G_l is the gradient of the loss with respect to the "
        "output of layer l, G_D that at the output of the network, G_0 that at its input. Norms "
        "run over all units and all examples of a batch.",
    ),
    ("n", "Number of samples: random networks, each with its own weights and input."),
    ("P(vanishing), P(R < …)", "Fraction of samples with ‖G_l‖/‖G_D‖ below the threshold."),
    ("P(exploding), P(R > …)", "Fraction of samples with ‖G_l‖/‖G_D‖ above 1/threshold."),
    ("P(dead)", "Fraction of samples with G_l exactly zero; these count as vanishing, too."),
    ("mean, std", "Mean and standard deviation of R_l over the samples that are not dead."),
    ("5 %, median, 95 %", "Quantiles of R_l over all samples; R_l of a dead sample is −∞."),
)

LIMITS = (
    "[low, high], (< x), (> x)",
    "95 % confidence interval of a probability; of 0 or 1, the limit that is not 0 or 1.",
)


def add_report_command(commands: Any) -> None:
    """Add ``vgsim report`` to the commands of vgsim."""
    parser = commands.add_parser(
        "report",
        help="one HTML page about a study or samples",
        description=REPORT,
        epilog=REPORT_MORE,
    )
    add_files(parser)
    parser.add_argument(
        "-o", "--out", type=path, required=True, metavar="PAGE", help="a file ending in .html"
    )
    parser.set_defaults(function=report, parser=parser)


def report(options: argparse.Namespace) -> None:
    """Write the report of a study or of samples."""
    check_jinja()
    new_figure()
    check_output("out", options.out, (".html",), options.files)
    text = rendered(_page(options))
    with files.whole(options.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"wrote {options.out}", file=sys.stderr)


def _page(options: argparse.Namespace) -> Page:
    """Return the report of the files of the options."""
    if (samples := samples_in(options.files)) is not None:
        refuse_for_samples(options, ("layers", "thresholds"))
        return _samples_page(options, samples)
    goals: dict[str, Target] = {}
    for file in options.files:
        goals |= targets(file) if not file.is_dir() and is_store(file) else {}
    watched = any(goal.rules for goal in goals.values())
    found = contents(options.files, options.layers, options.thresholds, watched)
    warnings = [f"Damaged, and not used: {what}; {why}." for what, why in found.damaged]
    for file, progress in found.progress.items():
        if progress.runs:
            processes = _count(progress.runs, "process", "processes")
            warnings.append(f"{processes} were adding samples to {Path(file).name}.")
    studies = [part for study in found.studies for part in _alike(study)]
    warnings += [line for study in studies for line in _unmet(study, goals)]
    results = [result for study in studies for result in study]
    made: dict[str, str] = reduce(merged_provenance, (one.provenance for one in studies), {})
    samples_in_all = sum(result.n for result in results)
    return Page(
        title=_title(options),
        summary=f"{_count(len(results), 'network')}, {_count(samples_in_all, 'sample')} in all. A "
        "sample is one random draw of all weights and of the input.",
        warnings=warnings,
        sections=[_section(options, study, goals, len(studies)) for study in studies],
        definitions=[*DEFINITIONS, _intervals(watched)],
        provenance=[*made.items(), ("samples", _ranges(studies))],
    )


def _title(options: argparse.Namespace) -> str:
    return f"vgsim report of {', '.join(file.name or str(file) for file in options.files)}"


def _alike(study: Study) -> list[Study]:
    """Return the results of a study by their layers and thresholds."""
    groups: dict[object, list[Result]] = {}
    for result in study:
        groups.setdefault((result.task.layers, result.task.thresholds), []).append(result)
    return [Study(results, study.provenance) for results in groups.values()]


def _unmet(study: Study, goals: Mapping[str, Target]) -> Iterator[str]:
    """Yield a warning for networks without samples, unfinished ones, and rules that are not met."""
    if empty := [result for result in study if not result.n]:
        yield f"No samples yet of {_count(len(empty), 'network')}: {_named(empty)}."
    known = [(result, goals.get(result.task.digest)) for result in study]
    begun = [result for result, goal in known if result.n and goal and goal.finished is None]
    if begun:
        networks = _count(len(begun), "network")
        yield f"Stop rules or number of samples not yet reached by {networks}: {_named(begun)}."
    missed: dict[Precision, list[Result]] = {}
    for result, goal in known:
        for rule in goal.rules if goal else result.watched:
            threshold = None if rule.event == "dead" else rule.threshold
            events = result.tally.events(rule.event, rule.layer, threshold)
            if result.n and not rule.reached(events, result.n):
                missed.setdefault(rule, []).append(result)
    for rule, results in missed.items():
        networks = _count(len(results), "network")
        yield f"The stop rule {rule!r} was not met by {networks}: {_named(results)}."


def _named(results: Sequence[Result]) -> str:
    """Return the first networks of some results as text."""
    some = "; ".join(repr(result.network) for result in results[:MOST_NAMED])
    more = len(results) - MOST_NAMED
    return f"{some}; and {more} more" if more > 0 else some


def _section(
    options: argparse.Namespace, study: Study, goals: Mapping[str, Target], several: int
) -> Section:
    """Return the part of the page about networks with the same layers and thresholds."""
    pictures, note = study_pictures(study)
    task = study[0].task
    thresholds = ", ".join(f"{threshold:g}" for threshold in task.thresholds)
    layers = ", ".join(map(str, task.layers))
    return Section(
        heading=f"Layers {layers}, thresholds {thresholds}" if several > 1 else "Networks",
        sentences=list(_sentences(study)),
        pictures=pictures,
        note=note,
        table=table_of(study.table("markdown")),
        blocks=list(_blocks(options, study, goals, [p.code for p in pictures], several > 1)),
    )


def _sentences(study: Study) -> Iterator[str]:
    """Yield what the networks differ in, what they have in common, and the thresholds."""
    columns = label_columns(study, printed=True)
    apart = [name for name in differing(study) if len(set(columns[name])) > 1]
    if apart:
        yield f"The networks differ in {'; '.join(_swept(name, columns[name]) for name in apart)}."
    same = {name: column[0] for name, column in columns.items() if len(set(column)) == 1}
    common = [f"{name} {words(value)}" for name, value in same.items() if name not in UNSAID]
    yield f"All have {', '.join(common)}." if len(study) > 1 else f"It has {', '.join(common)}."
    least, most = (extreme(result.n for result in study) for extreme in (min, max))
    counts = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    limits = ["R < {} and R > {}".format(*limits_in_words(x)) for x in study[0].task.thresholds]
    yield f"Samples of each: {counts}. Vanishing and exploding gradients: {'; or '.join(limits)}."


def _swept(name: str, column: Sequence[Any]) -> str:
    """Return a field and its values as text."""
    shown = [words(value) for value in ordered(column)]
    if len(shown) > MOST_VALUES:
        shown = [*shown[: MOST_VALUES - 2], "…", shown[-1]]
    return f"{name} ({', '.join(shown)})"


def _blocks(
    options: argparse.Namespace,
    study: Study,
    goals: Mapping[str, Target],
    codes: Sequence[str],
    several: bool,
) -> Iterator[Block]:
    """Yield the file, the commands and the Python code that repeat the study and its figures."""
    goal = goals.get(study[0].task.digest)
    rules = goal.rules if goal else study[0].watched
    text, reason = study_toml(study, goal.max_samples if goal else None, rules)
    if text:
        yield Block("The study file study.toml:", text)
        commands = (
            "vgsim collect study.toml --store study.sqlite",
            "vgsim show study.sqlite",
            "vgsim report study.sqlite -o report.html",
        )
        until = " up to the stop rules" if rules else ""
        said = f"Commands that repeat the study, with the same samples{until}:"
        yield Block(said, "\n".join(commands))
    else:
        yield Block(f"No study file repeats these samples: {reason}.")
    drawn = list(filter(None, codes))
    (file, *others) = options.files
    if drawn and not several and not others and not file.is_dir():
        lines = ["import vgsim", f"study = vgsim.load({file.name!r})", *drawn]
        yield Block("Python code that draws the figures:", "\n".join(lines))


def _intervals(watched: bool) -> tuple[str, str]:
    """Return what the brackets of the table are."""
    kind = (
        "They are valid although a stop rule decided when the sampling ended (anytime-valid)."
        if watched
        else "They are Wilson intervals, except for the events of stop rules, whose intervals are "
        "valid although the rule decided when the sampling ended."
    )
    return LIMITS[0], f"{LIMITS[1]} {kind}"


def _ranges(studies: Sequence[Study]) -> str:
    """Return seeds and indices of the samples as text."""
    found = {(*result.ranges,) for study in studies for result in study if result.n}
    ranges = sorted({piece for pieces in found for piece in pieces})
    said = [f"indices {first} to {end - 1} of seed {seed}" for seed, first, end in ranges[:5]]
    more = f"; and {len(ranges) - 5} other ranges" if len(ranges) > 5 else ""
    return ("; or ".join(said) + more if len(found) > 1 else "; ".join(said)) or "none"


def _samples_page(options: argparse.Namespace, samples: Samples) -> Page:
    """Return the report of the samples of one network."""
    first = int(samples.index[0])
    network = repr(samples.network)
    pictures, note = sample_pictures(samples)
    load = f"import vgsim\nsamples = vgsim.load({options.files[0].name!r})"
    blocks = []
    if code := _simulation(samples):
        blocks.append(Block("Python code that simulates the same samples:", code))
    blocks.append(
        Block(
            "Python code that draws the figures:",
            "\n".join([load, *(picture.code for picture in pictures)]),
        )
    )
    command = f"vgsim report {shlex.quote(options.files[0].name)} -o report.html"
    blocks.append(Block("The command that writes this page:", command))
    section = Section(
        heading="Network",
        sentences=[
            f"{network}; {samples.engine} engine, batch size {samples.batch_size}, loss "
            f"{samples.loss}, inputs {samples.inputs}, {samples.dtype}."
        ],
        pictures=pictures,
        note=note,
        table=table_of(samples.summary().table("markdown")),
        blocks=blocks,
    )
    where = f"{len(samples)} samples from index {first} on, seed {samples.seed}"
    return Page(
        title=_title(options),
        summary=f"{_count(len(samples), 'sample')} of one network. A sample is one random draw of "
        "all weights and of the input.",
        warnings=[],
        sections=[section],
        definitions=[*DEFINITIONS, (LIMITS[0], f"{LIMITS[1]} They are Wilson intervals.")],
        provenance=[*samples.provenance.items(), ("samples", where)],
    )


def _simulation(samples: Samples) -> str:
    """Return Python code that simulates the samples; "" if a line of code cannot say it."""
    network = repr(samples.network)
    if samples.network.own_engine or "sha256" in network + samples.inputs or "..." in network:
        return ""
    named = re.findall(r"\b[A-Z]\w+", network)
    names = ", ".join(name for name in dict.fromkeys(named) if name in vgsim.__all__)
    usual: dict[str, Any] = {
        "batch_size": 1,
        "loss": "linear",
        "inputs": "normal",
        "dtype": "float32",
    }
    usual |= {"record": ("gradient",)}
    given: dict[str, Any] = {"seed": samples.seed, "first": int(samples.index[0])}
    own = {name: getattr(samples, name) for name in usual}
    given |= {name: value for name, value in own.items() if value != usual[name]}
    given |= {"layers": samples.layers.tolist(), "engine": samples.engine}
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return (
        f"import vgsim\nfrom vgsim import {names}\n\nnetwork = {network}\n"
        f"samples = vgsim.simulate(network, {len(samples)}, {arguments})"
    )


def _count(number: int, name: str, names: str = "") -> str:
    return f"{number:,} {name if number == 1 else names or f'{name}s'}"
