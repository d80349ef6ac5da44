"""The command vgsim depth."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from vgsim._checks import DECADE, value_error
from vgsim._cli.curve_figure import CurveFigure
from vgsim._cli.fields import CURVE_DEPTHS, DEPTHS, networks_of
from vgsim._cli.figures import check_figure
from vgsim._cli.network_text import (
    apart,
    curves,
    distinct_labels,
    heading,
    named_values,
    row,
)
from vgsim._cli.pager import print_text
from vgsim._cli.run import checked_settings, simulations, technique_lines
from vgsim._cli.schema import with_schema
from vgsim._cli.table_options import check_columns
from vgsim._networks.description import Network
from vgsim._results.curve_table import column_names
from vgsim._results.depth_curve import DepthCurve
from vgsim._results.events import checked_event
from vgsim._results.tables import Column, jsonable, records, report, wrapped
from vgsim._statistics.binomial import checked_interval
from vgsim._statistics.depth_scale import DepthScale, slope_row
from vgsim._statistics.estimate import LEVEL, Estimate
from vgsim._studies.points import value_label
from vgsim.theory import mean_field

__all__ = ["depth"]


@dataclass(frozen=True)
class Findings:
    """A depth curve and its estimates; `reasons` say why estimates are None."""

    curve: DepthCurve
    probability: Estimate
    columns: list[Column]
    title: str
    critical_depth: Estimate[float] | None
    scale: DepthScale | None
    reasons: tuple[str, ...]
    xi_grad: float | None  # mean field
    theory_scale: float | None  # from the means in theory

    @property
    def estimates(self) -> dict[str, Estimate[float] | None]:
        """The estimates of the curve by name."""
        names = ("depth_scale", "slope", "variance_growth")
        return {
            "critical_depth": self.critical_depth,
            **{name: getattr(self.scale, name, None) for name in names},
        }


def depth(options: argparse.Namespace) -> None:
    """Simulate the networks at every depth, and print a depth curve of each."""
    checked_interval(options.confidence_level, options.method)
    checked_event(options.event, options.threshold, options.event_dtype)
    LEVEL.check("level", options.level)
    if any(isinstance(width, tuple) for width in options.width or ()):
        raise value_error("width", "must be one number, the same at every depth")
    depths = (
        DEPTHS if any(options.residual or ()) else CURVE_DEPTHS
    )  # even depths, for residual blocks of two layers
    if options.plot is not None:
        check_figure("plot", options.plot)
    groups = curves(networks_of(options, depths))
    for group in groups:
        check_columns(options, column_names(group[0]._length(), options.event))
    found = _findings(
        options, [sorted(group, key=lambda network: network.depth) for group in groups]
    )
    figure = (
        None
        if options.plot is None
        else CurveFigure(groups[0][0]._length(), value_label(options.event, 0, options.threshold))
    )
    if figure is not None:
        found = _drawn(options, found, figure, distinct_labels(groups))
    if options.format == "json":
        _print_json(options, found)
    elif options.format == "csv":
        _print_csv(options, found)
    else:
        several = apart([group[0] for group in groups])
        for number, one in enumerate(found):
            text = ("\n" if number else "") + _section(options, one, several)
            print_text(text, tables=options.format == "text")
    if figure is not None:
        figure.save(options.plot)
        print(f"wrote {options.plot}", file=sys.stderr)


def _drawn(
    options: argparse.Namespace,
    found: Iterator[Findings],
    figure: CurveFigure,
    labels: Sequence[str],
) -> Iterator[Findings]:
    """Yield the findings of all curves, and draw each."""
    for label, one in zip(labels, found, strict=True):
        theory = [p.probability(options.event, options.threshold) for p in one.curve._predictions]
        line, *_ = figure.add(one.curve.depths.tolist(), one.probability, theory, label)
        if one.critical_depth is not None:
            figure.mark(one.critical_depth, options.level, line.get_color())
        yield one


def _findings(options: argparse.Namespace, groups: list[list[Network]]) -> Iterator[Findings]:
    """Check the networks of all curves, then yield the findings of each curve."""
    networks = [network for group in groups for network in group]
    settings = checked_settings(options, networks)
    runs = simulations(options, networks, settings, [None] * len(networks))
    return (_find(options, DepthCurve(list(islice(runs, len(group))))) for group in groups)


def _find(options: argparse.Namespace, curve: DepthCurve) -> Findings:
    event = {
        "event": options.event,
        "threshold": options.threshold,
        "dtype": options.event_dtype,
        "confidence_level": options.confidence_level,
        "method": options.method,
    }
    critical_depth = scale = None
    reasons = []
    try:
        critical_depth = curve.critical_depth(options.level, **event)
    except ValueError as error:
        reasons.append(f"critical depth: {error}")
    try:
        scale = curve.depth_scale(options.confidence_level)
    except ValueError as error:
        reasons.append(f"depth scale: {error}")
    known = curve._table_columns(**event)
    names = options.columns or known.usual(theory=True)
    unknown = dict.fromkeys(p.source for p in curve._predictions if p.mean is None)
    reasons += [f"no theory: {source}" for source in unknown]
    return Findings(
        curve,
        curve.probability(**event),
        known.columns(names),
        curve._title(known, names),
        critical_depth,
        scale,
        tuple(reasons),
        _xi_grad(curve.network),
        _theory_scale(curve),
    )


def _xi_grad(network: Network) -> float | None:
    try:
        return mean_field(network).xi_grad
    except ValueError:
        return None


def _theory_scale(curve: DepthCurve) -> float | None:
    """Return the depth scale fitted to the means in theory; None unless all are known."""
    found = curve._predictions
    means = [p.mean for p in found if p.mean is not None]
    if len(means) < max(2, len(found)):
        return None
    stds = [p.std for p in found if p.std]
    weights = np.array(stds) ** -2.0 if len(stds) == len(means) else np.ones(len(means))
    slope = DECADE * float(slope_row(curve.depths.tolist(), weights) @ means)
    return 1 / abs(slope) if slope else math.inf


def _section(options: argparse.Namespace, one: Findings, several: Sequence[str]) -> str:
    """Return the heading, table and estimates of one curve as text.

    `several` are the options in which the networks of the curves differ.
    """
    network = one.curve.network
    some = one.curve.samples[0]
    names = heading(network, len(one.curve.samples) > 1)
    first = ", ".join(
        [*names, f"{some.engine} engine", some.dtype, *named_values(network, several)]
    )
    titles = [first, *technique_lines(network, some.batch_size, some.loss, several)]
    titles += one.title.splitlines()
    conclusions = _conclusions(options, one)
    if options.format == "text":
        conclusions = [wrapped(line) for line in conclusions]
    table = report(one.columns, options.format, "\n".join(titles))
    if options.format == "markdown":
        return "\n".join([table, "", *(f"- {line}" for line in conclusions)])
    if options.format == "latex":
        return "\n".join([table, *(f"% {line}" for line in conclusions)])
    return "\n".join([table, "", *conclusions])


def _conclusions(options: argparse.Namespace, one: Findings) -> list[str]:
    unit = f"{one.curve.network.place}s"
    lines = []
    if one.critical_depth is not None:
        event = f"P({options.event}) = {options.level:g}"
        lines.append(f"critical depth, where {event}: {one.critical_depth}")
    if one.scale is not None:
        finite = all(p.std is not None for p in one.curve._predictions)
        theories = [
            f"{value:.6g} {name}"
            for value, name in (
                (one.xi_grad, "in mean field (xi_grad)"),
                (one.theory_scale, "at finite width" if finite else "of wide networks"),
            )
            if value is not None
        ]
        beside = f"; theory: {', '.join(theories)}" if theories else ""
        lines.append(f"depth scale in {unit}: {one.scale.depth_scale}{beside}")
        lines.append(f"slope of the mean of ln(|G_0|^2 / |G_D|^2): {one.scale.slope}")
        lines.append(f"slope of its variance: {one.scale.variance_growth}")
    return [*lines, *one.reasons]


def _print_json(options: argparse.Namespace, found: Iterator[Findings]) -> None:
    curves, provenance = [], {}
    for one in found:
        provenance = one.curve.samples[0].provenance
        curves.append(
            {
                **_setting(options, one),
                "rows": [jsonable(record) for record in _records(one)],
                "level": options.level,
                **{name: _estimate(estimate) for name, estimate in one.estimates.items()},
                **jsonable({"xi_grad": one.xi_grad, "theory_depth_scale": one.theory_scale}),
                "reasons": list(one.reasons),
            }
        )
    print(with_schema("depth", {"provenance": provenance, "curves": curves}))


def _records(one: Findings) -> list[dict[str, Any]]:
    """Return the rows of a curve; their depth is the number of steps of a recurrent network."""
    length, *columns = one.columns
    return records([replace(length, name="depth"), *columns])


def _setting(options: argparse.Namespace, one: Findings) -> dict[str, Any]:
    """Return the fields and settings of a whole curve."""
    some = one.curve.samples[0]
    network = row(one.curve.network)
    del network["depth"]
    return {
        **network,
        "n": one.curve.n_samples,
        **{name: getattr(some, name) for name in ("seed", "batch_size", "inputs", "loss")},
        "engine": some.engine,
        "dtype": some.dtype,
        "event": options.event,
        "event_dtype": options.event_dtype,
        "threshold": options.threshold,
        "confidence_level": options.confidence_level,
        "method": options.method,
    }


def _estimate(estimate: Estimate[float] | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    names = ("estimate", "low", "high")
    return jsonable({name: float(getattr(estimate, name)) for name in names})


def _print_csv(options: argparse.Namespace, found: Iterator[Findings]) -> None:
    """Print one row per network; values of a whole curve are repeated in each of its rows."""
    for number, one in enumerate(found):
        setting = _setting(options, one)
        whole = {
            "level": options.level,
            **_flat("critical_depth", one.estimates["critical_depth"]),
            **_flat("depth_scale", one.estimates["depth_scale"]),
            "xi_grad": one.xi_grad,
            "theory_depth_scale": one.theory_scale,
        }
        k = len(one.curve.samples)
        columns = [
            *(Column(name, name, [value] * k) for name, value in setting.items()),
            *one.columns,
            *(Column(name, name, [value] * k) for name, value in whole.items()),
        ]
        text = report(columns, "csv")
        print(text if number == 0 else text.partition("\n")[2])
        sys.stdout.flush()


def _flat(name: str, estimate: Estimate[float] | None) -> dict[str, Any]:
    return {
        f"{name}{end}": None if estimate is None else getattr(estimate, part)
        for end, part in (("", "estimate"), ("_low", "low"), ("_high", "high"))
    }
