"""The options of the commands, and how their values are read."""

from __future__ import annotations

import argparse
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from vgsim._cures import Highway, Residual
from vgsim._events import EVENTS, LOG10_RANGE, THRESHOLD
from vgsim._network import NORMS
from vgsim._quantities import RECORDS
from vgsim._sampling import ENGINES, LOSSES
from vgsim._spec import CURVE_DEPTHS, DEPTHS, TEXTBOOK
from vgsim._stats import METHODS

BLOCKS = tuple(field.name for field in fields(Residual) if field.name != "every")
FORMAT_HELP = {
    "json": "print one JSON object; null is log10 0 in a quantile, elsewhere infinite or not known",
    "csv": "print CSV, a row a network",
    "markdown": "print Markdown tables",
    "latex": "print LaTeX tables, for the package booktabs",
}


def add_run_options(parser: argparse.ArgumentParser) -> None:
    defaults: list[tuple[str, Any]] = [(name, {}) for name in TEXTBOOK]
    depths = " ".join(map(str, DEPTHS))
    _add_network_options(parser, "+", defaults, depths)
    sampling = _add_sampling_options(parser)
    _add_run_length(sampling)
    sampling.add_argument(
        "--first", type=_integer, default=0, metavar="I", help="index of the first (default: 0)"
    )
    table = parser.add_argument_group("the table")
    table.add_argument(
        "--layer",
        type=_integer,
        default=0,
        metavar="L",
        help="the layer whose gradient is compared with the last one's (default: 0, the input)",
    )
    _add_interval_options(table)
    _add_formats(table, "json", "csv")
    raw = parser.add_argument_group("raw samples, for vgsim.load")
    raw.add_argument(
        "--out",
        type=_path,
        metavar="PATH",
        help="a new file ending in .npz if there is one network, or a folder, made if need be, "
        "with a new file for each",
    )
    raw.add_argument(
        "--layers",
        type=_integer,
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
    defaults: list[tuple[str, Any]] = [(name, {}) for name in TEXTBOOK]
    _add_network_options(parser, "+", defaults, " ".join(map(str, CURVE_DEPTHS)))
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
        type=_number,
        default=0.5,
        metavar="P",
        help="the critical depth is where the event's probability rises to P (default: 0.5)",
    )
    _add_interval_options(curve)
    _add_formats(curve, "json", "csv", "markdown", "latex")
    parser.set_defaults(first=0, layer=0, layers=None, record=None)


def add_theory_options(parser: argparse.ArgumentParser) -> None:
    defaults: list[tuple[str, Any]] = [(name, {}) for name in TEXTBOOK]
    _add_network_options(parser, "+", defaults, " ".join(map(str, DEPTHS)))
    table = parser.add_argument_group("the tables")
    table.add_argument(
        "--batch-size",
        type=_integer,
        default=1,
        metavar="B",
        help="inputs to each network: batch normalisation needs it (default: 1)",
    )
    _add_threshold(table)
    _add_formats(table, "json", "csv", "markdown", "latex")
    parser.set_defaults(loss="linear", engine="auto", inputs="normal")


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    _add_network_options(parser, 1, [("tanh", {})], "30")
    sampling = _add_sampling_options(parser)
    sampling.add_argument(
        "--index", type=_integer, default=0, metavar="I", help="which sample (default: 0)"
    )
    parser.add_argument(
        "--layers", type=_integer, nargs="+", metavar="L", help="layers to print (default: some)"
    )
    parser.add_argument(
        "--out",
        type=_path,
        metavar="FILE.npz",
        help="a new file: write inputs, output_gradient, W_1, b_1, W_2, ... for numpy.load",
    )


def _add_run_length(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--samples",
        type=_integer,
        default=10_000,
        metavar="N",
        help="networks in a row of the table (default: 10000)",
    )
    group.add_argument(
        "--threads", type=_integer, metavar="N", help="default: as many as the machine allows"
    )


def _add_threshold(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--threshold",
        type=_number,
        default=THRESHOLD,
        metavar="X",
        help="vanishing is a ratio below X, exploding one above 1/X (default: 1e-6)",
    )


def _add_interval_options(group: argparse._ArgumentGroup) -> None:
    _add_threshold(group)
    group.add_argument(
        "--confidence-level",
        type=_number,
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


def _add_formats(group: argparse._ArgumentGroup, *formats: str) -> None:
    kinds = group.add_mutually_exclusive_group()
    kinds.set_defaults(format="text")
    for name in formats:
        kinds.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, help=FORMAT_HELP[name]
        )


def _add_network_options(
    parser: argparse.ArgumentParser,
    count: int | str,
    activations: list[tuple[str, Any]],
    depths: str,
) -> None:
    group = parser.add_argument_group("the networks")
    group.add_argument(
        "--activation",
        type=_named,
        nargs=count,
        default=activations,
        metavar="NAME",
        help=f"default: {' '.join(name for name, _ in activations)}",
    )
    group.add_argument(
        "--depth",
        type=_depth if count == "+" else _integer,
        nargs=count,
        metavar="D",
        help=f"default: {depths}",
    )
    group.add_argument(
        "--width",
        type=_widths,
        default=128,
        metavar="N",
        help="units of every layer, or all widths n_0,n_1,...,n_D (default: 128)",
    )
    group.add_argument(
        "--init", type=_named, metavar="NAME", help="default: the textbook's for the activation"
    )
    group.add_argument(
        "--gain",
        type=_number,
        default=1.0,
        metavar="X",
        help="multiplies the standard deviation of the weights (default: 1)",
    )
    group.add_argument(
        "--bias-std",
        type=_number,
        default=0.0,
        metavar="X",
        help="standard deviation of the biases (default: 0)",
    )
    _add_technique_options(parser)


def _add_technique_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("techniques (default: none)")
    group.add_argument("--norm", choices=NORMS, help="normalisation of the pre-activations")
    group.add_argument(
        "--norm-eps", type=_number, metavar="X", help="added to the variance there (default: 1e-5)"
    )
    skips = group.add_mutually_exclusive_group()
    skips.add_argument(
        "--residual",
        type=_residual,
        metavar="EVERY",
        help="skip connections around blocks of EVERY layers; parameters may follow, see below"
        if parser.epilog
        else "skip connections around blocks of EVERY layers; see vgsim run --help",
    )
    skips.add_argument(
        "--highway",
        type=_number,
        nargs="?",
        const=Highway.gate_bias,
        metavar="GATE_BIAS",
        help=f"gates, with this bias ({Highway.gate_bias:g} if none is given)",
    )
    clips = group.add_mutually_exclusive_group()
    clips.add_argument(
        "--clip-norm",
        type=_number,
        metavar="X",
        help="clip the gradient by each layer's output to a norm of at most X, on its way back",
    )
    clips.add_argument(
        "--clip-value", type=_number, metavar="X", help="clip its entries to at most X"
    )
    group.add_argument(
        "--rnn",
        action="store_true",
        help="recurrent networks, one weight matrix for all steps: --depth says how many, a layer "
        "is a step",
    )
    group.add_argument(
        "--input-std",
        type=_number,
        metavar="X",
        help="with --rnn: scale of the random drive of every step (default: 0.5)",
    )


def _add_sampling_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("the samples")
    group.add_argument("--seed", type=_integer, default=0, metavar="S", help="default: 0")
    group.add_argument(
        "--inputs",
        type=_data,
        default="normal",
        metavar="FILE.npy",
        help="data matrix (N, n_0): inputs are random rows of it (default: normal inputs)",
    )
    group.add_argument(
        "--batch-size",
        type=_integer,
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
        choices=("float32", "float64"),
        default="float32",
        help="of the simulation (default: float32)",
    )
    return group


def _integer(text: str) -> int:
    """Read an int, also from 10_000 or 1e4."""
    try:
        return int(text)
    except ValueError:
        number = _number(text)
        if not number.is_integer():
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
        return int(number)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _depth(text: str) -> int:
    if "," in text:
        spaced = " ".join(text.replace(",", " ").split())
        raise argparse.ArgumentTypeError(f"depths are separated by spaces: --depth {spaced}")
    return _integer(text)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it must not be empty")
    return Path(text)


def _widths(text: str) -> int | tuple[int, ...]:
    if "," in text:
        return tuple(_integer(part) for part in text.split(","))
    return _integer(text)


def _named(text: str) -> tuple[str, dict[str, float | str]]:
    """Read a name and its parameters from ``name:key=value,key=value``."""
    return _with_parameters(text, "name", "leaky_relu:slope=0.1")


def _residual(text: str) -> tuple[int, dict[str, float | str]]:
    """Read a block length and the parameters of blocks from ``2:style=pre,skip=0.5``."""
    every, parameters = _with_parameters(text, "EVERY", "2:style=pre")
    for key in parameters:
        if key not in BLOCKS:
            raise argparse.ArgumentTypeError(f"its parameters are {', '.join(BLOCKS)}, got {key!r}")
    return _integer(every), parameters


def _with_parameters(text: str, what: str, example: str) -> tuple[str, dict[str, float | str]]:
    name, colon, rest = text.partition(":")
    parameters: dict[str, float | str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not {what} or {what}:parameter=value,..., as in {example}"
            )
        try:
            parameters[key] = float(value)
        except ValueError:
            parameters[key] = value
    return name, parameters


def _data(text: str) -> Any:
    if text == "normal":
        return text
    try:
        with open(text, "rb") as file:
            data = np.load(file, allow_pickle=False)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be read: {error.strerror or error}"
        ) from None
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an .npy file of numbers, as numpy.save writes it"
        ) from None
    if not isinstance(data, np.ndarray):
        raise argparse.ArgumentTypeError(f"{text!r} is not an .npy file: it holds several arrays")
    return data
