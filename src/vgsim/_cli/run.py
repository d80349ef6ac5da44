"""The command vgsim run."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vgsim._checks import TABULATED
from vgsim._cli.fields import DEPTHS, networks_of
from vgsim._cli.figures import check_figure
from vgsim._cli.network_text import (
    apart,
    curves,
    heading,
    named_values,
    row,
    scale,
    settings,
    short_name,
    spec,
    technique,
    title,
)
from vgsim._cli.options import INPUTS
from vgsim._cli.pager import print_text
from vgsim._cli.run_pictures import RunPictures
from vgsim._cli.schema import with_schema
from vgsim._cli.table_options import check_columns
from vgsim._domains import check_threshold, checked_int
from vgsim._engine.plan import relative_cost
from vgsim._engine.progress import on_terminal, shown
from vgsim._engine.run import run as run_network
from vgsim._engine.run import thread_count
from vgsim._engine.settings import Settings, checked_layers, checked_record
from vgsim._networks.description import Network
from vgsim._results import files as disk
from vgsim._results.column import chosen
from vgsim._results.samples import Samples
from vgsim._results.tables import (
    QUANTILES,
    WIDE,
    Column,
    quantile_column,
    report,
    seconds_cell,
)
from vgsim._statistics.binomial import Probability, checked_interval

__all__ = [
    "check_new",
    "checked_settings",
    "run",
    "simulations",
    "technique_lines",
    "writing",
]


def run(options: argparse.Namespace) -> None:
    """Simulate every activation at every depth, and print probabilities and quantiles."""
    if options.out is None and (options.layers or options.record):
        raise ValueError("--layers and --record choose what --out writes: give --out too")
    checked_interval(options.confidence_level, options.method)
    check_threshold(options.threshold)
    groups = curves(networks_of(options, DEPTHS))
    networks = [network for group in groups for network in group]
    settings = checked_settings(options, networks)
    depth = min(network.depth for network in networks)
    checked_int("layer", options.layer, 0, depth, f"depth = {depth}")
    checked_layers(list(dict.fromkeys([options.layer, *(options.layers or ())])), depth)
    for network, own in zip(networks, settings, strict=True):
        checked_record(options.record or (), network, own)
        check_columns(options, _column_names(network))
    if options.plot is not None:
        check_figure("plot", options.plot)
    files = _files(options, networks, settings)
    pictures = RunPictures(options, groups)
    simulated = simulations(options, networks, settings, files)
    results = pictures.watching(simulated, partial(_probabilities, options))
    if options.format == "json":
        parts: Iterator[str] = _json(options, results)
    elif options.format == "csv":
        parts = _csv(options, results)
    else:
        parts = _tables(options, networks, results, pictures)
    if options.out is not None:
        parts = iter(list(parts))  # all files are written before anything is printed
    for part in parts:
        print_text(part, tables=options.format == "text")
    if options.out is not None:
        wrote = f"{len(files)} files in {options.out}" if len(files) > 1 else files[0]
        print(f"wrote {wrote}", file=sys.stdout if options.format == "text" else sys.stderr)
    if options.plot is not None:
        pictures.save()
        print(f"wrote {options.plot}", file=sys.stderr)


def checked_settings(options: argparse.Namespace, networks: Sequence[Network]) -> list[Settings]:
    """Return the settings of each network; raise if a network does not allow them."""
    names = "seed", "batch_size", "inputs", "loss", "engine", "dtype"
    settings = Settings.checked(
        **{name: getattr(options, name) for name in names if hasattr(options, name)}
    )
    return [settings.of(network) for network in networks]


def _files(
    options: argparse.Namespace, networks: Sequence[Network], settings: Sequence[Settings]
) -> list[Path] | list[None]:
    """Return the file for the samples of each network; raise if one cannot be written."""
    out: Path | None = options.out
    if out is None:
        return [None] * len(networks)
    if out.suffix == ".npz" and not out.is_dir():
        if len(networks) > 1:
            raise ValueError(
                f"--out {out} is one file, but there are {len(networks)} networks: "
                "give a folder, without .npz"
            )
        files = [out]
    else:
        if (out.suffix or out.exists()) and not out.is_dir():
            raise ValueError(
                f"--out {out} must end in .npz, or be a folder: one that exists, or a new one "
                "without a suffix"
            )
        names = [_file_name(options, *one) for one in zip(networks, settings, strict=True)]
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
        files = [out / name for name in names]
    for file in files:
        check_new(file)
    return files


def _file_name(options: argparse.Namespace, network: Network, settings: Settings) -> str:
    """Return the name of a file of samples; different samples have different names."""
    name = short_name(network)
    for mark in ":,=":
        name = name.replace(mark, "-")
    identity = [network.canonical_json(), *map(str, settings.identity.values())]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:8]
    length = f"{network._length()}-{network.depth}"
    return f"{name}-{length}-{digest}-first-{options.first}.npz"


def check_new(file: Path) -> None:
    """Raise if a file exists or cannot be written."""
    disk.check_new(file)
    with writing(file):
        disk.check_writable(file)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Add --out and its path to the message of an OSError."""
    try:
        yield
    except OSError as error:
        raise OSError(f"--out {path}: {error.strerror or error}") from error


def simulations(
    options: argparse.Namespace,
    networks: Sequence[Network],
    settings: Sequence[Settings],
    files: Sequence[Path | None],
) -> Iterator[Samples]:
    """Yield the samples of every network, and write them to its file if it has one.

    One progress bar for all networks is shown on a terminal.
    """
    layers = np.array(list(dict.fromkeys([*(options.layers or ()), options.layer])), dtype=np.int64)
    recorded = frozenset(["gradient", *(options.record or ())])
    n = checked_int("n_samples", options.samples, 1, 2**56, "2**56")
    first = checked_int("first", options.first, 0, 2**56 - n, f"2**56 - {n}")
    threads = thread_count(options.threads)
    every = list(zip(networks, settings, files, strict=True))
    costs = [relative_cost(network, own.engine, own.columns(network)) for network, own, _ in every]
    with shown(on_terminal(), leave=False) as show:

        def told(number: int, done: int) -> None:
            words = f"{title(networks[number])}: {done:,} of {n:,} samples"
            show(done, n, (sum(costs[:number]) + costs[number] * done / n) / sum(costs), words)

        for number, (network, own, file) in enumerate(every):
            names = recorded | {"clipped"} if network.clip else recorded
            report = partial(told, number)
            samples = run_network(network, own, first, n, layers, names, threads, report)
            if file:
                with writing(file):
                    samples.save(file)
            show.clear()
            yield samples


def _probabilities(options: argparse.Namespace, samples: Samples) -> dict[str, Probability]:
    interval = {"confidence_level": options.confidence_level, "method": options.method}
    return {
        event: samples.probability(
            event,
            options.layer,
            **interval,
            **({} if event == "dead" else {"threshold": options.threshold}),
        )
        for event in TABULATED
    }


def _clipped(options: argparse.Namespace, samples: Samples) -> float:
    """Return the mean fraction of clipped entries of G_l."""
    return float(samples.clipped[:, samples.column(options.layer)].mean())


def _tables(
    options: argparse.Namespace,
    networks: Sequence[Network],
    results: Iterator[Samples],
    pictures: RunPictures,
) -> Iterator[str]:
    """Yield one table for the networks that differ in depth only, when these are simulated."""
    began = time.monotonic()
    several = apart(networks)
    same = len({_common(network, several) for network in networks}) == 1
    for number, group in enumerate(curves(networks)):
        runs = list(islice(results, len(group)))
        names = [*heading(group[0], len(group) > 1), f"{runs[0].engine} engine"]
        names += named_values(group[0], several)
        names += [] if same else filter(None, _common(group[0], several))
        common = _common(group[0], several) if same else ("", "", "")
        titles = [] if number else [*_heading(options, runs[0], *common), ""]
        titles += textwrap.wrap(", ".join(names), WIDE, break_on_hyphens=False)
        table = report(_columns(options, runs), options.format, "\n".join(titles))
        yield ("\n" if number else "") + table
    if blocks := pictures.in_blocks():
        yield f"\n{blocks}"
    if options.format == "text":
        yield f"\ntotal time {seconds_cell(time.monotonic() - began)}"


def _columns(options: argparse.Namespace, runs: Sequence[Samples]) -> list[Column]:
    network = runs[0].network
    found = [_probabilities(options, samples) for samples in runs]
    length = network._length()
    columns = [Column(length, length, [samples.network.depth for samples in runs])]
    for event in TABULATED:
        p = [probabilities[event] for probabilities in found]
        limits = [x.low for x in p], [x.high for x in p]
        columns.append(Column(event, f"P({event})", [x.estimate for x in p], *limits))
    q = np.array([s.quantile(list(QUANTILES.values()), options.layer) for s in runs])
    for name, values in zip(QUANTILES, q.T.tolist(), strict=True):
        columns.append(quantile_column(name, values))
    if network.clip is not None:
        shares = [_clipped(options, samples) for samples in runs]
        columns.append(Column("clipped", "clipped", shares, decimals=[4] * len(runs)))
    times = [seconds_cell(samples.elapsed) for samples in runs]
    columns.append(Column("time", "time", times, right=True))
    return chosen(columns, options.columns or _column_names(network))


def _column_names(network: Network) -> list[str]:
    """Return the names of the columns of a table."""
    clipped = [] if network.clip is None else ["clipped"]
    return [network._length(), *TABULATED, *QUANTILES, *clipped, "time"]


def _common(network: Network, without: Sequence[str] = ()) -> tuple[str, str, str]:
    """Return the kind of a network, its scale and its techniques, without some options."""
    kind = "recurrent" if network.shares_weights else ""
    return kind, scale(network, without), technique(network, without=without)


def _heading(
    options: argparse.Namespace, samples: Samples, kind: str, width: str, techniques: str
) -> list[str]:
    """Return the lines above the first table; the words are those that all networks share."""
    network, layer = samples.network, options.layer
    output = "state after step l" if network.place == "step" else "output of layer l"
    norms = f"|G_{layer}| / |G_D|"
    made = [
        " ".join([f"{len(samples):,} random", *([kind] if kind else []), "networks per row"]),
        width,
        f"first index {options.first:g}" if options.first else "",
        INPUTS.get(samples.inputs, "inputs from the file"),
        f"seed {samples.seed}, {samples.dtype}, ISA {samples.provenance.get('isa', 'unknown')}",
    ]
    common = [techniques, *settings(options.batch_size, options.loss)]
    return [
        f"R = log10({norms}), G_l: gradient of the loss by the {output}, l = 0 ... D",
        f"vanishing: {norms} < {options.threshold:g}   exploding: > {1 / options.threshold:g}   "
        "dead: exactly 0; also counted as vanishing",
        *textwrap.wrap(", ".join(filter(None, made)), WIDE),
        *textwrap.wrap(", ".join(filter(None, common)), WIDE),
        f"each probability with its {100 * options.confidence_level:g} % interval "
        f"({options.method}); 5 %, median, 95 %: quantiles of R",
        *([f"clipped: mean fraction of clipped entries of G_{layer}"] if network.clip else []),
    ]


def technique_lines(
    network: Network, batch_size: int = 1, loss: str = "linear", without: Sequence[str] = ()
) -> list[str]:
    """Return the text of `technique` as lines."""
    return textwrap.wrap(technique(network, batch_size, loss, without), WIDE)


def _row(options: argparse.Namespace, samples: Samples) -> dict[str, Any]:
    """Return the fields, settings and results of one network by name, for --json and --csv.

    None is log10 0 in a quantile, and elsewhere a field that the network does not have.
    """
    network = samples.network
    found = row(network) | {
        "n": len(samples),
        "seed": samples.seed,
        "first": int(samples.index[0]),
        "batch_size": samples.batch_size,
        "inputs": samples.inputs,
        "loss": samples.loss,
        "engine": samples.engine,
        "dtype": samples.dtype,
        "layer": options.layer,
        "threshold": options.threshold,
        "confidence_level": options.confidence_level,
        "method": options.method,
    }
    for event, probability in _probabilities(options, samples).items():
        found[event] = probability.estimate
        found[f"{event}_low"] = probability.low
        found[f"{event}_high"] = probability.high
    quantiles = np.asarray(samples.quantile(list(QUANTILES.values()), options.layer))
    found |= {
        name: value if value > -np.inf else None
        for name, value in zip(QUANTILES, quantiles.tolist(), strict=True)
    }
    found["clipped"] = None if network.clip is None else _clipped(options, samples)
    found["seconds"] = samples.elapsed
    return found


def _json(options: argparse.Namespace, results: Iterator[Samples]) -> Iterator[str]:
    rows, provenance = [], {}
    for samples in results:
        rows.append(_row(options, samples))
        provenance = samples.provenance
    yield with_schema("run", {"provenance": provenance, "rows": rows})


def _csv(options: argparse.Namespace, results: Iterator[Samples]) -> Iterator[str]:
    """Yield the header with the first row, then one row at a time."""
    for number, samples in enumerate(results):
        row = _row(options, samples)
        row["width"] = spec(samples.network, "width")
        row |= {name: "-inf" for name in QUANTILES if row[name] is None}
        lines = io.StringIO()
        writer = csv.DictWriter(lines, row, lineterminator="\n")
        if number == 0:
            writer.writeheader()
        writer.writerow(row)
        yield lines.getvalue().removesuffix("\n")
