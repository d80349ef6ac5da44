"""The help texts of the commands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from vgsim._cli.fields import ACTIVATIONS as USUAL
from vgsim._cli.fields import CURVE_DEPTHS, DEPTHS
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._networks.initializers import INITIALIZERS
from vgsim._networks.named import Entry

__all__ = [
    "DEPTH",
    "DEPTH_MORE",
    "HELP",
    "REPLAY",
    "RUN",
    "RUN_MORE",
    "SCHEMA",
    "THEORY",
    "THEORY_MORE",
    "VGSIM",
    "VGSIM_MORE",
]


def _textbook() -> list[str]:
    """Return the initialisers that textbooks use, each with its activations."""
    pairs: dict[str, list[str]] = {}
    for name, law in ACTIVATIONS.items():
        pairs.setdefault(law.textbook_init, []).append(name)
    usual = pairs.pop("glorot_normal")
    words = [f"{init} for {', '.join(names)}" for init, names in pairs.items()]
    return [*words, f"glorot_normal for all others, such as {usual[0]}"]


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
    lines = textwrap.wrap(between.join(words), 80 - COLUMN, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), " " * COLUMN).lstrip()


VGSIM = """\
Estimate how the probability of a vanishing or exploding gradient grows with
depth."""
VGSIM_MORE = """\
vgsim COMMAND --help and vgsim help COMMAND describe a command.

exit codes:
  0    done; also after vgsim without a command, which prints this help
  1    the program that read the output closed it, as head does
  2    an error; the message is on standard error
  130  interrupted by Ctrl-C (vgsim collect: or by SIGTERM)

environment variables:
  NO_COLOR=1               no colours; also TERM=dumb and CLICOLOR=0
  FORCE_COLOR=1            colours, also if the output is not a terminal
  PAGER                    the pager of vgsim show (default: less); cat: none
  OMP_NUM_THREADS          default number of threads
  VGSIM_ISA                instruction set of the kernels; vgsim info names it"""
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
  {kind = "Skip", layers = [
    {kind = "Norm", norm = "layer"}, {kind = "Attention", heads = 4}]},
  {kind = "Skip", layers = [
    {kind = "Norm", norm = "layer"}, {kind = "Linear"}, "gelu"]},
]
[[layers]]
kind = "Linear"
width = 10
gain = [0.1, 1.0]  # two networks"""
RUN_MORE = f"""\
Every option of the networks takes several values, which are combined: --gain
0.5 1 --norm none batch stands for four networks per activation and depth. none
is the absence of a technique. --rnn rnn lstm gru compares cells; an option that
only some of them have is for these.

The default, --init textbook, is the initialiser that textbooks use with the
activation:
               {_wrapped(_textbook(), "; ")}
With --rnn it is orthogonal; with --rnn lstm and --rnn gru, glorot_normal.

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
               --residual 2:style=linear,branch=1/sqrt(blocks)
               --residual 2:style=post  --residual 2:style=pre

examples:
  vgsim run
  vgsim run --activation gelu leaky_relu:slope=0.1 --depth 50 500 --samples 1e5
  vgsim run --activation tanh --init lecun_normal --gain 0.5 1 --bias-std 0 0.1
  vgsim run --activation relu --width 784,512,10 --inputs images.npy --csv
  vgsim run --activation relu --norm batch --batch-size 32 --samples 500
  vgsim run --activation relu --residual none 2:style=pre --out runs
  vgsim run --highway -2
  vgsim run --rnn --activation tanh --depth 10 100 --gain 1.1 --clip-norm 1
  vgsim run --rnn lstm --chrono 784 --depth 784 --width 32 --samples 500
  vgsim run net.toml --samples 1000
  vgsim run - < net.toml
where the file net.toml describes a composed network:
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

  sigma_w, sigma_b  standard deviation of a weight times sqrt(fan-in), and of a
                    bias
  q*, c*            fixed points of the variance q of pre-activations, and of
                    the correlation c of two inputs
  chi_1             factor of the mean squared norm of the gradient per layer
  chi_parallel      factor of q - q* per layer
  xi_grad           layers over which that norm changes by a factor of e
  xi_q, xi_c        layers over which q - q* and c - c* shrink by a factor of e
  critical gain     the --gain at which chi_1 is 1
  zero state        of --rnn lstm, gru, and rnn with --leak, with --inputs zeros
                    --input-std 0: the state stays 0, and chi_1 is the square of
                    the spectral radius of a step

examples:
  vgsim theory
  vgsim theory --activation tanh --init lecun_normal --gain 1 1.5 --bias-std 1
  vgsim theory --activation relu --width 32 --depth 100 --threshold 1e-3 --json
  vgsim theory --rnn lstm --forget-bias 5 --input-std 0 --inputs zeros
  vgsim theory net.toml"""
REPLAY = """\
Replay one simulated network as explicit weights, run it forward and backward in NumPy, and print
its gradient norm at each layer beside that of the simulation. The network is one of the options, or
the one of a file net.toml: see vgsim run --help."""
SCHEMA = """\
Print the JSON Schema of the object that a command prints with --json. The key
"schema" of the object names it. Without a name, list the schemas."""
HELP = """\
Print this help: vgsim help. Print that of a command: vgsim help COMMAND."""
