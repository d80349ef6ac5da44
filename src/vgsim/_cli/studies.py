"""The commands vgsim collect, status, show, merge and export."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, NoReturn

from vgsim._cli.executors import executor_of
from vgsim._cli.study_file import read_study
from vgsim._cli.toml_file import TomlError
from vgsim._results.tables import jsonable, seconds_cell
from vgsim._studies import collect as collecting
from vgsim._studies import merge as merging
from vgsim._studies import status as asking
from vgsim._studies.columns import label_columns, statistics
from vgsim._studies.export import check_new
from vgsim._studies.export import export as write
from vgsim._studies.load import Found, read_studies
from vgsim._studies.study import Study

__all__ = ["collect", "export", "merge", "show", "status"]


def collect(options: argparse.Namespace) -> None:
    """Run the study of a TOML file, and print its table."""
    began = time.monotonic()
    if options.out is not None:
        check_new(options.out)
    with _termination_interrupts(), executor_of(options.executor) as executor:
        try:
            spec = read_study(options.study, needs_stop=options.max_seconds is None)
        except TomlError as error:
            _fail(options, f"{error}\n")
        arguments = dict(spec.arguments)
        if options.max_seconds is not None:
            arguments["max_seconds"] = options.max_seconds
        try:
            study = collecting.collect(
                spec.networks,
                **arguments,
                store=options.store,
                executor=executor,
                n_threads=options.threads,
                progress=not options.quiet,
            )
        except RuntimeError as error:  # workers were lost
            _fail(options, f"vgsim collect: error: {error}\n")
        except KeyboardInterrupt:
            message = f"finished blocks are in {options.store}: repeat the command to continue"
            print(f"vgsim collect: {message}", file=sys.stderr)
            raise
    if not options.quiet:
        samples = f"{sum(result.n for result in study):,} samples of {_networks(len(study))}"
        took = seconds_cell(time.monotonic() - began)
        print(f"vgsim collect: {samples} in {options.store}; {took}", file=sys.stderr)
    if options.out is not None:
        write(study, options.out)
    _print(options, Found([study], []))


def status(options: argparse.Namespace) -> None:
    """Print the progress of the study in a store."""
    found = asking.status(options.store)
    if options.format == "json":
        print(json.dumps(asdict(found), indent=2))
    else:
        print(found)


def show(options: argparse.Namespace) -> None:
    """Print the results in a store."""
    _print(options, _chosen(options))


def merge(options: argparse.Namespace) -> None:
    """Merge several stores into one, and print what each added."""
    merged = merging.merge(options.stores, options.out)
    found = read_studies(options.out)
    for source in merged:
        print(f"{source.path} added {source.samples:,} samples", end="")
        print(f"; {_blocks(source.overlapping)} existed already" if source.overlapping else "")
        if source.differing:
            message = (
                f"{_blocks(source.differing)} of {source.path} have other counts than the same"
            )
            warning = (
                f"{message} samples in {options.out}, which are kept: one of the machines erred"
            )
            print(f"vgsim merge: warning: {warning}", file=sys.stderr)
    results = [result for study in found.studies for result in study]
    samples = f"{sum(result.n for result in results):,} samples of {_networks(len(results))}"
    print(f"{options.out} holds {samples}")


def export(options: argparse.Namespace) -> None:
    """Write the study in a store to a NetCDF, CSV or .npz file."""
    found = _chosen(options)
    if len(found.studies) != 1:
        kinds = "; ".join(f"--layers {layers} --thresholds {x}" for layers, x in _kinds(found))
        what = f"has several studies: choose one of {kinds}" if kinds else "holds no networks"
        raise ValueError(f"{options.store} {what}")
    write(found.studies[0], options.out)
    print(f"wrote {options.out}", file=sys.stderr)


def _chosen(options: argparse.Namespace) -> Found:
    """Return the studies of a store with the layers and thresholds of the options."""
    found = read_studies(options.store, options.method == "anytime")
    chosen = [
        study
        for study in found.studies
        if all(
            wanted is None or set(wanted) == set(getattr(study[0].task, name))
            for name, wanted in (("layers", options.layers), ("thresholds", options.thresholds))
        )
    ]
    if found.studies and not chosen:
        kinds = "; ".join(f"--layers {layers} --thresholds {x}" for layers, x in _kinds(found))
        raise ValueError(f"{options.store} has only {kinds}")
    return Found(chosen, found.damaged)


def _kinds(found: Found) -> list[tuple[str, str]]:
    """Return the layers and thresholds of each study, as options."""
    return [
        (
            " ".join(map(str, study[0].task.layers)),
            " ".join(f"{threshold:g}" for threshold in study[0].task.thresholds),
        )
        for study in found.studies
        if len(study)
    ]


def _print(options: argparse.Namespace, found: Found) -> None:
    if options.format == "json":
        content = {
            "provenance": found.studies[0].provenance if found.studies else {},
            "damaged": [{"what": what, "why": why} for what, why in found.damaged],
            "rows": [row for study in found.studies for row in _rows(study)],
        }
        print(json.dumps(content, indent=2, allow_nan=False))
        return
    print("\n\n".join(study.table(options.format) for study in found.studies) or "no networks yet")


def _rows(study: Study) -> Iterator[dict[str, Any]]:
    """Yield one row per network, layer and threshold; None: log10 0 in a quantile, else unknown."""
    labels = label_columns(study)
    for i, result in enumerate(study):
        own = {name: column[i] for name, column in labels.items()}
        for layer in result.task.layers:
            for threshold in result.task.thresholds:
                where = {"layer": layer, "threshold": threshold}
                yield jsonable({**own, **where, **statistics(result, layer, threshold)})


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Treat SIGTERM, which batch systems send, as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():  # signal() would fail
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _blocks(count: int) -> str:
    return f"{count:,} block{'s' if count != 1 else ''}"


def _networks(count: int) -> str:
    return f"{count:,} network{'s' if count != 1 else ''}"


def _fail(options: argparse.Namespace, lines: str) -> NoReturn:
    """Print `lines` to stderr, and exit with code 2."""
    options.parser.exit(2, lines)
    raise AssertionError
