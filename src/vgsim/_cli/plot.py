"""The command vgsim plot."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from vgsim._checks import value_error
from vgsim._cli import trainings
from vgsim._cli.conditions import add_where, check_names, meets
from vgsim._cli.figures import DPI, SIZE, check_figure, new_figure, save_figure
from vgsim._cli.options import integer, number, path
from vgsim._cli.trainings import draw_trainings
from vgsim._results.samples import Samples
from vgsim._studies.axes import suggested_axes
from vgsim._studies.columns import words
from vgsim._studies.contents import contents, kinds, trainings_in
from vgsim._studies.counted import check_gradients
from vgsim._studies.load import is_store, load
from vgsim._studies.points import VALUES, columns_of
from vgsim._studies.study import Study
from vgsim.typing import SamplesPlot, TrainingEvent

__all__ = ["add_files", "add_plot_command", "plot", "refuse_for_samples", "samples_in"]

PLOT = """\
Draw a figure of a study, of samples, of trainings, or of the folder that vgsim run --out wrote.

A study, or a folder with the samples of several networks: a value against a field (--x), one curve
for each value of another (--hue), or a heat map over two (--x and --y). Without these options the
fields are chosen by which the networks differ; a study of one network is drawn as the density of R.
Samples of one network: their distribution, --kind. Trainings: the probability of an event, --value,
against a field; of one network what --kind names.
"""
PLOT_MORE = f"""\
values of --value: {", ".join(VALUES)}

examples:
  vgsim plot depth.sqlite -o depth.pdf
  vgsim plot depth.sqlite -o gain.png --x gain --y bias_std --value median
  vgsim plot depth.sqlite -o tanh.pdf --where activation=tanh 'width>=64'
  vgsim plot runs -o runs.pdf, where vgsim run --out runs wrote its files
  vgsim plot samples.npz -o tail.svg --kind survival
  vgsim plot trained.sqlite -o learned.pdf --x depth --hue learning_rate"""
FILES = "stores, .npz files of studies, samples or trainings, folders of these; several are added"
KINDS = get_args(SamplesPlot)
EVENTS = get_args(TrainingEvent)
STUDY_OPTIONS = ("x", "hue", "y", "value", "threshold", "where", "layers", "thresholds")


def add_plot_command(commands: Any) -> None:
    """Add ``vgsim plot`` to the commands of vgsim."""
    parser = commands.add_parser(
        "plot",
        help="a figure of a study, of samples or of trainings",
        description=PLOT,
        epilog=PLOT_MORE,
    )
    add_files(parser)
    parser.add_argument(
        "-o",
        "--out",
        type=path,
        required=True,
        metavar="FIGURE",
        help="a file ending in .pdf, .png, .svg, .eps, .jpg or .webp",
    )
    fields = parser.add_argument_group("studies")
    fields.add_argument("--x", metavar="FIELD", help="the field on the horizontal axis")
    fields.add_argument("--hue", metavar="FIELD", help="the field that distinguishes the curves")
    fields.add_argument("--y", metavar="FIELD", help="a second field: draw a heat map over both")
    fields.add_argument(
        "--value",
        choices=(*VALUES, *EVENTS),
        metavar="NAME",
        help=f"what is drawn (default: vanishing; of trainings {', '.join(EVENTS)}, default: "
        "learned)",
    )
    fields.add_argument(
        "--threshold", type=number, metavar="X", help="one of the counted thresholds"
    )
    add_where(fields, "networks")
    samples = parser.add_argument_group("samples, or the training, of one network")
    samples.add_argument(
        "--kind",
        choices=tuple(dict.fromkeys((*KINDS, *trainings.KINDS))),
        metavar="NAME",
        help=f"{', '.join(KINDS)} (default: histogram); of a training "
        f"{', '.join(trainings.KINDS)} (default: loss)",
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


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the files of a study or of samples, and the choice of studies in them."""
    parser.add_argument("files", type=path, nargs="+", metavar="file", help=FILES)
    parser.add_argument(
        "--layers",
        type=integer,
        nargs="+",
        metavar="L",
        help="only networks counted at exactly these layers; of samples, these layers",
    )
    parser.add_argument(
        "--thresholds",
        type=number,
        nargs="+",
        metavar="X",
        help="only networks counted at exactly these thresholds; the thresholds at which samples "
        "are counted (default: 1e-6)",
    )


def plot(options: argparse.Namespace) -> None:
    """Draw a figure of a study or of samples, and write it to a file."""
    check_figure("out", options.out, options.files)
    for name, most in (("width", 100), ("height", 100), ("dpi", 2400)):
        if not 0 < getattr(options, name) <= most:
            raise value_error(
                name, f"must be positive and at most {most}, got {getattr(options, name):g}"
            )
    figure = new_figure(options.width, options.height, options.dpi)
    ax = figure.subplots()
    if (trained := trainings_in(options.files)) is not None:
        draw_trainings(options, trained.study, ax)
    elif (samples := samples_in(options.files)) is not None:
        refuse_for_samples(options, STUDY_OPTIONS)
        chosen: dict[str, Any] = {} if options.layer is None else {"layer": options.layer}
        chosen |= {"kind": options.kind or KINDS[0], "theory": not options.no_theory}
        samples.plot(**chosen, ax=ax)
    else:
        if options.kind is not None:
            raise value_error("kind", "applies to samples of one network only, not to a study")
        _draw_study(options, _study(options), ax)
    _save(figure, options)
    print(f"wrote {options.out}", file=sys.stderr)


def _save(figure: Any, options: argparse.Namespace) -> None:
    """Write the figure; refuse one that is too small for the words around its axes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied", UserWarning)
        try:
            save_figure(figure, options.out)
        except UserWarning:
            size = f"{options.width:g} × {options.height:g} inches"
            problem = f"and --height leave no room for the axes beside their labels, got {size}"
            raise value_error("width", problem) from None


def samples_in(files: Sequence[Path]) -> Samples | None:
    """Return the samples in a file, if there is one file, and it holds samples."""
    (file, *others) = files
    if others or file.is_dir() or is_store(file):
        return None
    found = load(file)
    if not isinstance(found, Samples):
        return None
    check_gradients(found, file)
    return found


def refuse_for_samples(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Refuse options that have no effect on a file of samples."""
    for name in names:
        if getattr(options, name) not in (None, []):
            raise value_error(name, "applies to studies only, and this is a file of samples")


def _study(options: argparse.Namespace) -> Study:
    """Return the chosen networks of the files."""
    folders = options.thresholds is None and all(file.is_dir() for file in options.files)
    counted = (
        [options.threshold] if folders and options.threshold is not None else options.thresholds
    )
    found = contents(options.files, options.layers, counted)
    names = " ".join(map(str, options.files))
    if len(found.studies) > 1:
        several = "; ".join(kinds(found.studies))
        raise ValueError(f"{names} hold several studies: choose one of {several}")
    if not found.studies:
        raise ValueError(f"{names} has no networks yet")
    (study,) = found.studies
    columns = columns_of(study)
    check_names("where", [condition.name for condition in options.where], list(columns))
    rows = [{name: column[i] for name, column in columns.items()} for i in range(len(study))]
    kept = [study[i] for i, row in enumerate(rows) if meets(row, options.where)]
    if not kept:
        raise value_error("where", "is met by no network")
    return Study(kept, study.provenance)


def _draw_study(options: argparse.Namespace, study: Study, ax: Any) -> None:
    """Draw a study against the fields of the options, or those by which its networks differ."""
    given = (options.x, options.hue, options.y, options.value, options.threshold)
    if len(study) == 1 and given == (None,) * len(given):
        study[0].plot(layer=options.layer, theory=not options.no_theory, ax=ax)
        return
    places = {"layer", "threshold"} & {options.x, options.hue, options.y}
    axes = suggested_axes(study, options.x, options.hue, options.y)
    columns = columns_of(study)
    if axes.others and not places and {axes.x, axes.hue, options.y} - {None} <= columns.keys():
        name = axes.others[0]
        value = words(columns[name][0])
        raise ValueError(
            f"the networks differ in {', '.join(axes.others)}, too, which needs a figure for each "
            f"value: choose some by --where, such as --where {name}={value}"
        )
    study.plot(
        axes.x,
        options.hue if places else axes.hue,
        y=options.y,
        value=options.value or "vanishing",
        layer=options.layer,
        threshold=options.threshold,
        theory=not options.no_theory,
        ax=ax,
    )
