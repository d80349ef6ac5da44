"""The commands of studies and their options: vgsim collect, status, show, merge and export."""

from __future__ import annotations

import argparse
import re
from typing import Any

from vgsim._cli import studies
from vgsim._cli.options import add_formats, integer, number, path

__all__ = ["add_study_commands"]

COLLECT = """\
Run the study that a TOML file describes, and print its table. Every finished block of samples is
kept in the store: the same command goes on where the last one stopped, be it interrupted or killed.
Several processes may use one store at once; vgsim status STORE says how far they are.
"""
COLLECT_MORE = """\
A study file:

  max_samples = 1_000_000        # of each network
  thresholds = [1e-6, 1e-3]      # of vanishing and exploding (default: [1e-6])
  layers = [0]                   # whose gradients are counted (default: [0], the input)

  [stop]                         # and/or max_samples; [[stop]] if there are several: all must hold
  half_width = 0.01              # or relative = 0.1
  event = "vanishing"

  [[sweep]]                      # every combination of the lists; more [[sweep]] may follow
  activation = ["sigmoid", "tanh", "relu"]
  width = [64, 128]
  depth = [10, 30, 100]
  [sweep.residual]
  every = [1, 2]

Also: seed, max_seconds, batch_size, inputs, loss, engine, dtype, as vgsim.collect has them, and in
a sweep kind = "MLP" or "RNN" with any of its fields.

examples:
  vgsim collect study.toml --store depth.sqlite
  vgsim collect study.toml --store depth.sqlite --executor process:4 --max-seconds 3600
  mpiexec -n 16 vgsim collect study.toml --store depth.sqlite --executor mpi"""
SHOW = """\
Print what a store holds of every network: the number of samples, probabilities with their 95 %
intervals, and mean, standard deviation and quantiles of R. Damaged blocks are named."""
STATUS = """\
Print how far the study in a store is: samples of its target, finished networks, the part of the
work that is done, and, while processes draw samples, their rate and the time left."""
MERGE = """\
Bring the tasks and blocks of several stores, as of several machines, together in one. Blocks that
are in two of them are counted once, and reported."""
EXPORT = """\
Write what a store holds to a file: NetCDF (.nc), CSV (.csv), or a study for vgsim (.npz)."""
STORE = "the store of a study, or an .npz file of one"
EXECUTOR = re.compile(r"process:[1-9][0-9]*|dask:.+|mpi")


def add_study_commands(commands: Any) -> None:
    """Add the commands to those of vgsim."""
    collect = commands.add_parser(
        "collect",
        help="run a study: many networks, until each is known well enough",
        description=COLLECT,
        epilog=COLLECT_MORE,
    )
    collect.add_argument("study", type=path, metavar="study.toml")
    collect.add_argument(
        "--store",
        required=True,
        metavar="PATH",
        help="the file that keeps the study, an SQLite database; made if need be",
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
        help="of one unit of work (default: all; with an executor, one)",
    )
    collect.add_argument(
        "--max-seconds",
        type=number,
        metavar="S",
        help="begin no more work after that; in place of max_seconds in the file",
    )
    collect.add_argument(
        "--out",
        type=path,
        metavar="FILE",
        help="also write the study, as its rules stopped it, to a new .nc, .csv or .npz",
    )
    collect.add_argument("--quiet", action="store_true", help="no progress on stderr")
    add_formats(collect.add_argument_group("the table"), "json", "csv", "markdown", "latex")
    collect.set_defaults(function=studies.collect, parser=collect)

    status = commands.add_parser("status", help="how far a study is", description=STATUS)
    status.add_argument("store", help="the store of a study, which may be growing")
    add_formats(status, "json")
    status.set_defaults(function=studies.status, parser=status)

    show = commands.add_parser("show", help="what a study's store holds", description=SHOW)
    _add_store(show)
    add_formats(show.add_argument_group("the table"), "json", "csv", "markdown", "latex")
    show.set_defaults(function=studies.show, parser=show)

    merge = commands.add_parser("merge", help="several stores as one", description=MERGE)
    merge.add_argument("stores", nargs="+", metavar="store", help="only read")
    merge.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="PATH",
        help="a new file or a store; what it holds already stays",
    )
    merge.set_defaults(function=studies.merge, parser=merge)

    export = commands.add_parser(
        "export", help="a study as NetCDF, CSV or .npz", description=EXPORT
    )
    _add_store(export)
    export.add_argument("out", type=path, help="a new file; its suffix says of which kind")
    export.set_defaults(function=studies.export, parser=export)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", help=STORE)
    parser.add_argument(
        "--method",
        choices=("wilson", "anytime"),
        default="wilson",
        help="the intervals: anytime if a rule, or you, stopped the study for what it showed; a "
        "store does not know (default: wilson)",
    )
    parser.add_argument(
        "--layers",
        type=integer,
        nargs="+",
        metavar="L",
        help="only what was counted at these layers (if the store has several choices)",
    )
    parser.add_argument(
        "--thresholds",
        type=number,
        nargs="+",
        metavar="X",
        help="only what was counted at these thresholds",
    )


def _executor(text: str) -> str:
    if EXECUTOR.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of process:N with N >= 1, dask:ADDRESS and mpi"
    )
