"""The summary of a run by layer, which prints as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import TABULATED
from vgsim._domains import check_threshold, checked_bool
from vgsim._networks.description import Network
from vgsim._results.column import checked_names, chosen
from vgsim._results.distribution import Distribution
from vgsim._results.events import limits_in_words
from vgsim._results.html import summary_html
from vgsim._results.tables import (
    QUANTILES,
    Column,
    check_frame,
    quantile_column,
    report,
    theoretical,
)
from vgsim._statistics.binomial import checked_interval
from vgsim.theory._prediction import Prediction, predict, said
from vgsim.typing import Format, Method

MOMENT_DECIMALS = 3  # printed decimals of mean and std


class Summary(dict[str, NDArray[Any]]):
    """A dict of columns with one entry per recorded layer, which prints as a table.

    The columns are layer; the probabilities vanishing, exploding and dead, each with its limits
    _low and _high; mean and std of R_l over the samples that are not dead; the quantiles q05,
    median and q95 of R_l over all samples. mean and std are masked arrays, masked where too few
    samples are not dead. ``pandas.DataFrame(summary)`` works.

    Attributes
    ----------
    title : str
        The lines above the table.
    n : int
        Number of samples.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=50, width=32, activation="sigmoid")
    >>> list(vgsim.simulate(net, 1000).summary())[:4]
    ['layer', 'vanishing', 'vanishing_low', 'vanishing_high']
    """

    title: str
    n: int
    _threshold: float
    _predictions: Callable[[], list[Prediction]]

    def table(
        self,
        format: Format = "text",
        theory: bool = True,
        *,
        columns: str | Sequence[str] | None = None,
        intervals: bool = True,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""Return the summary as a table, with theoretical values.

        Parameters
        ----------
        format : {"text", "markdown", "latex", "csv", "html"}, default "text"
            LaTeX needs the package booktabs; only CSV has all digits. Numbers have the digits that
            their intervals support.
        theory : bool, default True
            Whether to add columns of theoretical probabilities, mean and std: "-" where no theory
            applies. If none applies at any place, the title says why. Below the probabilities for
            which the law of the theory holds only a bound is written, such as "< 1e-6"; in CSV the
            number is then empty, and a column with the ending _below has the bound.
        columns : str or sequence of str, optional
            The names of the columns: those of the summary without limits, n, and with `theory` the
            probabilities and moments with the ending _theory.
        intervals : bool, default True
            Whether to write the intervals.
        caption : str, optional
            A caption, of which LaTeX commands are kept with format "latex". Not with "csv".
        label : str, optional
            With format "latex", the name for references by ``\ref``.

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            If an argument or a name is unknown.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(depth=50, width=32, activation="relu", init="he_normal")
        >>> summary = vgsim.simulate(net, 1000, layers=(0, 25)).summary(threshold=0.1)
        >>> print(summary.table("csv").splitlines()[0])
        layer,vanishing,vanishing_low,vanishing_high,vanishing_theory,vanishing_theory_below,...
        >>> print(summary.table("csv", columns=["layer", "n"]))
        layer,n
        0,1000
        25,1000
        """
        check_frame(format, caption, label)
        found = self._predictions() if checked_bool("theory", theory) else []
        every = self._columns(found)
        names = [c.name for c in every] if columns is None else checked_names("columns", columns)
        every.append(Column("n", "n", [self.n] * self["layer"].size))
        shown = chosen(every, names, checked_bool("intervals", intervals))
        return report(shown, format, self.title + _no_theory(found), caption, label)

    def _columns(self, found: list[Prediction]) -> list[Column]:
        """Return all columns; `found`: what theory says of each layer, if it is wanted."""
        columns = [Column("layer", "layer", self["layer"].tolist())]
        for event in TABULATED:
            values, low, high = (self[f"{event}{end}"].tolist() for end in ("", "_low", "_high"))
            measured = Column(event, f"P({event})", values, low, high)
            columns.append(measured)
            if found:
                columns.append(theoretical(measured, *said(found, event, self._threshold)))
        digits = [MOMENT_DECIMALS] * self["layer"].size
        for name in ("mean", "std"):
            measured = Column(name, name, self[name].tolist(), decimals=digits)
            columns.append(measured)
            if found:
                values = [getattr(prediction, name) for prediction in found]
                columns.append(Column(f"{name}_theory", "theory", values, decimals=digits))
        columns += [quantile_column(name, self[name].tolist()) for name in QUANTILES]
        return columns

    def __str__(self) -> str:
        return self.table(theory=False)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return summary_html(self, self.title)


def _no_theory(found: list[Prediction]) -> str:
    """Return a line that says why there is no theory, if there is none below the last place."""
    sources = [prediction.source for prediction in found if prediction.mean is None]
    any_mean = any(prediction.mean for prediction in found)
    return f"\nno theory: {sources[0]}" if sources and not any_mean else ""


def summarise(
    samples: Distribution, threshold: float, confidence_level: float, method: Method
) -> Summary:
    """Summarise `samples`: see :meth:`Samples.summary`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._results.summary import summarise
    >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100, layers=(10,))
    >>> summarise(s, 1e-6, 0.95, "exact")["median"]
    array([0.])
    """
    threshold = check_threshold(threshold)
    confidence_level, method = checked_interval(confidence_level, method)
    layers = samples.layers.tolist()
    columns: dict[str, Any] = {"layer": samples.layers.copy()}
    for event in TABULATED:
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
    alive = np.array([np.count_nonzero(samples._ratio(layer) > -np.inf) for layer in layers])
    for name, moment, needed in (("mean", samples.mean, 1), ("std", samples.std, 2)):
        enough = alive >= needed
        values = [moment(l) if ok else 0.0 for l, ok in zip(layers, enough, strict=True)]
        columns[name] = np.ma.masked_array(np.array(values), ~enough)
    quantiles = np.array([samples.quantile(list(QUANTILES.values()), layer) for layer in layers])
    columns.update(zip(QUANTILES, quantiles.T.copy(), strict=True))

    summary = Summary(columns)
    summary.n = len(samples)
    summary._threshold = threshold
    setting = samples.network, samples.batch_size, samples.loss, samples.inputs
    summary._predictions = partial(_predictions, layers, *setting)
    low, high = limits_in_words(threshold)
    summary.title = (
        f"log10(|G_l| / |G_D|) of {len(samples):,} networks {samples.network!r}{samples._batch}\n"
        f"vanishing: below {low}, exploding: above {high}; "
        f"{100 * confidence_level:g} % {method} intervals; "
        "mean and std exclude dead networks"
    )
    return summary


def _predictions(
    layers: Sequence[int], network: Network, batch_size: int, loss: str, inputs: str
) -> list[Prediction]:
    """Return what theory says of each layer; nothing of a network that is not described."""
    if network.own_engine:
        return []
    return [predict(network, layer, batch_size, loss, inputs) for layer in layers]
