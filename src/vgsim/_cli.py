"""The command vgsim: its arguments and exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import vgsim
from vgsim import _commands, _depth_command, _options, _study_options, _theory_command
from vgsim._activations import ACTIVATIONS
from vgsim._initializers import INITIALIZERS
from vgsim._parameters import Entry
from vgsim._spec import CURVE_DEPTHS, DEPTHS, TEXTBOOK, initializer_for


def _paired_with(init: str) -> str:
    return ", ".join(name for name in ACTIVATIONS if initializer_for(name) == init)


def _parameters(table: Mapping[str, Entry]) -> str:
    """List what the names of a table take: ``leaky_relu:slope=0.01  normal:std=X``."""
    return "  ".join(
        f"{name}:" + ",".join(f"{key}={value.default or 'X'}" for key, value in taken.items())
        for name, entry in table.items()
        if (taken := entry.parameters)
    )


COMMANDS = "run", "depth", "theory", "replay", "collect", "show", "merge", "export", "info"
VGSIM = "How the probability of a vanishing or exploding gradient grows with depth."

RUN = f"""\
Estimate how likely the gradient is to vanish, to explode or to die in random networks, for every
activation at every depth. Without options: {", ".join(TEXTBOOK)} at depths
{", ".join(map(str, DEPTHS))}, width 128, 10,000 networks each."""

RUN_MORE = f"""\
The initialiser, where --init does not say, is the one that textbooks pair with the activation:
he_normal for {_paired_with("he_normal")};
lecun_normal for {_paired_with("lecun_normal")}; glorot_normal for all others.

activations:   {", ".join(list(ACTIVATIONS)[:7])},
               {", ".join(list(ACTIVATIONS)[7:])}
initialisers:  {", ".join(list(INITIALIZERS)[:6])},
               {", ".join(list(INITIALIZERS)[6:])}
               (identity: with --rnn only)
Parameters follow the name. Here with their defaults, X where one must be given:
               {_parameters(ACTIVATIONS)}
               {_parameters(INITIALIZERS)}
(mode: fan_in, fan_avg or fan_out)
Residual blocks with their defaults, and with every style there is:
               --residual 1:skip=1,branch=1,style=activated,last_gain=1
               --residual 2:style=linear,branch=1/sqrt(blocks)  style=post  style=pre
With --rnn the initialiser is orthogonal where --init does not say.

examples:
  vgsim run
  vgsim run --activation gelu leaky_relu:slope=0.1 --depth 50 500 --samples 1e5
  vgsim run --activation tanh --init lecun_normal --gain 1.5 --bias-std 0.1 --csv > tanh.csv
  vgsim run --activation relu --width 784,512,512,10 --inputs images.npy --out relu.npz
  vgsim run --activation relu --norm batch --batch-size 32 --samples 500
  vgsim run --activation relu --residual 2:style=pre,branch=1/sqrt(blocks)
  vgsim run --highway -2
  vgsim run --rnn --activation tanh --depth 10 100 --gain 1.1 --clip-norm 1"""

DEPTH = f"""\
Measure how the probability of an event, by default a vanishing gradient, grows with depth, for
every activation: the curve with its intervals and, beside it, the theory; the critical depth, where
the probability rises to --level; and the depth scale, the number of layers in which the squared
norm of the gradient changes e-fold. Without options: {", ".join(TEXTBOOK)} at depths
{", ".join(map(str, CURVE_DEPTHS))}, width 128, 10,000 networks each."""

DEPTH_MORE = """\
Initialisers and the parameters of names are those of vgsim run: see vgsim run --help.
-: no theory, or nothing to measure.

examples:
  vgsim depth
  vgsim depth --activation relu --width 32 --threshold 1e-3 --depth 30 100 300
  vgsim depth --activation relu --width 8 --event dead --level 0.1 --markdown
  vgsim depth --activation tanh --event underflow --event-dtype float16"""

THEORY = f"""\
Print what the theory says, without simulation, of every activation at every depth: the mean field
(fixed points, phase, depth scales, critical gain), and at finite width the mean and the standard
deviation of R = log10(|G_0| / |G_D|) over networks that are not dead, and probabilities. Where a
theory does not apply, the reason. Without options: {", ".join(TEXTBOOK)} at depths
{", ".join(map(str, DEPTHS))}, width 128."""

THEORY_MORE = """\
Initialisers and the parameters of names are those of vgsim run: see vgsim run --help.

  sigma_w, sigma_b  standard deviation of a weight times sqrt(fan-in), and of a bias
  q*, c*            variance of the pre-activations, and correlation of two inputs, deep down
  chi_1             growth of the gradient's mean squared norm a layer; chi_parallel: of q - q*
  xi_grad           layers in which that norm changes e-fold; xi_q, xi_c: in which q and c settle
  critical gain     the --gain at which chi_1 is 1

examples:
  vgsim theory
  vgsim theory --activation tanh erf --init lecun_normal --gain 1.5 --bias-std 0.2
  vgsim theory --activation relu --width 32 --depth 100 --threshold 1e-3 --json"""

REPLAY = """\
Replay one simulated network as explicit weights, run it forward and backward in NumPy, and print
its gradient layer by layer beside what the simulation recorded."""


AS_OPTIONS = (
    (r"^n_(samples|threads) must", r"--\1 must"),
    (r"^each of layers must", "each of --layers must"),
    (r"^(bias|input|norm|batch|confidence)_(std|eps|size|level) must", r"--\1-\2 must"),
    (r"^(depth|width|gain|seed|first|inputs|threshold|layers|norm) must", r"--\1 must"),
    (r"^steps must", "--depth must"),
    (r"^level must", "--level must"),
    (r"^max_seconds must", "--max-seconds must"),
    (r"^event='(\w+)' needs dtype, ", r"--event \1 needs --event-dtype, "),
    (r"^threshold is for (.*), got .* with event='(\w+)'", r"--threshold is for \1: --event \2"),
    (r"^dtype is for (.*), got .* with event='(\w+)'", r"--event-dtype is for \1: --event \2"),
    (r"least batch_size = ", "least --batch-size = "),
    (r"with norm 'batch'", "with --norm batch"),
    (r"^(norm|loss) '(\w+)' ", r"--\1 \2 "),
    (r"^norm_eps is for a norm, got norm_eps=(\S+) without one", "--norm-eps is for a --norm"),
    (r"^(\w+) of Residual must", r"--residual: \1 must"),
    (r"^gate_bias of Highway must", "--highway must"),
    (r"^max_norm of ClipNorm must", "--clip-norm must"),
    (r"^limit of ClipValue must", "--clip-value must"),
    (
        r"^(residual|highway) needs equal widths.*",
        r"--\1 needs equal widths: one number as --width",
    ),
    (
        r"^residual has blocks of every=(\d+) layers: depth must",
        r"--residual has blocks of \1 layers: --depth must",
    ),
    (
        r"^residual of style 'linear' with every=1 (.*), got .*",
        r"--residual 1:style=linear \1: use --residual 2:style=linear or more, another style, or "
        "--activation linear without --norm",
    ),
    (r"^init must not be 'identity'.*", "--init identity is for --rnn only"),
    (r"^record 'clipped' needs .*", "--record clipped needs --clip-norm or --clip-value"),
    (r"^engine 'matrix-free' needs", "--engine matrix-free needs"),
    (r"use engine='dense' or 'auto'", "use --engine dense or auto"),
    (r"bias_std must be 0", "--bias-std must be 0"),
    (r"for example Initializer\('(\w+)', (.*)\)", r"for example \1:\2"),
    (
        r"^gain=(\S+)( times last_gain=\S+)? with init=Initializer\('(\w+)'.*?\)",
        r"--gain \1\2 with --init \3",
    ),
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
        self._negative_number_matcher = re.compile(r"-\.?\d")  # --highway -1e1 is no option

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(prog="vgsim", description=VGSIM)
    parser.add_argument("--version", action="version", version=f"vgsim {vgsim.__version__}")
    commands = parser.add_subparsers(
        dest="command",
        required=True,
        metavar="{run,depth,theory,replay,collect,show,merge,export,info}",
    )
    run = commands.add_parser(
        "run",
        help="estimate the probability of vanishing, exploding and dead gradients",
        description=RUN,
        epilog=RUN_MORE,
    )
    _options.add_run_options(run)
    run.set_defaults(function=_commands.run, parser=run)
    depth = commands.add_parser(
        "depth",
        help="the probability against depth, with critical depth and depth scale",
        description=DEPTH,
        epilog=DEPTH_MORE,
    )
    _options.add_depth_options(depth)
    depth.set_defaults(function=_depth_command.depth, parser=depth)
    theory = commands.add_parser(
        "theory",
        help="what the theory says, without simulation",
        description=THEORY,
        epilog=THEORY_MORE,
    )
    _options.add_theory_options(theory)
    theory.set_defaults(function=_theory_command.theory, parser=theory)
    replay = commands.add_parser(
        "replay", help="one simulated network as explicit weights", description=REPLAY
    )
    _options.add_replay_options(replay)
    replay.set_defaults(function=_commands.replay, parser=replay)
    _study_options.add_study_commands(commands)
    info = commands.add_parser("info", help="versions, and what was compiled and chosen")
    info.set_defaults(function=_commands.info, parser=info)
    return parser
