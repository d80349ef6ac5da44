"""The command vgsim plot."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from vgsim._checks import THRESHOLD, value_error
from vgsim._cli.figures import DPI, SIZE, check_figure, new_figure, save_figure
from vgsim._cli.options import integer, number, path
from vgsim._results.samples import Samples
from vgsim._studies.axes import suggested_axes
from vgsim._studies.load import load
from vgsim._studies.points import VALUES
from vgsim._studies.sampled import study_of_samples
from vgsim._studies.study import Study

__all__ = ["add_plot_command", "plot", "read_runs"]

PLOT = """\
Draw a figure of a study, of samples, or of the folder that vgsim run --out wrote.

A study, or a folder with the samples of several networks: a value against a field (--x), one curve
for each value of another (--hue), or a heat map over two (--x and --y). Without these options the
fields are chosen by which the networks differ. Samples of one network: their distribution, --kind.
"""
PLOT_MORE = f"""\
values of --value: {", ".join(VALUES)}

examples:
  vgsim plot depth.sqlite -o depth.pdf
  vgsim plot depth.sqlite -o gain.png --x gain --y bias_std --value median
  vgsim plot samples.npz -o tail.svg --kind survival"""
KINDS = ("histogram", "survival", "qq", "ridge", "profile")
STUDY_OPTIONS = ("x", "hue", "y", "value", "threshold")


def add_plot_command(commands: Any) -> None:
    """Add ``vgsim plot`` to the commands of vgsim."""
    parser = commands.add_parser(
        "plot",
        help="a figure of a study or of samples",
        description=PLOT,
        epilog=PLOT_MORE,
    )
    parser.add_argument(
        "source",
        type=path,
        metavar="FILE",
        help="the store of a study, an .npz file of a study or of samples, or a folder of samples",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=path,
        required=True,
        metavar="FIGURE",
        help="a new file ending in .pdf, .png, .svg, .eps, .jpg or .webp",
    )
    fields = parser.add_argument_group("studies")
    fields.add_argument("--x", metavar="FIELD", help="the field on the horizontal axis")
    fields.add_argument("--hue", metavar="FIELD", help="the field that distinguishes the curves")
    fields.add_argument("--y", metavar="FIELD", help="a second field: draw a heat map over both")
    fields.add_argument(
        "--value", choices=VALUES, metavar="NAME", help="what is drawn (default: vanishing)"
    )
    fields.add_argument(
        "--threshold", type=number, metavar="X", help="one of the counted thresholds"
    )
    samples = parser.add_argument_group("samples of one network")
    samples.add_argument(
        "--kind", choices=KINDS, metavar="NAME", help=f"{', '.join(KINDS)} (default: histogram)"
    )
    figure = parser.add_argument_group("the figure")
    figure.add_argument("--layer", type=integer, metavar="L", help="the layer l of R_l")
    figure.add_argument("--no-theory", action="store_true", help="without the lines of the theory")
    for name, default in zip(("--width", "--height"), SIZE, strict=True):
        figure.add_argument(
            name,
            type=number,
            default=default,
            metavar="INCHES",
            help=f"{name[2:]} of the figure (default: {default:g})",
        )
    figure.add_argument(
        "--dpi", type=number, default=DPI, metavar="N", help=f"dots per inch (default: {DPI})"
    )
    parser.set_defaults(function=plot, parser=parser)


def plot(options: argparse.Namespace) -> None:
    """Draw a figure of a study or of samples, and write it to a file."""
    check_figure("out", options.out)
    for name, most in (("width", 100), ("height", 100), ("dpi", 2400)):
        if not 0 < getattr(options, name) <= most:
            raise value_error(
                name, f"must be positive and at most {most}, got {getattr(options, name):g}"
            )
    found = read_runs(options.source, options.threshold)
    figure = new_figure(options.width, options.height, options.dpi)
    ax = figure.subplots()
    if isinstance(found, Samples):
        _refuse(options, STUDY_OPTIONS, "applies to studies only, and this is a file of samples")
        chosen = {} if options.layer is None else {"layer": options.layer}
        found.plot(options.kind or "histogram", ax=ax, **chosen)
    else:
        _refuse(options, ("kind",), "applies to samples of one network only, not to a study")
        _draw_study(options, found, ax)
    save_figure(figure, options.out)
    print(f"wrote {options.out}", file=sys.stderr)


def read_runs(source: Path, threshold: float | None = None) -> Samples | Study:
    """Read a store, a file, or a folder of samples, which is a study unless it has one file.

    Raises
    ------
    ValueError
        If a folder has no .npz files, or one of them does not hold samples; or as `load`.
    """
    if not source.is_dir():
        return load(source)
    files = sorted(source.glob("*.npz"))
    if not files:
        raise ValueError(f"{source} is a folder without .npz files of samples")
    runs = []
    for file in files:
        samples = load(file)
        if not isinstance(samples, Samples):
            raise ValueError(f"{file} holds a study: give that file alone, in place of its folder")
        runs.append(samples)
    if len(runs) == 1:
        return runs[0]
    return study_of_samples(runs, (THRESHOLD if threshold is None else threshold,))


def _refuse(options: argparse.Namespace, names: tuple[str, ...], problem: str) -> None:
    """Refuse options that do not apply."""
    for name in names:
        if getattr(options, name) is not None:
            raise value_error(name, problem)


def _draw_study(options: argparse.Namespace, study: Study, ax: Any) -> None:
    """Draw a study against the fields of the options, or those by which its networks differ."""
    if not study:
        raise ValueError(f"{options.source} has no networks yet")
    axes = suggested_axes(study, options.x, options.hue, options.y)
    others = {"layer", "threshold"} & {options.x, options.hue, options.y}
    hue = axes.hue if options.hue is None and not others else options.hue
    study.plot(
        axes.x,
        hue,
        y=options.y,
        value=options.value or "vanishing",
        layer=options.layer,
        threshold=options.threshold,
        theory=not options.no_theory,
        ax=ax,
    )
