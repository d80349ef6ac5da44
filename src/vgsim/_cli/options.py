"""The options of the commands, and how their values are read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vgsim._checks import EVENTS, THRESHOLD, Integer, Number
from vgsim._cli.fields import ACTIVATIONS, CURVE_DEPTHS, DEPTHS, add_network_options, reader
from vgsim._engine.settings import DTYPES, ENGINES, LOSSES
from vgsim._results.events import LOG10_RANGE
from vgsim._results.files import regular
from vgsim._results.npz import array_of
from vgsim._results.samples import RECORDS
from vgsim._statistics.binomial import METHODS

__all__ = [
    "add_depth_options",
    "add_formats",
    "add_replay_options",
    "add_run_options",
    "add_theory_options",
    "data",
    "integer",
    "number",
    "path",
]

FORMAT_HELP = {
    "json": "print one JSON object; null is log10 0 in a quantile, elsewhere infinite or not known",
    "csv": "print CSV, a row a network",
    "markdown": "print Markdown tables",
    "latex": "print LaTeX tables, for the package booktabs",
}
integer = reader(Integer(0, 0))
number = reader(Number("", bool))


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim run``."""
    add_network_options(parser, True, ACTIVATIONS, DEPTHS)
    sampling = _add_sampling_options(parser)
    _add_run_length(sampling)
    sampling.add_argument(
        "--first", type=integer, default=0, metavar="I", help="index of the first (default: 0)"
    )
    table = parser.add_argument_group("the table")
    table.add_argument(
        "--layer",
        type=integer,
        default=0,
        metavar="L",
        help="the layer whose gradient is compared with the last one's (default: 0, the input)",
    )
    _add_interval_options(table)
    add_formats(table, "json", "csv", "markdown", "latex")
    raw = parser.add_argument_group("raw samples, for vgsim.load")
    raw.add_argument(
        "--out",
        type=path,
        metavar="PATH",
        help="a new file ending in .npz if there is one network, or a folder, made if need be, "
        "with a new file for each",
    )
    raw.add_argument(
        "--layers",
        type=integer,
        nargs="+",
        metavar="L",
        help="layers to record beside --layer",
    )
    raw.add_argument(
        "--record",
        choices=RECORDS,
        nargs="+",
        metavar="NAME",
        help=f"quantities to record beside gradient: {', '.join(RECORDS[1:])}",
    )


def add_depth_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim depth``."""
    add_network_options(parser, True, ACTIVATIONS, CURVE_DEPTHS)
    _add_run_length(_add_sampling_options(parser))
    curve = parser.add_argument_group("the curves")
    curve.add_argument(
        "--event",
        choices=EVENTS,
        default="vanishing",
        metavar="NAME",
        help=f"{', '.join(EVENTS)} (default: vanishing)",
    )
    curve.add_argument(
        "--event-dtype",
        choices=tuple(LOG10_RANGE),
        metavar="DTYPE",
        help=f"the floating-point format of underflow and overflow: {', '.join(LOG10_RANGE)}",
    )
    curve.add_argument(
        "--level",
        type=number,
        default=0.5,
        metavar="P",
        help="the critical depth is where the event's probability rises to P (default: 0.5)",
    )
    _add_interval_options(curve)
    add_formats(curve, "json", "csv", "markdown", "latex")
    parser.set_defaults(first=0, layer=0, layers=None, record=None)


def add_theory_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim theory``."""
    add_network_options(parser, True, ACTIVATIONS, DEPTHS)
    table = parser.add_argument_group("the tables")
    table.add_argument(
        "--batch-size",
        type=integer,
        default=1,
        metavar="B",
        help="inputs to each network: batch normalisation needs it (default: 1)",
    )
    _add_threshold(table)
    add_formats(table, "json", "csv", "markdown", "latex")
    parser.set_defaults(loss="linear", engine="auto", inputs="normal")


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim replay``."""
    add_network_options(parser, False, ["tanh"], [30])
    sampling = _add_sampling_options(parser)
    sampling.add_argument(
        "--index", type=integer, default=0, metavar="I", help="which sample (default: 0)"
    )
    parser.add_argument(
        "--layers", type=integer, nargs="+", metavar="L", help="layers to print (default: some)"
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="FILE.npz",
        help="a new file: write inputs, output_gradient, W_1, b_1, W_2, ... for numpy.load",
    )


def _add_run_length(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--samples",
        type=integer,
        default=10_000,
        metavar="N",
        help="networks in a row of the table (default: 10000)",
    )
    group.add_argument(
        "--threads", type=integer, metavar="N", help="default: as many as the machine allows"
    )


def _add_threshold(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--threshold",
        type=number,
        default=THRESHOLD,
        metavar="X",
        help="vanishing is a ratio below X, exploding one above 1/X (default: 1e-6)",
    )


def _add_interval_options(group: argparse._ArgumentGroup) -> None:
    _add_threshold(group)
    group.add_argument(
        "--confidence-level",
        type=number,
        default=0.95,
        metavar="P",
        help="of the intervals (default: 0.95)",
    )
    group.add_argument(
        "--method",
        choices=METHODS,
        default="wilson",
        help="the interval of a probability: Wilson's, that of Clopper and Pearson, or one that is "
        "valid at any time of stopping (default: wilson)",
    )


def add_formats(group: argparse._ArgumentGroup, *formats: str) -> None:
    """Add the options that choose how a table is printed."""
    kinds = group.add_mutually_exclusive_group()
    kinds.set_defaults(format="text")
    for name in formats:
        kinds.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, help=FORMAT_HELP[name]
        )


def _add_sampling_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("the samples")
    group.add_argument("--seed", type=integer, default=0, metavar="S", help="default: 0")
    group.add_argument(
        "--inputs",
        type=data,
        default="normal",
        metavar="FILE.npy",
        help="data matrix (N, n_0): inputs are random rows of it (default: normal inputs)",
    )
    group.add_argument(
        "--batch-size",
        type=integer,
        default=1,
        metavar="B",
        help="inputs to each network; norms are over all of them (default: 1)",
    )
    group.add_argument(
        "--loss",
        choices=LOSSES,
        default="linear",
        help="linear: the gradient by the output is normal (default: linear)",
    )
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="default: the faster one by rule; matrix-free needs normal or orthogonal weights",
    )
    group.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="of the simulation (default: float32)",
    )
    return group


def path(text: str) -> Path:
    """Read a path."""
    if not text:
        raise argparse.ArgumentTypeError("it must not be empty")
    return Path(text)


def data(text: str) -> Any:
    """Read the name of an .npy file, or "normal"."""
    if text == "normal":
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
