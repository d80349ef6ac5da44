"""The command vgsim theory."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vgsim._checks import TABULATED
from vgsim._cli.fields import DEPTHS, networks_of
from vgsim._cli.network_text import apart, curves, heading, named_values, row, short_width, spec
from vgsim._cli.pager import print_text
from vgsim._cli.run import checked_settings, technique_lines
from vgsim._cli.schema import with_schema
from vgsim._cli.table_options import check_columns
from vgsim._domains import check_threshold
from vgsim._engine.run import provenance
from vgsim._networks.description import Network
from vgsim._results.column import chosen
from vgsim._results.events import limits_in_words
from vgsim._results.tables import WIDE, Column, jsonable, records, report
from vgsim.theory import critical_gain, mean_field, recurrent_rate
from vgsim.theory._correlation_map import CRITICAL
from vgsim.theory._mean_field import depth_scale
from vgsim.theory._prediction import Prediction, predict, said

__all__ = ["theory"]

MEAN_FIELD = {  # headings in text and in LaTeX
    "sigma_w": ("sigma_w", r"$\sigma_w$"),
    "sigma_b": ("sigma_b", r"$\sigma_b$"),
    "q_star": ("q*", "$q^*$"),
    "chi_1": ("chi_1", r"$\chi_1$"),
    "chi_parallel": ("chi_parallel", r"$\chi_\parallel$"),
    "c_star": ("c*", "$c^*$"),
    "xi_q": ("xi_q", r"$\xi_q$"),
    "xi_c": ("xi_c", r"$\xi_c$"),
    "xi_grad": ("xi_grad", r"$\xi_\nabla$"),
}
SCALE = ("width", "gain", "bias_std")  # in every heading
FINITE_WIDTH = ("depth", "mean", "std", *TABULATED, "law")  # columns of a table against depth
PHASES = {
    "ordered": "ordered, gradients vanish",
    "critical": "critical",
    "chaotic": "chaotic, gradients explode",
}


@dataclass(frozen=True)
class Limit:
    """The mean field of a network, and its critical gain; `reasons` say why values are None.

    `source`: the theory, "mean field", or "zero state" of recurrent networks.
    """

    values: dict[str, float | None]
    phase: str | None
    critical_gain: float | None
    reasons: tuple[str, ...]
    source: str = "mean field"


@dataclass(frozen=True)
class Theory:
    """The predictions for one network: mean field, and every depth at finite width."""

    limit: Limit
    networks: list[Network]
    predictions: list[Prediction]

    @property
    def reasons(self) -> list[str]:
        """The reasons why predictions are missing."""
        found = [
            f"finite width: {p.source}" if p.mean is None else f"no variance: {p.source}"
            for p in self.predictions
            if p.std is None
        ]
        return [*self.limit.reasons, *dict.fromkeys(found)]


def theory(options: argparse.Namespace) -> None:
    """Print the predictions of theory for the networks at every depth."""
    check_threshold(options.threshold)
    check_columns(options, FINITE_WIDTH)
    every = networks_of(options, DEPTHS)
    checked_settings(options, every)
    found = []
    for networks in curves(every):
        predictions = [
            predict(network, 0, options.batch_size, inputs=options.inputs) for network in networks
        ]
        found.append(Theory(limit(networks[0]), networks, predictions))
    if options.format == "text":
        _print_text(options, found)
    elif options.format == "json":
        rows = [jsonable(flat) for one in found for flat in _rows(options, one)]
        print(with_schema("theory", {"provenance": provenance(), "rows": rows}))
    elif options.format == "csv":
        rows = [
            flat | {"width": spec(network, "width")}
            for one in found
            for flat, network in zip(_rows(options, one), one.networks, strict=True)
        ]
        named = {name: [flat[name] for flat in rows] for name in rows[0]}
        columns = [Column(name, name, values) for name, values in named.items()]
        print(report(columns, "csv"))
    else:
        _print_tables(options, found)


def limit(network: Network) -> Limit:
    """Return the mean field of a network, and its critical gain.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.theory import limit
    >>> found = limit(vgsim.MLP(10, 64, activation="relu", init="lecun_normal"))
    >>> found.phase, found.values["chi_1"], round(found.critical_gain, 6)
    ('ordered', 0.5, 1.414214)
    """
    if network.shares_weights and (network.activation is None or network.leak != 1):
        return zero_state(network)
    if "activation" not in network._fields:
        several = "mean field: fixed points are those of one activation, this network lists several"
        return Limit(dict.fromkeys(MEAN_FIELD), None, None, (several,))
    try:
        field = mean_field(network)
    except ValueError as error:
        return Limit(dict.fromkeys(MEAN_FIELD), None, None, (f"mean field: {error}",))
    values: dict[str, float | None] = {
        name: None if math.isnan(value := getattr(field, name)) else float(value)
        for name in MEAN_FIELD
    }
    try:
        gain = critical_gain(network.activation, field.sigma_b) * network.gain / field.sigma_w
    except ValueError as error:
        return Limit(values, field.phase, None, (f"critical gain: {error}",))
    return Limit(values, field.phase, gain, ())


def zero_state(network: Network) -> Limit:
    """Return the growth of the gradients of a recurrent network whose state is 0, if it stays 0.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.theory import zero_state
    >>> found = zero_state(vgsim.GRU(10, 64, input_std=0))
    >>> found.phase, found.values["chi_1"], found.critical_gain
    ('ordered', 0.5625, 2.0)
    """
    values: dict[str, float | None] = dict.fromkeys(MEAN_FIELD)
    try:
        rate, gain = recurrent_rate(network), critical_gain(network)
    except ValueError as error:
        return Limit(values, None, None, (f"zero state: {error}",), "zero state")
    values |= {"chi_1": rate, "xi_grad": depth_scale(rate)}
    phase = "critical" if abs(rate - 1.0) <= CRITICAL else "ordered" if rate < 1 else "chaotic"
    return Limit(values, phase, gain, (), "zero state")


def _print_text(options: argparse.Namespace, found: Sequence[Theory]) -> None:
    several = apart([one.networks[0] for one in found])
    for one in found:
        print("\n".join(_heading(one.networks, options.batch_size, several)))
        if one.limit.phase is not None:
            words = [
                f"{name} {value:.6g}"
                for key, (name, _) in MEAN_FIELD.items()
                if (value := one.limit.values[key]) is not None
            ]
            if one.limit.critical_gain is not None:
                words.append(f"critical gain {one.limit.critical_gain:.6g}")
            line = f"{one.limit.source}: {PHASES[one.limit.phase]}; {', '.join(words)}"
            print(textwrap.fill(line, WIDE))
        print_text(f"\n{report(_finite_width(options, one))}\n")
        for why in one.reasons:
            print(textwrap.fill(why, WIDE))
        if one.reasons:
            print()
    print(_legend(options))


def _heading(networks: Sequence[Network], batch_size: int, several: Sequence[str]) -> list[str]:
    """Return the lines above a table; `several` are the options in which networks differ."""
    network = networks[0]
    names = [*heading(network, len(networks) > 1), f"width {short_width(network)}"]
    if "gain" in network._fields:
        names += [f"gain {network.gain:g}", f"bias std {network.bias_std:g}"]
    names += named_values(network, [name for name in several if name not in SCALE])
    lines = technique_lines(network, batch_size, without=several)
    return [*textwrap.wrap(", ".join(names), WIDE), *lines]


def _legend(options: argparse.Namespace) -> str:
    low, high = limits_in_words(options.threshold)
    return textwrap.fill(
        f"R = log10(|G_0| / |G_D|); vanishing: R < {low}, exploding: R > {high}; mean "
        "and std of R exclude dead networks; law: the law of R that gives the probabilities",
        WIDE,
    )


def _finite_width(options: argparse.Namespace, one: Theory) -> list[Column]:
    """Return the columns that depend on depth."""
    moments = {
        name: [getattr(prediction, name) for prediction in one.predictions]
        for name in ("mean", "std")
    }
    probabilities = []
    for event in TABULATED:
        values, below = said(one.predictions, event, options.threshold)
        probabilities.append(Column(event, f"P({event})", values, below=below))
    columns = [
        Column("depth", "depth", [network.depth for network in one.networks]),
        *(Column(name, name, values) for name, values in moments.items()),
        *probabilities,
        Column("law", "law", [_law(prediction) for prediction in one.predictions]),
    ]
    return chosen(columns, options.columns or FINITE_WIDTH)


def _law(prediction: Prediction) -> str | None:
    if prediction.law is not None:
        return "exact"
    return None if prediction.std is None else "log-normal"


def _rows(options: argparse.Namespace, one: Theory) -> list[dict[str, Any]]:
    """Return one row per network, for --json and --csv."""
    found = records(_finite_width(options, one)[1:])
    return [
        {
            **row(network),
            "batch_size": options.batch_size,
            **one.limit.values,
            "phase": one.limit.phase,
            "critical_gain": one.limit.critical_gain,
            "threshold": options.threshold,
            **cells,
            "reasons": "; ".join(one.reasons) or None,
        }
        for network, cells in zip(one.networks, found, strict=True)
    ]


def _print_tables(options: argparse.Namespace, found: Sequence[Theory]) -> None:
    """Print one table of the mean field, and one table per network at finite width."""
    limits = [one for one in found if "layers" not in one.networks[0]._fields]
    if limits:
        print(report(_mean_fields(limits), options.format, "Mean field"), end="\n\n")
    several = apart([one.networks[0] for one in found])
    for number, one in enumerate(found):
        heading = _heading(one.networks, options.batch_size, several)
        title = [*heading, *one.reasons, _legend(options)]
        table = report(_finite_width(options, one), options.format, "\n".join(title))
        print(("\n" if number else "") + table)


def _mean_fields(found: Sequence[Theory]) -> list[Column]:
    """Return the columns of the mean field, with a row for each network."""
    names = [", ".join(heading(one.networks[0])) for one in found]
    return [
        Column("network", "network", names),
        *(
            Column(name, heading, [one.limit.values[name] for one in found], latex=latex)
            for name, (heading, latex) in MEAN_FIELD.items()
        ),
        Column("critical_gain", "critical gain", [one.limit.critical_gain for one in found]),
        Column("phase", "phase", [one.limit.phase for one in found]),
    ]
