"""The command vgsim train."""

from __future__ import annotations

import argparse
import sys
import time
from itertools import product
from typing import Any

from vgsim._checks import COUNTERS, value_error
from vgsim._cli.fields import networks_of
from vgsim._cli.figures import check_figure, new_figure, save_figure
from vgsim._cli.run import check_new, writing
from vgsim._cli.studies import termination_interrupts
from vgsim._cli.table_options import checked_table
from vgsim._cli.train_options import add_train_options
from vgsim._cli.trainings import draw_study, print_trainings
from vgsim._domains import Integer
from vgsim._engine.progress import on_terminal
from vgsim._networks.description import Network
from vgsim._networks.elements import Linear
from vgsim._networks.mlp import MLP
from vgsim._networks.sequential import Sequential
from vgsim._results.tables import seconds_cell
from vgsim._studies.contents import Trainings
from vgsim._studies.training_study import TrainingStudy
from vgsim._training.train import train as run

__all__ = ["add_train_command"]

DEPTHS, ACTIVATION = (10,), ("tanh",)
SWEPT = ("optimizer", "learning_rate", "batch_size")  # every combination of which is trained
FIXED = (
    *("data", "steps", "loss", "clip", "biases", "initial", "seed", "first"),
    *("record", "every", "layers", "dtype", "store"),
)
TRAIN = """\
Train many random networks side by side, and print how many learned, got stuck or diverged, with the
median number of steps until they learned. Each has its own initial weights and minibatches. Needs
the packages jax and optax: pip install 'vgsim[train]'."""
TRAIN_MORE = """\
See vgsim run --help for the networks: every option takes several values, which
are combined. The network's first width must be the columns of X, its last one
at least the number of classes, or the columns of the targets. An MLP applies
its activation to the last layer too: --readout appends a linear layer.

  learned   the smoothed loss (a mean of 5 recorded steps) fell below half of
            the loss of the best constant prediction
  stuck     it did not learn or diverge, and never fell below 0.9 of that loss
            or of the initial one, whichever is smaller
  diverged  it was not finite, or ended above 1.1 of the initial loss

examples:
  vgsim train --data teacher --loss mse --steps 200 --learning-rate 0.1
  vgsim train --data digits.npz --width 64 --readout 10 --depth 5 10 20 \\
    --activation sigmoid tanh --steps 500 --optimizer adam --learning-rate 1e-3
  vgsim train net.toml --data digits.npz --steps 500 --learning-rate 0.01 0.1 \\
    --store digits.sqlite --plot learned.pdf
  vgsim show digits.sqlite"""


def add_train_command(commands: Any) -> None:
    """Add ``vgsim train`` to the commands of vgsim."""
    parser = commands.add_parser(
        "train",
        help="train many random networks: how many learn, get stuck or diverge",
        description=TRAIN,
        epilog=TRAIN_MORE,
    )
    add_train_options(parser)
    parser.set_defaults(function=train, parser=parser)


def train(options: argparse.Namespace) -> None:
    """Train every network with every combination of settings, and print a table."""
    began = time.monotonic()
    checked_table(options)
    networks = [_read_out(options, one) for one in networks_of(options, DEPTHS, ACTIVATION)]
    if options.plot is not None:
        check_figure("plot", options.plot)
    if options.out is not None:
        check_new(options.out)
    fixed: dict[str, Any] = {name: getattr(options, name) for name in FIXED}
    values = [dict.fromkeys(getattr(options, name)) for name in SWEPT]
    study = TrainingStudy([])
    with termination_interrupts():
        try:
            for combination in product(*values):
                swept = dict(zip(SWEPT, combination, strict=True))
                progress = on_terminal() and not options.quiet
                study += run(networks, options.samples, **swept, **fixed, progress=progress)
        except KeyboardInterrupt:
            if options.store is not None:
                kept = f"finished samples are in {options.store}: repeat the command to continue"
                print(f"vgsim train: {kept}", file=sys.stderr)
            raise
    if not options.quiet:
        done = f"{sum(map(len, study)):,} networks trained"
        print(f"vgsim train: {done}; {seconds_cell(time.monotonic() - began)}", file=sys.stderr)
    if options.out is not None:
        with writing(options.out):
            (study if len(study) > 1 else study[0]).save(options.out)
        print(f"wrote {options.out}", file=sys.stderr)
    if options.plot is not None:
        _plot(options, study)
    print_trainings(options, Trainings(study, []))


def _read_out(options: argparse.Namespace, network: Network) -> Network:
    """Return a network with the linear layer of --readout behind its last one, if it is given."""
    if options.readout is None:
        return network
    if not isinstance(network, (MLP, Sequential)):
        problem = f"is for feed-forward networks: end net.toml in a Linear; got {network!r}"
        raise value_error("readout", problem)
    width = Integer(1, COUNTERS - 1).check("readout", options.readout)
    layers, clip = [*network.layers, Linear(width)], network.clip
    return Sequential(network.width_at(0), layers, tokens=network.tokens, clip=clip)


def _plot(options: argparse.Namespace, study: TrainingStudy) -> None:
    """Draw the probability to learn, or the loss of one training, and write the figure."""
    figure = new_figure()
    ax = figure.subplots()
    if len(study) == 1:
        study[0].plot("loss", ax=ax)
    else:
        draw_study(study, ax)
    save_figure(figure, options.plot)
    print(f"wrote {options.plot}", file=sys.stderr)
