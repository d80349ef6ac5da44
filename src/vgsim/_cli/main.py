"""The command vgsim: its arguments and exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from vgsim._cli import depth, options, plot, replay, report, run, study_options, theory
from vgsim._cli.fields import ACTIVATIONS as USUAL
from vgsim._cli.fields import CURVE_DEPTHS, DEPTHS, option_name, option_names
from vgsim._engine.run import show_config
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._networks.initializers import INITIALIZERS
from vgsim._networks.named import Entry
from vgsim._version import __version__

__all__ = ["main"]


def _paired_with(init: str) -> str:
    return ", ".join(name for name, law in ACTIVATIONS.items() if law.textbook_init == init)


COLUMN = 15  # where the second column of the help begins


def _parameters(table: Mapping[str, Entry]) -> str:
    """Return the parameters of names as lines: ``leaky_relu:slope=0.01  normal:std=X``."""
    return _wrapped(
        f"{name}:" + ",".join(f"{key}={value.default or 'X'}" for key, value in taken.items())
        for name, entry in table.items()
        if (taken := entry.parameters)
    )


def _wrapped(words: Iterable[str], between: str = "  ") -> str:
    """Return words as lines of the second column of the help."""
    lines = textwrap.wrap(between.join(words), 100 - COLUMN, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), " " * COLUMN).lstrip()


VGSIM = "Estimate how the probability of a vanishing or exploding gradient grows with depth."
RUN = f"""\
Estimate the probabilities that the gradient of a random network vanishes, explodes or is exactly
zero (dead), for every activation at every depth. Without options: {", ".join(USUAL)} at depths
{", ".join(map(str, DEPTHS))}, width 128, 10,000 networks each."""
NET = """\
kind = "Sequential"
width = 64
tokens = 16
[[layers]]
repeat = 24
layers = [
  {kind = "Skip", layers = [{kind = "Norm", norm = "layer"}, {kind = "Attention", heads = 4}]},
  {kind = "Skip", layers = [{kind = "Norm", norm = "layer"}, {kind = "Linear"}, "gelu"]},
]
[[layers]]
kind = "Linear"
width = 10
gain = [0.1, 1.0]  # two networks"""
RUN_MORE = f"""\
The default, --init textbook, is the initialiser that textbooks pair with the activation:
he_normal for {_paired_with("he_normal")};
lecun_normal for {_paired_with("lecun_normal")}; siren for {_paired_with("siren")}, with its omega;
glorot_normal for all others; with --rnn, orthogonal for all; with --rnn lstm and --rnn gru,
glorot_normal.

activations:   {_wrapped(ACTIVATIONS, ", ")}
               (swish is another name of silu)
initialisers:  {_wrapped(["textbook", *INITIALIZERS], ", ")}
               (identity and torch_recurrent: with --rnn only)
Parameters follow the name (shown with their defaults; X must be given):
               {_parameters(ACTIVATIONS)}
               {_parameters(INITIALIZERS)}
(mode: fan_in, fan_avg or fan_out)
Residual blocks with their defaults, and with each of the other styles:
               --residual 1:skip=1,branch=1,style=activated,last_gain=1
               --residual 2:style=linear,branch=1/sqrt(blocks)  style=post  style=pre

examples:
  vgsim run
  vgsim run --activation gelu leaky_relu:slope=0.1 --depth 50 500 --samples 1e5
  vgsim run --activation tanh --init lecun_normal --gain 1.5 --bias-std 0.1 --csv > tanh.csv
  vgsim run --activation relu --width 784,512,512,10 --inputs images.npy --out relu.npz
  vgsim run --activation relu --norm batch --batch-size 32 --samples 500
  vgsim run --activation relu --residual 2:style=pre,branch=1/sqrt(blocks)
  vgsim run --highway -2
  vgsim run --rnn --activation tanh --depth 10 100 --gain 1.1 --clip-norm 1
  vgsim run --rnn lstm --chrono 784 --depth 784 --width 32 --samples 500
  vgsim run net.toml --samples 1000, where the file net.toml describes a composed network:
{textwrap.indent(NET, " " * 6)}"""
DEPTH = f"""\
Measure how the probability of an event, by default a vanishing gradient, grows with depth, for
every activation. Prints the probability at every depth with its interval and the theory; the
critical depth, where the probability reaches --level; and the depth scale, the number of layers
over which the squared norm of the gradient changes by a factor of e.
Without options: {", ".join(USUAL)} at depths
{", ".join(map(str, CURVE_DEPTHS))}, width 128, 10,000 networks each."""
DEPTH_MORE = """\
See vgsim run --help for initialisers, for the parameters of names, and for files net.toml.
A "-" in the table: there is no theory, or the value cannot be estimated.

examples:
  vgsim depth
  vgsim depth --activation relu --width 32 --threshold 1e-3 --depth 30 100 300
  vgsim depth --activation relu --width 8 --event dead --level 0.1 --markdown
  vgsim depth --activation tanh --event underflow --event-dtype float16
  vgsim depth net.toml --depth 12 24 48 96"""
THEORY = f"""\
Print the predictions of theory, without simulation, for every activation at every depth. Mean
field: fixed points, phase, depth scales, critical gain. Finite width: mean and standard deviation
of R = log10(|G_0| / |G_D|) over networks that are not dead, and probabilities of the events. Where
a theory does not apply, the reason is printed. Without options: {", ".join(USUAL)} at depths
{", ".join(map(str, DEPTHS))}, width 128."""
THEORY_MORE = """\
See vgsim run --help for initialisers, for the parameters of names, and for files net.toml.

  sigma_w, sigma_b  standard deviation of a weight times sqrt(fan-in), and of a bias
  q*, c*            fixed points of the variance q of the pre-activations, and of the correlation c
                    of two inputs
  chi_1             factor of the mean squared norm of the gradient per layer
  chi_parallel      factor of q - q* per layer
  xi_grad           number of layers over which that norm changes by a factor of e
  xi_q, xi_c        numbers of layers over which q - q* and c - c* shrink by a factor of e
  critical gain     the --gain at which chi_1 is 1
  zero state        of --rnn lstm, gru, and rnn with --leak, with --inputs zeros --input-std 0: the
                    state stays 0, and chi_1 is the square of the spectral radius of a step

examples:
  vgsim theory
  vgsim theory --activation tanh erf --init lecun_normal --gain 1.5 --bias-std 0.2
  vgsim theory --activation relu --width 32 --depth 100 --threshold 1e-3 --json
  vgsim theory --rnn lstm --forget-bias 5 --input-std 0 --inputs zeros
  vgsim theory net.toml"""
REPLAY = """\
Replay one simulated network as explicit weights, run it forward and backward in NumPy, and print
its gradient norm at each layer beside that of the simulation. The network is one of the options, or
the one of a file net.toml: see vgsim run --help."""
OPTIONS = {  # of arguments whose options have another name
    "n_samples": "--samples",
    "n_threads": "--threads",
}
COMMAND_OPTIONS = {  # the same, for one command only
    "depth": {"dtype": "--event-dtype"},
    "merge": {"store": "--out"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after ``vgsim``; by default those of the process.

    Returns
    -------
    int
        The exit code: 0 if done, 1 if the reader of the output closed it, 2 after an error (one
        line on stderr), 130 if interrupted.

    Examples
    --------
    >>> from vgsim._cli.main import main
    >>> main(["run", "--activation", "tanh", "--depth", "0"])
    2
    """
    command = "vgsim"
    if sys.stdout is None:  # the caller closed it
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    try:
        given, unknown = _parser().parse_known_args(argv)
        unknown += _no_file(given)
        if unknown:
            given.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        command = f"vgsim {given.command}"
        with _warnings(command):
            given.function(given)
        sys.stdout.flush()
    except SystemExit as end:
        return int(end.code or 0)
    except (ValueError, TypeError, MemoryError, ImportError) as error:
        print(f"{command}: error: {_said(error, given)}", file=sys.stderr)
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


def _no_file(given: argparse.Namespace) -> list[str]:
    """Return the word that was taken as the file of the networks, if it is none."""
    file: Path | None = getattr(given, "file", None)
    if file is None or file.suffix == ".toml":
        return []
    if file.suffix or file.exists():
        given.parser.error(f"{file} must end in .toml, if it is a file that describes networks")
    return [str(file)]


@contextmanager
def _warnings(command: str) -> Iterator[None]:
    """Print each warning, for example of damaged blocks, once, as a line on stderr."""
    printed = set()

    def line(message: Warning | str, *_: Any, **__: Any) -> None:
        if (text := f"{command}: warning: {message}") not in printed:
            printed.add(text)
            print(text, file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = line
        yield


def _said(error: Exception, given: argparse.Namespace) -> str:
    """Return the message of an error, which names the option instead of the argument."""
    argument = getattr(error, "argument", None)
    if argument is not None:
        names = option_names() | OPTIONS | COMMAND_OPTIONS.get(given.command, {})
        option = names.get(argument) or option_name(argument)
        if given.parser.has(option.split()[0]):
            return f"{option} {getattr(error, 'problem')}"  # noqa: B009
    return str(error) or "there is not enough memory"


class _Parser(argparse.ArgumentParser):
    """A parser whose error messages are one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings
        )
        self._negative_number_matcher = re.compile(r"-\.?\d")  # so that --highway -1e1 is a value

    def has(self, option: str) -> bool:
        """Return whether the command has an option of that name."""
        return option in self._option_string_actions

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(prog="vgsim", description=VGSIM)
    parser.add_argument("--version", action="version", version=f"vgsim {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser(
        "run",
        help="estimate the probability of vanishing, exploding and dead gradients",
        description=RUN,
        epilog=RUN_MORE,
    )
    options.add_run_options(run_parser)
    run_parser.set_defaults(function=run.run, parser=run_parser)
    depth_parser = commands.add_parser(
        "depth",
        help="the probability of an event against depth, critical depth and depth scale",
        description=DEPTH,
        epilog=DEPTH_MORE,
    )
    options.add_depth_options(depth_parser)
    depth_parser.set_defaults(function=depth.depth, parser=depth_parser)
    theory_parser = commands.add_parser(
        "theory",
        help="predictions of theory, without simulation",
        description=THEORY,
        epilog=THEORY_MORE,
    )
    options.add_theory_options(theory_parser)
    theory_parser.set_defaults(function=theory.theory, parser=theory_parser)
    replay_parser = commands.add_parser(
        "replay", help="one simulated network as explicit weights", description=REPLAY
    )
    options.add_replay_options(replay_parser)
    replay_parser.set_defaults(function=replay.replay, parser=replay_parser)
    study_options.add_study_commands(commands)
    plot.add_plot_command(commands)
    report.add_report_command(commands)
    info_parser = commands.add_parser("info", help="versions, compiler and instruction set")
    info_parser.set_defaults(function=lambda _: show_config(), parser=info_parser)
    commands.metavar = f"{{{','.join(commands.choices)}}}"
    return parser
