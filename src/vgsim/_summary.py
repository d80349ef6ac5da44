"""The summary of a run by layer: data that print as a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._samples import Samples
from vgsim._table import (
    QUANTILES,
    QUANTILES_HEADING,
    Table,
    decimals,
    number_cell,
    numbers_cell,
    probability_cell,
)

EVENTS = ("vanishing", "exploding", "dead")


class Summary(dict[str, NDArray[Any]]):
    """A dict of columns, one entry a recorded layer, that prints as a table.

    The columns are layer; vanishing, exploding and dead, each with its _low and _high; mean and
    std over the samples that are not dead; q05, median and q95 over all of them. mean and std are
    masked arrays, masked where too few samples are alive. ``pandas.DataFrame(summary)`` works.

    Attributes
    ----------
    title : str
        What was summarised.
    n : int
        From how many samples.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=50, width=32, activation="sigmoid")
    >>> list(vgsim.simulate(net, 1000).summary())[:4]
    ['layer', 'vanishing', 'vanishing_low', 'vanishing_high']
    """

    title: str
    n: int

    def __str__(self) -> str:
        digits = decimals(self.n)
        width = len(probability_cell(0, 0, 1, digits))
        table = Table(
            (
                ("layer", 6),
                *((f"P({event})", width) for event in EVENTS),
                ("mean", 6),
                ("std", 5),
                (QUANTILES_HEADING, 20),
            )
        )
        lines = [self.title, "", table.heading()]
        for row in range(self["layer"].size):
            at = {name: column[row] for name, column in self.items()}
            cells = [
                probability_cell(at[event], at[f"{event}_low"], at[f"{event}_high"], digits)
                for event in EVENTS
            ]
            moments = [
                number_cell(None if at[m] is np.ma.masked else at[m]) for m in ("mean", "std")
            ]
            quantiles = numbers_cell(at[q] for q in QUANTILES)
            lines.append(table.line(str(at["layer"]), *cells, *moments, quantiles))
        return "\n".join(lines)

    __repr__ = __str__


def summarise(samples: Samples, threshold: float, confidence_level: float, method: str) -> Summary:
    """Summarise `samples`: see :meth:`Samples.summary`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._summary import summarise
    >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100, layers=(10,))
    >>> summarise(s, 1e-6, 0.95, "exact")["median"]
    array([0.])
    """
    layers = samples.layers.tolist()
    columns: dict[str, Any] = {"layer": samples.layers.copy()}
    for event in EVENTS:
        relevant: dict[str, Any] = {} if event == "dead" else {"threshold": threshold}
        found = [
            samples.probability(
                event, layer, **relevant, confidence_level=confidence_level, method=method
            )
            for layer in layers
        ]
        columns[event] = np.array([p.estimate for p in found])
        columns[f"{event}_low"] = np.array([p.low for p in found])
        columns[f"{event}_high"] = np.array([p.high for p in found])
    alive = np.count_nonzero(samples.gradient > -np.inf, axis=0)
    for name, moment, needed in (("mean", samples.mean, 1), ("std", samples.std, 2)):
        enough = alive >= needed
        values = [moment(l) if ok else 0.0 for l, ok in zip(layers, enough, strict=True)]
        columns[name] = np.ma.masked_array(np.array(values), ~enough)
    quantiles = np.array([samples.quantile(list(QUANTILES.values()), layer) for layer in layers])
    columns.update(zip(QUANTILES, quantiles.T.copy(), strict=True))

    summary = Summary(columns)
    summary.n = len(samples)
    power = math.log10(threshold)
    summary.title = (
        f"log10(|G_l| / |G_D|) of {len(samples):,} networks {samples.network!r}{samples._batch}\n"
        f"vanishing: below {power:.6g}, exploding: above {-power:.6g}; "
        f"{100 * confidence_level:g} % {method} intervals; "
        "mean and std: of those not dead"
    )
    return summary
