"""The options of vgsim collect, status, show, merge and export."""

from __future__ import annotations

import argparse
import re
from typing import Any

from vgsim._cli import studies
from vgsim._cli.conditions import add_where
from vgsim._cli.options import add_formats, integer, number, out_path, path
from vgsim._cli.show import show as show_files
from vgsim._cli.table_options import add_table_options, column

__all__ = ["add_study_commands"]

COLLECT = """\
Run the study that a TOML file describes, and print its table. Every finished block of samples is
kept in the store. To continue after an interruption, repeat the command. Several processes may use
one store at the same time; vgsim status STORE prints their progress.
"""
COLLECT_MORE = """\
A study file:

  max_samples = 1_000_000    # per network
  thresholds = [1e-6, 1e-3]  # of vanishing and exploding (default: [1e-6])
  layers = [0]               # where events are counted (default: [0], input)

  [stop]              # a stop rule; with several, [[stop]], all must be met
  half_width = 0.01   # of the interval of the probability; or relative = 0.1
  event = "vanishing"

  [[sweep]]           # all combinations of the lists; more [[sweep]] may follow
  activation = ["sigmoid", "tanh", "relu"]
  width = [64, 128]
  depth = [10, 30, 100]
  [sweep.residual]
  every = [1, 2]

Also: seed, max_seconds, batch_size, inputs, loss, engine and dtype, as for vgsim.collect; and in a
sweep kind = "MLP", "RNN", "LSTM", "GRU" or "Sequential" and the fields of that network; vgsim run
--help shows those of a Sequential. One of max_samples, max_seconds and [stop] is required.

examples:
  vgsim collect study.toml --store depth.sqlite
  vgsim collect study.toml --store depth.sqlite --max-seconds 3600
  vgsim collect study.toml --store depth.sqlite --executor process:4
  vgsim collect - --store depth.sqlite < study.toml
  mpiexec -n 16 vgsim collect study.toml --store depth.sqlite --executor mpi"""
SHOW = """\
Print the results in stores and files, for every network: number of samples, probabilities with
their 95 % intervals, and mean, standard deviation and quantiles of R. Files are read together;
samples of one network in several files are added. On a terminal, a long table is shown in a pager;
below it, how far the study in a store is. Of trainings: the probabilities that a network learned,
got stuck or diverged, and the median steps until it learned. Warns of damaged blocks."""
SHOW_MORE = """\
Names of columns are those of --json: the fields of the networks (activation,
depth, width, gain, norm, residual__every, ...), the settings of the samples
(batch_size, dtype, ...), and layer, threshold, n, mean, std, q05, median, q95,
vanishing, exploding, dead. Quote conditions with < and > for the shell.

examples:
  vgsim show depth.sqlite
  vgsim show depth.sqlite --where activation=tanh,relu 'depth>=100'
  vgsim show depth.sqlite --sort vanishing --reverse --head 10
  vgsim show runs, where vgsim run --out runs wrote its files
  vgsim run --json | vgsim show - --where 'vanishing>0.5'"""
STATUS = """\
Print the progress of the study in a store: samples done of its target, finished networks, fraction
of the work done and, while processes are adding samples, their rate and the time left. Of a store
of vgsim train: the trained samples, and how many have learned, are stuck or diverged."""
MERGE = """\
Merge several stores, for example of several machines, into one. Blocks that are in two stores are
counted once, and reported."""
EXPORT = """\
Write the study in a store to a file: NetCDF (.nc), CSV (.csv), or .npz (for vgsim.load)."""
STORE = "the store of a study, an .npz file of a study or of samples, or a folder of samples"
FILES = (
    "a store, an .npz file of a study, of samples or of trainings, a folder of these, or the "
    "output of --json (.json; -: standard input)"
)
EXECUTOR = re.compile(r"process:[1-9][0-9]*|dask:.+|mpi")


def add_study_commands(commands: Any) -> None:
    """Add the commands of studies to those of vgsim."""
    collect = commands.add_parser(
        "collect",
        help="run a study: sample many networks until their stop rules are met",
        description=COLLECT,
        epilog=COLLECT_MORE,
    )
    collect.add_argument(
        "study", type=path, metavar="study.toml", help="the study file (-: standard input)"
    )
    collect.add_argument(
        "--store",
        required=True,
        metavar="PATH",
        help="the file that keeps finished blocks, an SQLite database; created if needed",
    )
    collect.add_argument(
        "--executor",
        type=_executor,
        metavar="WHERE",
        help="process:N, dask:ADDRESS of a scheduler, or mpi (default: threads of this process)",
    )
    collect.add_argument(
        "--threads",
        type=integer,
        metavar="N",
        help="threads per unit of work (default: all processors; with an executor, one)",
    )
    collect.add_argument(
        "--max-seconds",
        type=number,
        metavar="S",
        help="time limit in seconds; replaces max_seconds of the study file",
    )
    collect.add_argument(
        "--out",
        type=out_path,
        metavar="FILE",
        help="also write the results, up to the stop rules, to a new .nc, .csv or .npz file",
    )
    collect.add_argument("--quiet", action="store_true", help="no progress on stderr")
    table = collect.add_argument_group("the table")
    add_table_options(table, fields=True)
    add_formats(table, "json", "csv", "markdown", "latex")
    collect.set_defaults(function=studies.collect, parser=collect)

    status = commands.add_parser(
        "status", help="the progress of a study or of trainings", description=STATUS
    )
    status.add_argument("store", help="the store of a study or of trainings, which may be running")
    add_formats(status, "json")
    status.set_defaults(function=studies.status, parser=status)

    show = commands.add_parser(
        "show",
        help="the results in stores and files",
        description=SHOW,
        epilog=SHOW_MORE,
    )
    show.add_argument("files", nargs="+", type=path, metavar="FILE", help=FILES)
    _add_choice(show)
    table = show.add_argument_group("the table")
    add_where(table, "rows")
    table.add_argument(
        "--sort", type=column, nargs="+", default=[], metavar="COLUMN", help="sort rows by columns"
    )
    table.add_argument("--reverse", action="store_true", help="sort in descending order")
    table.add_argument(
        "--head", type=count, metavar="N", help="only the first N rows of every table"
    )
    add_table_options(table, fields=True)
    add_formats(table, "json", "csv", "markdown", "latex")
    show.set_defaults(function=show_files, parser=show)

    merge = commands.add_parser("merge", help="merge several stores into one", description=MERGE)
    merge.add_argument("stores", nargs="+", metavar="store", help="a store; it is only read")
    merge.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="PATH",
        help="a new file, or a store to which the others are added",
    )
    merge.set_defaults(function=studies.merge, parser=merge)

    export = commands.add_parser(
        "export", help="a study as NetCDF, CSV or .npz", description=EXPORT
    )
    export.add_argument("store", help=STORE)
    _add_choice(export)
    export.add_argument("out", type=out_path, help="a new file ending in .nc, .csv or .npz")
    export.set_defaults(function=studies.export, parser=export)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method",
        choices=("wilson", "anytime"),
        help="the intervals; use anytime if the results decided when the study ended, as with "
        "stop rules (default: wilson)",
    )
    parser.add_argument(
        "--layers",
        type=integer,
        nargs="+",
        metavar="L",
        help="only networks counted at exactly these layers; of samples, these recorded layers",
    )
    parser.add_argument(
        "--thresholds",
        type=number,
        nargs="+",
        metavar="X",
        help="only networks counted at exactly these thresholds; at which samples are counted "
        "(default of samples: 1e-6)",
    )


def count(text: str) -> int:
    """Return a number of rows, at least 1."""
    rows: int = integer(text)
    if rows < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {rows}")
    return rows


def _executor(text: str) -> str:
    if EXECUTOR.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is not one of process:N with N >= 1, dask:ADDRESS and mpi"
    )
