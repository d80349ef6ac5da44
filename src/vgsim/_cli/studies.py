"""The commands vgsim collect, status, merge and export."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import NoReturn

from vgsim._cli.executors import executor_of
from vgsim._cli.schema import with_schema
from vgsim._cli.show import chosen, print_study
from vgsim._cli.study_file import read_study
from vgsim._cli.table_options import checked_table
from vgsim._cli.toml_file import TomlError
from vgsim._cli.trainings import print_status
from vgsim._results.tables import seconds_cell
from vgsim._studies import collect as collecting
from vgsim._studies import merge as merging
from vgsim._studies import status as asking
from vgsim._studies.export import check_new
from vgsim._studies.export import export as write
from vgsim._studies.load import holds_trainings, read_studies

__all__ = ["collect", "export", "merge", "status", "termination_interrupts"]


def collect(options: argparse.Namespace) -> None:
    """Run the study of a TOML file, and print its table."""
    began = time.monotonic()
    checked_table(options)
    if options.out is not None:
        check_new(options.out)
    with termination_interrupts(), executor_of(options.executor) as executor:
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
    print_study(options, study)


def status(options: argparse.Namespace) -> None:
    """Print the progress of the study or of the trainings in a store."""
    if holds_trainings(options.store):
        print_status(options)
        return
    found = asking.status(options.store)
    if options.format == "json":
        print(with_schema("status", asdict(found)))
    else:
        print(found)


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
    write(chosen(options), options.out)
    print(f"wrote {options.out}", file=sys.stderr)


@contextmanager
def termination_interrupts() -> Iterator[None]:
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
