"""The method `plot` of trainings: what it draws with `vgsim.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from vgsim import plotting
from vgsim._checks import brief, type_error, value_error
from vgsim._domains import Choice
from vgsim._networks.description import Network
from vgsim._results.curve_plots import name_axis
from vgsim._results.training_statistics import TrainingStatistics
from vgsim._results.training_table import recorded_columns
from vgsim._statistics.estimate import Estimate
from vgsim._statistics.quantiles import quantile
from vgsim.plotting import Artists
from vgsim.plotting.artists import checked_axes
from vgsim.plotting.fan import LEVELS, checked_levels
from vgsim.plotting.style import RATIO, make_upright_logarithmic, note, once, show_legend
from vgsim.typing import TrainingPlot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlottedTraining"]

Floats = NDArray[np.float64]
_KIND: Choice[TrainingPlot] = Choice(get_args(TrainingPlot))
MOVEMENT = r"$\log_{10}(\Vert W_l-W_l(0)\Vert/\Vert W_l(0)\Vert)$"
OF_SEVERAL = (0.05, 0.5, 0.95)  # levels of each step, if several are drawn
LINE = {"color": "0.35", "linewidth": 0.9, "linestyle": (0, (8, 2, 1, 2)), "zorder": 1.5}


class PlottedTraining(TrainingStatistics):
    """The statistics of a training with the method `plot`."""

    network: Network

    def plot(
        self,
        kind: TrainingPlot = "loss",
        *,
        steps: Any = None,
        level: float | None = None,
        smoothing: int | None = None,
        confidence_level: float | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Artists:
        """Draw what became of the networks.

        Parameters
        ----------
        kind : {"loss", "movement", "ratio", "learned", "survival"}, default "loss"
            "loss": a fan of quantiles of the loss against the step, in which networks that diverged
            count as inf, and a line at `baseline`. "movement": quantiles of `movement` against the
            layer. "ratio": quantiles of `log10_ratio` against the layer. Both leave out the
            networks that have diverged, and say how many. "learned": the probability that the loss
            was below `level`, against the step, with the band of its intervals. "survival": the
            probability that it was not yet, on a logarithmic axis.
        steps : int or sequence of int, optional
            The recorded steps of "movement", by default the last, and of "ratio", by default the
            first and the last.
        level, smoothing, confidence_level : optional
            Of "learned" and "survival", as for :meth:`Training.time_to_loss`.
        ax : matplotlib.axes.Axes, optional
            By default those of a new figure.
        **options
            Arguments of :func:`vgsim.plotting.fan` for "loss", "movement" and "ratio", such as
            `label`, `color`, `levels`; of :func:`vgsim.plotting.probability` for the others.

        Returns
        -------
        vgsim.plotting.Artists
            The artists; their ``axes`` and ``figure``.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, out of range or does not apply to this kind of plot.
        AttributeError
            If the quantity was not recorded.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> ax = training.plot(label="tanh").axes
        >>> ax.get_xlabel(), ax.get_yscale()
        ('step', 'log')
        >>> training.plot("learned").axes.get_xlabel()
        'step'
        """
        name = _KIND.check("kind", kind)
        timed = {"level": level, "smoothing": smoothing, "confidence_level": confidence_level}
        timed = {argument: value for argument, value in timed.items() if value is not None}
        if name in ("learned", "survival"):
            if steps is not None:
                raise _unused("steps", steps, name)
            return self._plot_time(name == "survival", timed, ax, options)
        for argument, value in timed.items():
            raise _unused(argument, value, name)
        if name == "loss":
            if steps is not None:
                raise _unused("steps", steps, name)
            return self._plot_loss(ax, options)
        return self._plot_layers(name == "movement", steps, ax, options)

    def _plot_loss(self, ax: Any, options: dict[str, Any]) -> Artists:
        found = self.quantiles("loss", options.get("levels", LEVELS))
        label = self._noted(_name(options.pop("label", None)) or "median", -1)
        options = {"scale": "log", **options, "label": label}
        drawn = plotting.fan(self.steps, found, ax=ax, **options)
        if self.baseline > 0:
            name = once(drawn.axes, "best constant prediction")
            drawn = Artists(
                (*drawn, drawn.axes.axhline(self.baseline, label=name, **LINE)), drawn.axes
            )
            show_legend(drawn.axes)
        return drawn

    def _plot_layers(self, moved: bool, steps: Any, ax: Any, options: dict[str, Any]) -> Artists:
        array = self._recorded("movement" if moved else "log10_ratio")
        places = self.weight_layers if moved else self.layers
        usual = self.steps[-1:] if moved else self.steps[[0, -1]]
        columns = recorded_columns(self.steps, np.unique(usual) if steps is None else steps)
        name_axis(options, "xlabel", self.network.place, ax)
        name_axis(options, "ylabel", MOVEMENT if moved else RATIO, ax)
        options.setdefault("levels", LEVELS if len(columns) == 1 else OF_SEVERAL)
        shares, given = checked_levels(options["levels"]), _name(options.pop("label", None))
        drawn: list[Any] = []
        ax = checked_axes(ax)
        for column in columns:
            at = f"step {self.steps[column]}"
            label = self._noted(f"{given}, {at}" if given else at, column)
            kept = array[:, column][self._arrays["loss"][:, column] < np.inf]
            if len(kept):
                found = np.stack([np.asarray(quantile(x, shares)) for x in kept.T], axis=-1)
                drawn += plotting.fan(places, found, ax=ax, label=label, **options)
        ax.xaxis.get_major_locator().set_params(integer=True)
        return Artists(drawn, ax)

    def _plot_time(
        self, survival: bool, timed: dict[str, Any], ax: Any, options: dict[str, Any]
    ) -> Artists:
        time = self.time_to_loss(**timed)
        found = time.probability(self.steps)
        name_axis(options, "xlabel", "step", ax)
        start = "P(loss not yet below " if survival else "P(loss < "
        named, text = getattr(ax, "get_ylabel", str)(), f"{start}{time.level:.3g})"
        if named.startswith(start) and named != text:
            options.setdefault("ylabel", f"{start}level)")  # the axes have several
        name_axis(options, "ylabel", text, ax)
        if not survival:
            return plotting.probability(self.steps, found, ax=ax, **options)
        parts = (1 - found.estimate, 1 - found.high, 1 - found.low)
        left = Estimate(*parts, found.confidence_level, found.method)
        ax = checked_axes(ax)
        if np.any(left.estimate > 0):
            make_upright_logarithmic(ax)
        return plotting.probability(self.steps, left, ax=ax, **options)

    def _noted(self, label: str, column: int) -> str | None:
        """Return a label with the share of networks that have diverged by a recorded step."""
        share = float(np.mean(np.isinf(self._arrays["loss"][:, column])))
        return note(label, f"{100 * share:.3g} % diverged" if share else "")


def _name(label: object) -> str:
    """Return a label, "" for None."""
    if label is None or isinstance(label, str):
        return label or ""
    raise type_error("label", f"must be a string or None, got {brief(label)}")


def _unused(argument: str, value: object, kind: str) -> ValueError:
    return value_error(argument, f"does not apply to the kind {kind!r}, got {brief(value)}")
