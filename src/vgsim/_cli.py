"""The command vgsim: its arguments and exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import vgsim
from vgsim import _commands
from vgsim._activations import ACTIVATIONS
from vgsim._initializers import INITIALIZERS
from vgsim._parameters import Entry
from vgsim._quantities import RECORDS
from vgsim._sampling import ENGINES
from vgsim._stats import METHODS

TEXTBOOK = ("sigmoid", "tanh", "relu")


def _paired_with(init: str) -> str:
    return ", ".join(name for name in ACTIVATIONS if _commands.initializer_for(name) == init)


def _parameters(table: Mapping[str, Entry]) -> str:
    """List what the names of a table take: ``leaky_relu:slope=0.01  normal:std=X``."""
    return "  ".join(
        f"{name}:" + ",".join(f"{key}={value.default or 'X'}" for key, value in taken.items())
        for name, entry in table.items()
        if (taken := entry.parameters)
    )


VGSIM = "How the probability of a vanishing or exploding gradient grows with depth."

RUN = f"""\
Estimate how likely the gradient is to vanish, to explode or to die in random networks, for every
activation at every depth. Without options: {", ".join(TEXTBOOK)} at depths
{", ".join(map(str, _commands.DEPTHS))}, width 128, 10,000 networks each."""

RUN_MORE = f"""\
The initialiser, where --init does not say, is the one that textbooks pair with the activation:
he_normal for {_paired_with("he_normal")};
lecun_normal for {_paired_with("lecun_normal")}; glorot_normal for all others.

activations:   {", ".join(list(ACTIVATIONS)[:7])},
               {", ".join(list(ACTIVATIONS)[7:])}
initialisers:  {", ".join(list(INITIALIZERS)[:6])},
               {", ".join(list(INITIALIZERS)[6:])}
Parameters follow the name. Here with their defaults, X where one must be given:
               {_parameters(ACTIVATIONS)}
               {_parameters(INITIALIZERS)}
(mode: fan_in, fan_avg or fan_out)

examples:
  vgsim run
  vgsim run --activation gelu leaky_relu:slope=0.1 --depth 50 500 --samples 1e5
  vgsim run --activation tanh --init lecun_normal --gain 1.5 --bias-std 0.1 --csv > tanh.csv
  vgsim run --activation relu --width 784,512,512,10 --inputs images.npy --out relu.npz"""

REPLAY = """\
Replay one simulated network as explicit weights, run it forward and backward in NumPy, and print
its gradient layer by layer beside what the simulation recorded."""


AS_OPTIONS = (
    (r"^n_(samples|threads) must", r"--\1 must"),
    (r"^each of layers must", "each of --layers must"),
    (r"^(bias|confidence)_(std|level) must", r"--\1-\2 must"),
    (r"^(depth|width|gain|seed|first|inputs|threshold|layers) must", r"--\1 must"),
    (r"^engine 'matrix-free' needs", "--engine matrix-free needs"),
    (r"use engine='dense' or 'auto'", "use --engine dense or auto"),
    (r"bias_std must be 0", "--bias-std must be 0"),
    (r"for example Initializer\('(\w+)', (.*)\)", r"for example \1:\2"),
    (r"^gain=(\S+) with init=Initializer\('(\w+)'.*?\)", r"--gain \1 with --init \2"),
    (r"use init='lecun_uniform' with gain=3\*\*-0\.5", "use --init lecun_uniform --gain 0.57735"),
    (
        r"lower n_samples = (\d+) \(runs with other `first`",
        r"lower --samples \1 (runs with other --first",
    ),
    (r"or lower n_threads", "or lower --threads"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, without the name of the command; those of the process by default.

    Returns
    -------
    int
        The exit code: 0 done, 1 the reader of our output went away, 2 a bad argument or value
        (one line on stderr says which), 130 interrupted.

    Examples
    --------
    >>> from vgsim._cli import main
    >>> main(["run", "--activation", "tanh", "--depth", "0"])
    2
    """
    command = "vgsim"
    if sys.stdout is None:  # closed by the caller
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    try:
        options, unknown = _parser().parse_known_args(argv)
        if unknown:
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        command = f"vgsim {options.command}"
        options.function(options)
        sys.stdout.flush()
    except SystemExit as end:
        return int(end.code or 0)
    except (ValueError, TypeError, MemoryError, ImportError) as error:
        print(f"{command}: error: {_as_options(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"{command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _as_options(message: str) -> str:
    """Name the arguments of simulate and MLP as the command line does."""
    for pattern, option in AS_OPTIONS:
        message = re.sub(pattern, option, message)
    return message


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(prog="vgsim", description=VGSIM)
    parser.add_argument("--version", action="version", version=f"vgsim {vgsim.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{run,replay,info}")
    run = commands.add_parser(
        "run",
        help="estimate the probability of vanishing, exploding and dead gradients",
        description=RUN,
        epilog=RUN_MORE,
    )
    _add_run_options(run)
    run.set_defaults(function=_commands.run, parser=run)
    replay = commands.add_parser(
        "replay", help="one simulated network as explicit weights", description=REPLAY
    )
    _add_replay_options(replay)
    replay.set_defaults(function=_commands.replay, parser=replay)
    info = commands.add_parser("info", help="versions, and what was compiled and chosen")
    info.set_defaults(function=_commands.info, parser=info)
    return parser


def _add_run_options(parser: _Parser) -> None:
    defaults: list[tuple[str, Any]] = [(name, {}) for name in TEXTBOOK]
    depths = " ".join(map(str, _commands.DEPTHS))
    _add_network_options(parser, "+", defaults, depths)
    sampling = _add_sampling_options(parser)
    sampling.add_argument(
        "--samples",
        type=_integer,
        default=10_000,
        metavar="N",
        help="networks in a row of the table (default: 10000)",
    )
    sampling.add_argument(
        "--first", type=_integer, default=0, metavar="I", help="index of the first (default: 0)"
    )
    sampling.add_argument(
        "--threads", type=_integer, metavar="N", help="default: as many as the machine allows"
    )
    table = parser.add_argument_group("the table")
    table.add_argument(
        "--layer",
        type=_integer,
        default=0,
        metavar="L",
        help="the layer whose gradient is compared with the last one's (default: 0, the input)",
    )
    table.add_argument(
        "--threshold",
        type=_number,
        default=1e-6,
        metavar="X",
        help="vanishing is a ratio below X, exploding one above 1/X (default: 1e-6)",
    )
    table.add_argument(
        "--confidence-level",
        type=_number,
        default=0.95,
        metavar="P",
        help="of the intervals (default: 0.95)",
    )
    table.add_argument(
        "--method",
        choices=METHODS,
        default="wilson",
        help="which interval, Wilson's or that of Clopper and Pearson (default: wilson)",
    )
    kind = table.add_mutually_exclusive_group()
    kind.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        default="text",
        help="print one JSON object; null in a quantile is log10 0, a dead network",
    )
    kind.add_argument(
        "--csv", dest="format", action="store_const", const="csv", help="print CSV, a row a network"
    )
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


def _add_replay_options(parser: _Parser) -> None:
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


def _add_network_options(
    parser: _Parser, count: int | str, activations: list[tuple[str, Any]], depths: str
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


def _add_sampling_options(parser: _Parser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("the samples")
    group.add_argument("--seed", type=_integer, default=0, metavar="S", help="default: 0")
    group.add_argument(
        "--inputs",
        type=_data,
        default="normal",
        metavar="FILE.npy",
        help="data matrix (N, n_0), one random row a network (default: normal inputs)",
    )
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="default: matrix-free where the weights are normal, else dense",
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
    name, colon, rest = text.partition(":")
    parameters: dict[str, float | str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not name or name:parameter=value,..., as in leaky_relu:slope=0.1"
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
