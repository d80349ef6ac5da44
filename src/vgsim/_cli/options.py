"""The options of the commands, and the readers of their values."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vgsim._checks import EVENTS, THRESHOLD
from vgsim._cli.fields import ACTIVATIONS, CURVE_DEPTHS, DEPTHS, add_network_options, reader
from vgsim._cli.table_options import STATISTICS, add_table_options
from vgsim._cli.text_file import STDIN
from vgsim._domains import Integer, Number
from vgsim._engine.settings import DTYPES, ENGINES, LOSSES
from vgsim._results.events import LOG10_RANGE
from vgsim._results.files import regular
from vgsim._results.npz import array_of
from vgsim._results.samples import RECORDS
from vgsim._statistics.binomial import METHODS

__all__ = [
    "INPUTS",
    "add_depth_options",
    "add_formats",
    "add_networks",
    "add_plot_option",
    "add_replay_options",
    "add_run_options",
    "add_theory_options",
    "data",
    "integer",
    "number",
    "out_path",
    "path",
]

FORMAT_HELP = {
    "json": "print one JSON object; null: log10 0 in a quantile, elsewhere infinite or unknown",
    "csv": "print CSV, one row per network",
    "markdown": "print Markdown tables",
    "latex": "print LaTeX tables, for the package booktabs",
}
INPUTS = {"normal": "normal inputs", "zeros": "inputs 0"}  # and their descriptions
integer = reader(Integer(0, 0))
number = reader(Number("", bool))


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim run``."""
    add_networks(parser, ACTIVATIONS, DEPTHS)
    sampling = _add_sampling_options(parser)
    _add_run_length(sampling)
    sampling.add_argument(
        "--first",
        type=integer,
        default=0,
        metavar="I",
        help="index of the first sample (default: 0)",
    )
    table = parser.add_argument_group("the table")
    table.add_argument(
        "--layer",
        type=integer,
        default=0,
        metavar="L",
        help="the layer l whose gradient norm is divided by that of the output (default: 0, the "
        "input)",
    )
    _add_interval_options(table)
    add_table_options(table, "depth, vanishing, exploding, dead, q05, median, q95, time")
    add_formats(table, "json", "csv", "markdown", "latex")
    raw = parser.add_argument_group("raw samples, for vgsim.load")
    raw.add_argument(
        "--out",
        type=out_path,
        metavar="PATH",
        help="for one network a new file ending in .npz; or a folder, created if needed, for one "
        "new file per network",
    )
    raw.add_argument(
        "--layers",
        type=integer,
        nargs="+",
        metavar="L",
        help="layers to record in addition to --layer",
    )
    raw.add_argument(
        "--record",
        choices=RECORDS,
        nargs="+",
        metavar="NAME",
        help=f"quantities to record in addition to gradient: {', '.join(RECORDS[1:])}",
    )
    add_plot_option(parser, "the probabilities against depth, or with one depth the densities of R")


def add_depth_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim depth``."""
    add_networks(parser, ACTIVATIONS, CURVE_DEPTHS)
    _add_run_length(_add_sampling_options(parser))
    curve = parser.add_argument_group("the curves")
    curve.add_argument(
        "--event",
        choices=EVENTS,
        default="vanishing",
        metavar="NAME",
        help=f"the event: {', '.join(EVENTS)} (default: vanishing)",
    )
    curve.add_argument(
        "--event-dtype",
        choices=tuple(LOG10_RANGE),
        metavar="DTYPE",
        help=f"floating-point format of underflow and overflow: {', '.join(LOG10_RANGE)}",
    )
    curve.add_argument(
        "--level",
        type=number,
        default=0.5,
        metavar="P",
        help="the critical depth is where the probability of the event is P (default: 0.5)",
    )
    _add_interval_options(curve)
    add_table_options(curve, f"{STATISTICS}, healthy, vanishing_theory, ...")
    add_formats(curve, "json", "csv", "markdown", "latex")
    add_plot_option(parser, "the probability of the event against depth, and the critical depths")
    parser.set_defaults(first=0, layer=0, layers=None, record=None)


def add_plot_option(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument_group("the figure").add_argument(
        "--plot",
        type=path,
        metavar="FIGURE",
        help=f"draw {what}, to a file ending in .pdf, .png, .svg, .eps, .jpg or .webp",
    )


def add_theory_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim theory``."""
    add_networks(parser, ACTIVATIONS, DEPTHS)
    table = parser.add_argument_group("the tables")
    table.add_argument(
        "--batch-size",
        type=integer,
        default=1,
        metavar="B",
        help="inputs per network; at least 2 for batch normalisation (default: 1)",
    )
    table.add_argument(
        "--inputs",
        choices=tuple(INPUTS),
        default="normal",
        help="law of the inputs; zeros with --rnn only (default: normal)",
    )
    _add_threshold(table)
    add_table_options(table, "depth, mean, std, vanishing, exploding, dead, law")
    add_formats(table, "json", "csv", "markdown", "latex")
    parser.set_defaults(loss="linear", engine="auto")


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim replay``."""
    add_networks(parser, ["tanh"], [30], many=False)
    sampling = _add_sampling_options(parser)
    sampling.add_argument(
        "--index", type=integer, default=0, metavar="I", help="index of the sample (default: 0)"
    )
    parser.add_argument(
        "--layers", type=integer, nargs="+", metavar="L", help="layers to print (default: some)"
    )
    parser.add_argument(
        "--out",
        type=out_path,
        metavar="FILE.npz",
        help="write inputs, output_gradient, W_1, b_1, W_2, ... to a new file, for numpy.load; of "
        "a composed network the parameters by name: 0.weight, 0.bias, 2.0.weight, ...",
    )


def add_networks(
    parser: argparse.ArgumentParser,
    activations: Sequence[str],
    depths: Sequence[int],
    many: bool = True,
) -> None:
    """Add the options of the networks, and the file that may describe them instead."""
    parser.add_argument(
        "file",
        type=path,
        nargs="?",
        metavar="net.toml",
        help=f"a file that describes the network{'s' * many} (-: standard input), in place of the "
        "options for networks; with --depth its layers are repeated up to that depth",
    )
    add_network_options(parser, many, activations, depths)


def _add_run_length(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--samples",
        type=integer,
        default=10_000,
        metavar="N",
        help="random networks per row of the table (default: 10000)",
    )
    group.add_argument(
        "--threads", type=integer, metavar="N", help="number of threads (default: all processors)"
    )


def _add_threshold(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--threshold",
        type=number,
        default=THRESHOLD,
        metavar="X",
        help="vanishing: ratio of norms < X, exploding: > 1/X (default: 1e-6)",
    )


def _add_interval_options(group: argparse._ArgumentGroup) -> None:
    _add_threshold(group)
    group.add_argument(
        "--confidence-level",
        type=number,
        default=0.95,
        metavar="P",
        help="confidence level of the intervals (default: 0.95)",
    )
    group.add_argument(
        "--method",
        choices=METHODS,
        default="wilson",
        help="interval of a probability: Wilson, Clopper-Pearson (exact), or anytime-valid, for "
        "runs that end when the interval is narrow enough (default: wilson)",
    )


def add_formats(group: argparse._ArgumentGroup, *formats: str) -> None:
    """Add the options for the format of a table."""
    kinds = group.add_mutually_exclusive_group()
    kinds.set_defaults(format="text")
    for name in formats:
        kinds.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, help=FORMAT_HELP[name]
        )


def _add_sampling_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("the samples")
    group.add_argument(
        "--seed", type=integer, default=0, metavar="S", help="seed of the samples (default: 0)"
    )
    group.add_argument(
        "--inputs",
        type=data,
        default="normal",
        metavar="FILE.npy",
        help="data matrix (N, n_0) whose random rows are the inputs; or zeros, with --rnn "
        "(default: normal inputs)",
    )
    group.add_argument(
        "--batch-size",
        type=integer,
        default=1,
        metavar="B",
        help="inputs per network; norms of gradients run over all of them (default: 1)",
    )
    group.add_argument(
        "--loss",
        choices=LOSSES,
        default="linear",
        help="with linear, the gradient of the loss by the output is normal (default: linear)",
    )
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="matrix-free needs normal or orthogonal weights, scalar a plain network of linear or "
        "ReLU units (default: auto, the fastest engine)",
    )
    group.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="number format of the simulation (default: float32)",
    )
    return group


def path(text: str) -> Path:
    """Return the path of an argument, which must not be empty."""
    if not text:
        raise argparse.ArgumentTypeError("it must not be empty")
    return Path(text)


def out_path(text: str) -> Path:
    """Return the path of a new file, which must not be ``-``, the standard output."""
    if text == STDIN:
        raise argparse.ArgumentTypeError(
            "'-' is not allowed: these files are binary, tables are on the standard output anyway"
        )
    return path(text)


def data(text: str) -> Any:
    """Return the array of an .npy file by its name, or "normal" or "zeros"."""
    if text in INPUTS:
        return text
    try:
        with regular(text) as file:
            return array_of(file.read())
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be read: {error.strerror or error}"
        ) from None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an .npy file of numbers, as numpy.save writes it"
        ) from None
