"""The options of vgsim train, and the readers of their values."""

from __future__ import annotations

import argparse
import zipfile
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vgsim._cli.options import (
    add_formats,
    add_networks,
    add_plot_option,
    integer,
    number,
    out_path,
    path,
)
from vgsim._cli.table_options import add_table_options
from vgsim._networks.techniques import Clip, ClipNorm, ClipValue
from vgsim.typing import DType, OptimizerName, TrainingLoss, TrainingRecord

__all__ = ["add_train_options"]

OPTIMIZERS, LOSSES = get_args(OptimizerName), get_args(TrainingLoss)
RECORDS = get_args(TrainingRecord)
CLIPS: dict[str, type[ClipNorm] | type[ClipValue]] = {"norm": ClipNorm, "value": ClipValue}
TEACHER = "teacher"


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vgsim train``."""
    add_networks(parser, ["tanh"], [10])
    group = parser.add_argument_group(
        "the training; one for each optimiser, learning rate and batch size"
    )
    group.add_argument(
        "--data",
        type=_pair,
        required=True,
        metavar="NPZ",
        help="arrays X (N, n_0) and y, N classes or targets (N, n_D), as numpy.savez writes them; "
        "or teacher: normal inputs, and the outputs of one random network",
    )
    group.add_argument(
        "--readout",
        type=integer,
        metavar="N",
        help="append a linear layer of N units, such as the number of classes, to every network",
    )
    group.add_argument(
        "--steps", type=integer, required=True, metavar="T", help="number of updates"
    )
    group.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        nargs="+",
        default=["sgd"],
        metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: sgd)",
    )
    group.add_argument(
        "--learning-rate", type=number, nargs="+", required=True, metavar="X", help="at least 0"
    )
    group.add_argument(
        "--batch-size",
        type=integer,
        nargs="+",
        default=[32],
        metavar="B",
        help="distinct rows of a minibatch (default: 32)",
    )
    group.add_argument(
        "--loss",
        choices=LOSSES,
        default=LOSSES[0],
        help="cross_entropy: y are classes; mse: half the squared error (default: cross_entropy)",
    )
    group.add_argument(
        "--clip",
        type=_clip,
        metavar="KIND:X",
        help="clip the gradient of all weights together: norm:1 or value:0.5 (--clip-norm and "
        "--clip-value clip the gradient of each layer in the backward pass)",
    )
    group.add_argument(
        "--no-biases",
        dest="biases",
        action="store_false",
        help="leave the biases as they are drawn (default: they are trained)",
    )
    group.add_argument(
        "--initial",
        type=_parameters,
        metavar="FILE.npz",
        help="initial parameters by the names that vgsim replay --out writes for a composed "
        "network (default: drawn)",
    )
    group.add_argument(
        "--dtype",
        choices=get_args(DType),
        default="float32",
        help="number format of the training (default: float32)",
    )
    _add_samples(parser)
    table = parser.add_argument_group("the table")
    add_table_options(table, "learned, stuck, diverged, time_to_loss, final_loss, n, ...; or all")
    table.add_argument("--caption", metavar="TEXT", help="caption of the table")
    table.add_argument("--label", metavar="NAME", help="label of the table, with --latex")
    add_formats(table, "json", "csv", "markdown", "latex")
    what = "the probability to learn against the field that differs, or the loss of one training"
    add_plot_option(parser, what)


def _add_samples(parser: argparse.ArgumentParser) -> None:
    """Add the options of the samples, of what is recorded of them and where it is kept."""
    group = parser.add_argument_group("the samples")
    group.add_argument(
        "--samples",
        type=integer,
        default=100,
        metavar="N",
        help="random networks per row of the table (default: 100)",
    )
    group.add_argument(
        "--seed", type=integer, default=0, metavar="S", help="seed of the samples (default: 0)"
    )
    group.add_argument(
        "--first",
        type=integer,
        default=0,
        metavar="I",
        help="index of the first sample (default: 0)",
    )
    group.add_argument(
        "--record",
        choices=RECORDS,
        nargs="+",
        default=["loss"],
        metavar="NAME",
        help=f"quantities to record in addition to loss: {', '.join(RECORDS[1:])}",
    )
    group.add_argument(
        "--every",
        type=integer,
        metavar="T",
        help="record every T steps (default: at about 100 steps)",
    )
    group.add_argument(
        "--layers",
        type=integer,
        nargs="+",
        metavar="L",
        help="layers of gradient and activation (default: some)",
    )
    group.add_argument(
        "--store",
        metavar="PATH",
        help="the file that keeps finished samples, an SQLite database; created if needed. Repeat "
        "the command to continue after an interruption",
    )
    group.add_argument(
        "--out",
        type=out_path,
        metavar="FILE.npz",
        help="write the trainings to a new file, for vgsim.load",
    )
    group.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _arrays(text: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file."""
    try:
        with np.load(path(text), allow_pickle=False) as found:
            if isinstance(found, np.ndarray):
                raise ValueError
            return {name: found[name] for name in found.files}
    except OSError as error:
        problem = error.strerror or str(error)
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read: {problem}") from None
    except (ValueError, zipfile.BadZipFile, AttributeError, TypeError):
        problem = "is not an .npz file of numbers, as numpy.savez writes it"
        raise argparse.ArgumentTypeError(f"{text!r} {problem}") from None


def _pair(text: str) -> Any:
    """Return the data of a training: X and y, or "teacher"."""
    if text == TEACHER:
        return text
    arrays = _arrays(text)
    if missing := [name for name in ("X", "y") if name not in arrays]:
        have = ", ".join(arrays) or "none"
        problem = f"must have the arrays X and y: no {' and no '.join(missing)}, but {have}"
        raise argparse.ArgumentTypeError(f"{text!r} {problem}")
    return arrays["X"], arrays["y"]


def _parameters(text: str) -> dict[str, NDArray[Any]]:
    """Return initial parameters by name, without what is no parameter in a replay's file."""
    others = ("inputs", "output_gradient")
    return {name: array for name, array in _arrays(text).items() if name not in others}


def _clip(text: str) -> Clip:
    """Return the clipping of the gradient of all weights."""
    kind, _, bound = text.partition(":")
    try:
        return CLIPS[kind](float(bound))
    except (KeyError, ValueError) as error:
        problem = f"must be norm:X or value:X, got {text!r}"
        if kind in CLIPS and getattr(error, "argument", None):
            problem = str(error)
        raise argparse.ArgumentTypeError(problem) from None
