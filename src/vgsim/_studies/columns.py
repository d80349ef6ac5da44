"""Columns of tables of a study: the labels of its networks, and their statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeGuard

from vgsim._checks import TABULATED
from vgsim._networks.description import Network
from vgsim._networks.techniques import Described
from vgsim._results.column import short_exponent
from vgsim._results.tables import QUANTILES
from vgsim._studies.result import Result
from vgsim._studies.task import SETTING, Task
from vgsim._studies.training_task import TrainingTask

__all__ = [
    "AXES",
    "PER_THRESHOLD",
    "Tasked",
    "described_texts",
    "differing",
    "is_number",
    "label_columns",
    "ordered",
    "statistics",
    "thresholds_of",
    "words",
]

AXES = ("layer", "threshold")  # of tables and plots, beside the fields of networks
PER_THRESHOLD = ("vanishing", "exploding")


class Tasked(Protocol):
    """What has a task: the result of a network, counted or trained."""

    @property
    def network(self) -> Network:
        """The network of the task."""
        ...

    @property
    def task(self) -> Task | TrainingTask:
        """Everything that the result depends on."""
        ...


def label_columns(study: Sequence[Tasked], printed: bool = False) -> dict[str, list[Any]]:
    """Return the labels of the tasks as columns; None where a network has no such field.

    Columns without any value are left out. If a network has several widths, its `width` is None and
    its `widths` are all of them, as JSON. Lists of layers are JSON, or short if they are `printed`;
    then `residual` and `highway` are texts with all settings.
    A column with any string has strings only.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim import Result, Study
    >>> from vgsim._studies.task import Task
    >>> from vgsim._studies.columns import label_columns
    >>> from vgsim._studies.tally import Tally
    >>> none = Tally.empty([0], [1e-6])
    >>> networks = vgsim.MLP(10, 8), vgsim.MLP(2, [4, 5, 6], norm="layer")
    >>> columns = label_columns(Study([Result(Task(network), none, ()) for network in networks]))
    >>> columns["width"], columns["widths"], columns["norm"], "residual" in columns
    ([8, None], [None, '[4, 5, 6]'], [None, 'layer'], False)
    """
    rows = [result.task.columns for result in study]
    if printed:
        for result, row in zip(study, rows, strict=True):
            row.update((k, v) for k, v in result.task.labels.items() if isinstance(v, str))
            row.update(described_texts(result.task.network))
    names = dict.fromkeys(name for row in rows for name in row)
    fields = [name for name in names if name not in SETTING]
    columns = {name: [row.get(name) for row in rows] for name in (*fields, *SETTING)}
    for name, column in columns.items():
        if any(isinstance(value, str) for value in column):
            columns[name] = [None if value is None else str(value) for value in column]
    return {
        name: column
        for name, column in columns.items()
        if any(value is not None for value in column)
    }


def described_texts(network: Network) -> dict[str, str]:
    """Return the fields of a network that have fields of their own, as on the command line.

    Without those of several kinds, such as `clip`, whose text does not tell the kind.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.columns import described_texts
    >>> described_texts(vgsim.MLP(4, 8, residual=vgsim.Residual(2, style="pre")))
    {'residual': '2:style=pre'}
    """
    return {
        name: field.domain.text(getattr(network, name))
        for name, field in network._fields.items()
        if isinstance(field.domain, Described)
        and len(field.domain.kinds) == 1
        and getattr(network, name) is not None
    }


def differing(study: Sequence[Tasked]) -> list[str]:
    """Return the names of the labels that differ between networks, and always the depth.

    A field that only some networks have is compared among these only.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim import Result, Study
    >>> from vgsim._studies.task import Task
    >>> from vgsim._studies.columns import differing
    >>> from vgsim._studies.tally import Tally
    >>> none = Tally.empty([0], [1e-6])
    >>> networks = vgsim.MLP(10, 8), vgsim.MLP(10, 8, norm="layer", norm_eps=1e-3)
    >>> differing(Study([Result(Task(network), none, ()) for network in networks]))
    ['depth', 'norm']
    """
    values: dict[str, set[Any]] = {}
    for result in study:
        for name, value in result.task.labels.items():
            if name != "steps" or name in result.task.setting:  # else it is the depth
                values.setdefault(name, set()).add(value)
    apart = [name for name, known in values.items() if len(known) > 1]
    return [name for name in label_columns(study) if name == "depth" or name in apart]


def statistics(
    result: Result, layer: int, threshold: float | None = None
) -> dict[str, float | int | None]:
    """Return the statistics of one result by name: see :meth:`Study.to_dataframe`.

    Parameters
    ----------
    result : Result
    layer : int
        One of the tallied layers.
    threshold : float, optional
        Threshold of vanishing and exploding, which are None if it was not counted.

    Returns
    -------
    dict of str to float, int or None
        None where there are too few samples.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.columns import statistics
    >>> from vgsim._studies.tally import Tally
    >>> from vgsim._studies.task import Task
    >>> nothing = vgsim.Result(Task(vgsim.MLP(10, 8)), Tally.empty([0], [1e-6]), ())
    >>> statistics(nothing, 0, 1e-6)["vanishing"] is None
    True
    """
    tally = result.tally
    dead = tally.events("dead", layer)
    alive = result.n - dead
    found: dict[str, float | int | None] = {
        "n": result.n,
        "n_dead": dead,
        "mean": result.mean(layer) if alive >= 1 else None,
        "std": result.std(layer) if alive >= 2 else None,
    }
    for name, q in QUANTILES.items():
        found[name] = float(result.quantile(q, layer)) if result.n else None
    for event in TABULATED:
        names = event, f"{event}_low", f"{event}_high"
        found |= dict.fromkeys(names)
        if result.n and (event == "dead" or threshold in tally.thresholds):
            p = result.probability(event, layer, None if event == "dead" else threshold)
            found |= zip(names, (p.estimate, p.low, p.high), strict=True)
    return found


def thresholds_of(study: Sequence[Result]) -> list[float]:
    """Return all counted thresholds, ascending."""
    return sorted({threshold for result in study for threshold in result.task.thresholds})


def words(value: Any) -> str:
    """Return the value of a field as text; "none" for None.

    Examples
    --------
    >>> from vgsim._studies.columns import words
    >>> words(0.5), words(1e-6), words(1000000), words(None)
    ('0.5', '1e-6', '1000000', 'none')
    """
    if value is None:
        return "none"
    return short_exponent(f"{value:.6g}") if isinstance(value, float) else str(value)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether the value of a field is a number; True and False are words."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def ordered(values: Iterable[Any]) -> list[Any]:
    """Return the distinct values of a field: numbers in ascending order, others as they come.

    Examples
    --------
    >>> from vgsim._studies.columns import ordered
    >>> ordered([50, 5, 50]), ordered(["tanh", None, "relu", "tanh"])
    ([5, 50], ['tanh', None, 'relu'])
    """
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if all(map(is_number, distinct)) else distinct
