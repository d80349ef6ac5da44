"""TrainingStudy: the trainings of many networks and settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import NDArray

from vgsim._checks import brief, checked_items, plain, type_error
from vgsim._display import block, line
from vgsim._networks.custom_table import encoded_tables
from vgsim._results import npz
from vgsim._results.joined import merged_provenance
from vgsim._results.training import Training
from vgsim._results.training_arrays import SETTING_DOMAINS
from vgsim._studies import training_columns
from vgsim._studies.axes import suggested_axes
from vgsim._studies.find import matching
from vgsim._studies.training_columns import Trained
from vgsim.plotting.embedded import embedded
from vgsim.typing import Format, TrainingEvent

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from vgsim.plotting import Artists

__all__ = ["TRAINING_STUDY_KIND", "TrainingStudy"]

TRAINING_STUDY_KIND = "vgsim.TrainingStudy"  # in files
MOST_SHOWN = 12
HUES = 8  # most curves of a picture


class TrainingStudy(Sequence[Training]):
    """The trainings of many networks: a sequence of one :class:`Training` per network and setting.

    Returned by :func:`train` of several networks, and by :func:`load` from a store of trainings.

    Parameters
    ----------
    trainings : iterable of Training

    Raises
    ------
    TypeError, ValueError
        If one is no `Training`, or two have the same network, seed, setting and recorded steps,
        layers and quantities: these are joined by ``+``.

    Notes
    -----
    ``a + b`` has the trainings of both. Those of the same network, seed and setting are joined,
    and must have no sample in common. Trainings with different learning rates or seeds stay apart.

    Examples
    --------
    >>> import numpy as np
    >>> import vgsim
    >>> setting = {
    ...     "steps": 3, "optimizer": "sgd", "batch_size": 8, "loss": "mse", "clip": None,
    ...     "biases": False, "initial": "drawn", "data": "teacher", "rows": None,
    ...     "dtype": "float32",
    ... }
    >>> def trained(depth, learning_rate, loss):
    ...     return vgsim.Training(
    ...         vgsim.MLP(depth, 8), seed=0, index=range(len(loss)), steps=range(3), layers=[],
    ...         setting={**setting, "learning_rate": learning_rate}, baseline=1.0, loss=loss,
    ...         provenance={}, elapsed=0.0,
    ...     )
    >>> study = vgsim.TrainingStudy(
    ...     [trained(5, 0.1, [[1.0, 0.3, 0.1]] * 20), trained(50, 0.1, [[1.0, 1.0, 1.0]] * 20)]
    ... )
    >>> study
    <TrainingStudy: 2 trainings, 40 networks>
    >>> [training.probability("learned").estimate for training in study]
    [1.0, 0.0]
    """

    def __init__(self, trainings: Iterable[Training]) -> None:
        given = checked_items("trainings", trainings, "must be an iterable of vgsim.Training")
        for one in given:
            if not isinstance(one, Training):
                raise type_error("trainings", f"must be of vgsim.Training, got {brief(one)}")
        self._trained: tuple[Trained, ...] = tuple(map(Trained, given))
        seen = set()
        for trained in self._trained:
            if trained.task.digest in seen:
                what = f"{trained.network!r} is trained twice with one seed and setting"
                raise ValueError(f"{what}: join the two by + first")
            seen.add(trained.task.digest)

    @property
    def provenance(self) -> dict[str, str]:
        """Versions and platform; values that differ between trainings are joined."""
        made: dict[str, str] = {}
        for one in self._trained:
            made = merged_provenance(made, one.training.provenance)
        return made

    def __len__(self) -> int:
        return len(self._trained)

    @overload
    def __getitem__(self, place: int) -> Training: ...
    @overload
    def __getitem__(self, place: slice) -> TrainingStudy: ...
    def __getitem__(self, place: int | slice) -> Training | TrainingStudy:
        if isinstance(place, slice):
            return TrainingStudy([one.training for one in self._trained[place]])
        number = plain(place)
        if not isinstance(number, int):
            raise type_error("place", f"must be an int or a slice, got {brief(place)}")
        if not -len(self) <= number < len(self):
            raise IndexError(f"place must be one of {len(self)} trainings, got {brief(place)}")
        return self._trained[number].training

    def find(self, **fields: Any) -> TrainingStudy:
        """Return the trainings of the networks and settings with given fields.

        Parameters
        ----------
        **fields
            Fields of a network, as for :meth:`Study.find`; items of the setting: optimizer,
            learning_rate, batch_size, steps (the number of updates), loss, clip, clip__max_norm,
            biases, initial, data, rows, dtype; or seed. The steps of a recurrent network are its
            `depth`, and its own gradient clipping is `network__clip`.

        Raises
        ------
        TypeError, ValueError
            If no training has such a field, or the field can have no such value.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.TrainingStudy([]).find(learning_rate=0.1)
        <TrainingStudy: 0 trainings, 0 networks>
        """
        rows = matching(self._trained, fields, _of_setting)
        return TrainingStudy([self._trained[i].training for i in rows])

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a tidy ``pandas.DataFrame`` with one row per training.

        The columns are the fields of the networks and the items of the setting; n, the number of
        samples; learned, stuck and diverged, the probabilities of
        :meth:`Training.probability`, with their 95 % limits in columns that end in _low and _high;
        time_to_loss, the median number of steps until the smoothed loss is below half of the
        baseline (inf: not reached), with limits; final_loss, the median of the smoothed loss of
        the last recorded step, with the quantiles final_loss_q05 and final_loss_q95 over samples;
        and the baseline. Losses are in natural logarithms.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return training_columns.to_dataframe(self._trained, self.provenance)

    def table(
        self,
        format: Format = "text",
        *,
        columns: str | Sequence[str] | None = None,
        confidence_level: float = 0.95,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""Return a table with one row per training.

        The first columns are the fields and settings in which the trainings differ; the title has
        those that all have in common. Probabilities are written with their intervals.

        Parameters
        ----------
        format : {"text", "markdown", "latex", "csv", "html"}, default "text"
            Only CSV has all digits. LaTeX needs the package booktabs.
        columns : str or sequence of str, optional
            The names of the columns: fields and settings; n, learned, stuck, diverged,
            time_to_loss and final_loss, as in :meth:`to_dataframe`. "all": every one.
        confidence_level : float, default 0.95
        caption : str, optional
            A caption, of which LaTeX commands are kept with format "latex". Not with "csv".
        label : str, optional
            With format "latex", the name for references by ``\ref``.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or out of range.
        """
        return training_columns.table(
            self._trained,
            format,
            columns=columns,
            confidence_level=confidence_level,
            caption=caption,
            label=label,
        )

    def plot(
        self,
        x: str = "depth",
        hue: str | None = None,
        *,
        y: str | None = None,
        event: TrainingEvent = "learned",
        level: float | None = None,
        step: int | None = None,
        line: Any = None,
        line_label: str | None = None,
        ax: Axes | None = None,
    ) -> Artists:
        """Draw the probability of an event against a field, or a heat map over two fields.

        Parameters
        ----------
        x : str, default "depth"
            A field of the networks or an item of the setting, as in :meth:`find`. Numbers give
            curves with bands, other values points with error bars: 95 % intervals.
        hue : str, optional
            The field that distinguishes the curves; not together with `y`.
        y : str, optional
            A second field: draw a heat map over x and y.
        event : {"learned", "stuck", "diverged"}
        level : float, optional
            A loss, for "learned" only: see :meth:`Training.probability`.
        step : int, optional
            By which step; by default the last of each training.
        line : pair of array_like, optional
            x and y of a line over the heat map, such as 6 ξ of :func:`vgsim.theory.mean_field`
            against the gain.
        line_label : str, optional
            The line in the legend.
        ax : matplotlib.axes.Axes, optional
            By default those of a new figure.

        Returns
        -------
        vgsim.plotting.Artists

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If an argument is unknown or out of range, or several trainings have the same place in
            the plot; the message names the fields in which they differ.
        """
        from vgsim._studies import training_plots

        return training_plots.draw_trainings(
            self._trained, x, hue, y, event, level, step, line, line_label, ax
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the study to an .npz file, which :func:`load` and ``numpy.load`` read.

        Parameters and errors are those of :meth:`Training.save`.
        """
        arrays = {
            f"{i}.{name}": array
            for i, one in enumerate(self._trained)
            for name, array in one.training._members().items()
        }
        npz.write(path, TRAINING_STUDY_KIND, self._header(), arrays)

    def _header(self) -> dict[str, Any]:
        """Return the header of a file, as JSON types."""
        every = [dict(one.training._header()) for one in self._trained]
        for header in every:
            header.pop("custom_tables", None)
        networks = [one.network.canonical_json() for one in self._trained]
        header = {"trainings": every, "provenance": self.provenance}
        return header | encoded_tables(*networks)

    @classmethod
    def _restored(
        cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> TrainingStudy:
        """Return the study whose header and arrays these are."""
        parts: list[dict[str, NDArray[Any]]] = [{} for _ in header["trainings"]]
        for name, array in arrays.items():
            number, _, own = name.partition(".")
            parts[int(number)][own] = array
        pairs = zip(header["trainings"], parts, strict=True)
        return cls([Training._restored(*pair) for pair in pairs])

    def __add__(self, other: TrainingStudy) -> TrainingStudy:
        if not isinstance(other, TrainingStudy):
            return NotImplemented
        found: dict[str, Training] = {}
        for one in (*self._trained, *other._trained):
            key = one.task.digest
            found[key] = found[key] + one.training if key in found else one.training
        return TrainingStudy(found.values())

    def __radd__(self, other: object) -> TrainingStudy:
        """Support ``sum(studies)``, which begins at 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __repr__(self) -> str:
        trainings = f"{len(self)} training{'s' if len(self) != 1 else ''}"
        return f"<TrainingStudy: {trainings}, {sum(map(len, self))} networks>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        if not self:
            return block(line(repr(self)))
        left = len(self) - MOST_SHOWN
        more = line(f"… and {left:,} more trainings; table() returns all") if left > 0 else ""
        return block(self[:MOST_SHOWN].table("html"), more, self._picture())

    def _picture(self) -> str:
        """Return P(learned) against the fields that tell the trainings apart, if two suffice."""
        axes = suggested_axes(self._trained) if len(self) > 1 else None
        if axes is None or axes.others:
            return ""
        hues = {one.task.columns.get(axes.hue or "") for one in self._trained}
        if len(hues) > HUES:
            return ""
        return embedded(lambda ax: self.plot(axes.x, axes.hue, ax=ax), f"P(learned) by {axes.x}")


def _of_setting(name: str, value: Any) -> Any:
    """Return the normal form of an item of the setting; None if there is none of that name."""
    domain, _ = SETTING_DOMAINS.get(name, (None, False))
    return None if domain is None or value is None else domain.check(name, value)
