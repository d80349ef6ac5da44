"""The summary of a training by step, which prints as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, checked_items, plain, value_error
from vgsim._display import block, line, table
from vgsim._domains import checked_bool
from vgsim._results.column import checked_names, chosen
from vgsim._results.labelled import imported
from vgsim._results.tables import QUANTILES, Column, check_frame, quantile_column, report
from vgsim._results.training_events import TRAINING_EVENTS, checked_smoothing, default_level
from vgsim._results.training_statistics import TrainingStatistics
from vgsim._statistics.binomial import checked_interval
from vgsim.typing import Format, Method

if TYPE_CHECKING:
    import pandas

__all__ = ["TrainingSummary", "recorded_columns", "summarised"]

ROWS = 9  # most rows, if the caller does not choose the steps


class TrainingSummary(dict[str, NDArray[Any]]):
    """A dict of columns with one entry per step, which prints as a table.

    The columns are step; the probabilities learned, stuck and diverged up to that step, each with
    its limits _low and _high; the quantiles q05, median and q95 of the loss, inf where diverged;
    and accuracy, its median, if it was recorded.

    Attributes
    ----------
    title : str
        The lines above the table.
    n : int
        Number of samples.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(3, [4, 8, 8, 1])
    >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
    >>> training = vgsim.train(net, 10, steps=50, **how)
    >>> list(training.summary())[:4]
    ['step', 'learned', 'learned_low', 'learned_high']
    """

    title: str
    n: int

    def table(
        self,
        format: Format = "text",
        *,
        columns: str | Sequence[str] | None = None,
        intervals: bool = True,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""Return the summary as a table.

        Parameters
        ----------
        format : {"text", "markdown", "latex", "csv", "html"}, default "text"
            LaTeX needs the package booktabs; only CSV has all digits. Numbers have the digits that
            their intervals support.
        columns : str or sequence of str, optional
            The names of the columns: those of the summary without limits, and n.
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
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> print(training.summary(steps=0).table("csv", columns=("step", "n")))
        step,n
        0,10
        """
        check_frame(format, caption, label)
        every = self._columns()
        names = [c.name for c in every] if columns is None else checked_names("columns", columns)
        every.append(Column("n", "n", [self.n] * self["step"].size))
        shown = chosen(every, names, checked_bool("intervals", intervals))
        return report(shown, format, self.title, caption, label)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return the columns as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> training.summary(steps=(0, 49)).to_dataframe().step.tolist()
        [0, 49]
        """
        found: pandas.DataFrame = imported("pandas", "to_dataframe").DataFrame(dict(self))
        return found

    def _columns(self) -> list[Column]:
        """Return all columns."""
        columns = [Column("step", "step", self["step"].tolist())]
        for event in TRAINING_EVENTS:
            values, low, high = (self[f"{event}{end}"].tolist() for end in ("", "_low", "_high"))
            columns.append(Column(event, f"P({event})", values, low, high))
        for name in QUANTILES:
            values = self[name].tolist()
            digits = [_decimals(value) for value in values]
            columns.append(replace(quantile_column(name, values), decimals=digits, group="loss"))
        if "accuracy" in self:
            digits = [3] * self["step"].size
            columns.append(
                Column("accuracy", "accuracy", self["accuracy"].tolist(), decimals=digits)
            )
        return columns

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown, (caption, *definitions) = self._columns(), self.title.splitlines()
        header = [f"{c.heading} of loss" if c.group else c.heading for c in shown]
        rows = list(zip(*([str(cell) for cell in c.cells] for c in shown), strict=True))
        return block(table(header, rows, caption, words=0), *map(line, definitions))


def _decimals(loss: float) -> int | None:
    """Return the decimals that show about three digits of a loss; None: an exponent."""
    return None if loss < 0.01 else 3 if loss < 9.9995 else 2 if loss < 99.995 else 0


def recorded_columns(steps: NDArray[np.int64], wanted: Any) -> list[int]:
    """Return the numbers of the recorded steps that are given, one or several.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.training_table import recorded_columns
    >>> recorded_columns(np.array([0, 10, 19]), (19, 0))
    [2, 0]
    """
    one, allowed = plain(wanted), "must be one or more of the recorded steps"
    items = [one] if one is not None else checked_items("steps", wanted, allowed)
    found = [np.flatnonzero(steps == step) for step in items]
    if not found or not all(column.size == 1 for column in found):
        raise value_error("steps", f"{allowed}, {brief(steps.tolist())}, got {brief(wanted)}")
    return [int(column[0]) for column in found]


def summarised(
    training: TrainingStatistics,
    of: str,
    steps: Any,
    level: float | None,
    smoothing: int,
    confidence_level: float,
    method: Method,
) -> TrainingSummary:
    """Summarise a training, `of` which networks: see :meth:`Training.summary`."""
    confidence_level, method = checked_interval(confidence_level, method)
    smoothing, below = checked_smoothing(smoothing), training._level(level)
    if steps is None:
        spread = np.linspace(0, training.steps.size - 1, min(ROWS, training.steps.size))
        places = np.unique(spread.round().astype(int)).tolist()
    else:
        places = recorded_columns(training.steps, steps)
    at = training.steps[places]
    columns: dict[str, Any] = {"step": at}
    for event in TRAINING_EVENTS:
        found = [
            training.probability(
                event,
                level=below if event == "learned" else None,
                step=step,
                smoothing=smoothing,
                confidence_level=confidence_level,
                method=method,
            )
            for step in at.tolist()
        ]
        columns[event] = np.array([p.estimate for p in found])
        columns[f"{event}_low"] = np.array([p.low for p in found])
        columns[f"{event}_high"] = np.array([p.high for p in found])
    quantiles = training.quantiles("loss", list(QUANTILES.values()))[:, places]
    columns.update(zip(QUANTILES, quantiles.copy(), strict=True))
    if "accuracy" in training._arrays:
        columns["accuracy"] = training.quantiles("accuracy", 0.5)[places]
    summary = TrainingSummary(columns)
    summary.n = len(training._arrays["loss"])
    mean = f"the mean of {smoothing} recorded losses" if smoothing > 1 else "the loss"
    summary.title = (
        f"{of}\n"
        f"learned: {mean} fell below {below:.4g}; stuck: it stayed above "
        f"{default_level(training.baseline):.4g} and above 90 % of the smaller of "
        f"{training.baseline:.4g} and the initial loss; diverged: not finite, or above 110 % of "
        f"the initial loss; {100 * confidence_level:g} % {method} intervals"
    )
    return summary
