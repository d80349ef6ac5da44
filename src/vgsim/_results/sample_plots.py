"""The method `plot` of Samples: what it draws with `vgsim.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from vgsim import plotting
from vgsim._checks import brief, value_error
from vgsim._domains import Choice, checked_bool
from vgsim._results.curve_plots import PlottedCurve, law_at, name_axis
from vgsim._results.distribution import Distribution
from vgsim._results.events import require_living
from vgsim.plotting import Artists
from vgsim.plotting.style import ratio_label
from vgsim.theory._prediction import predict
from vgsim.typing import SamplesPlot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlottedDistribution"]

_KIND: Choice[SamplesPlot] = Choice(get_args(SamplesPlot))


NEEDED = {"survival": 1, "qq": 2}  # samples that are not dead


class PlottedDistribution(Distribution):
    """A distribution of R_l with the method `plot`."""

    def profile(self) -> PlottedCurve:
        """Return the law of R_l against the layer l."""
        raise NotImplementedError

    def plot(
        self,
        kind: SamplesPlot = "histogram",
        *,
        layer: int | None = None,
        theory: bool = True,
        ax: Axes | None = None,
        **options: Any,
    ) -> Artists:
        """Draw the distribution of R_l = log10(‖G_l‖/‖G_D‖), with the exact law if it is known.

        Parameters
        ----------
        kind : {"histogram", "survival", "qq", "ridge", "profile"}, default "histogram"
            "histogram": density. "survival": P(R ≤ r) or, with ``tail="upper"``, P(R > r), on a
            logarithmic axis. "qq": quantiles against those of a log-normal law. "ridge": densities
            of several layers. "profile": quantiles against all recorded layers.
        layer : int, optional
            The layer l of a histogram, survival function or QQ plot, by default 0.
        theory : bool, default True
            Whether to draw the exact law, or the theoretical mean of a profile, where known.
        ax : matplotlib.axes.Axes, optional
            By default those of a new figure.
        **options
            Arguments of the function of `vgsim.plotting` with the name of the kind, such as
            `label`, `color`, `threshold`, `bins`; for "ridge" and "profile" those of
            :meth:`LayerProfile.plot`. `fit` is True by default.

        Returns
        -------
        vgsim.plotting.Artists
            The artists; their ``axes`` and ``figure``.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, out of range or does not apply to this kind of plot.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import vgsim
        >>> network = vgsim.MLP(depth=50, width=32, activation="relu", init="he_normal")
        >>> s = vgsim.simulate(network, 1000)
        >>> drawn = s.plot(label="ReLU")
        >>> [text.get_text() for text in drawn.axes.get_legend().get_texts()]
        ['ReLU', 'exact law', 'log-normal fit']
        >>> ax = s.plot("profile", threshold=1e-2).axes
        """
        name = _KIND.check("kind", kind)
        theory = checked_bool("theory", theory)
        if name in ("ridge", "profile"):
            if layer is not None:
                problem = f"is for one layer and {name!r} shows several, got {brief(layer)}"
                raise value_error("layer", problem)
            along: Any = "quantiles" if name == "profile" else name
            return self.profile().plot(along, theory=theory, ax=ax, **options)
        place = 0 if layer is None else layer
        values = self._ratio(place)
        if name in NEEDED:
            living = int(np.count_nonzero(values > -np.inf))
            require_living(f"kind {name!r}", NEEDED[name], living, len(values), place)
        if theory:
            found = predict(self.network, place, self.batch_size, self.loss, self.inputs)
            options.setdefault("law", law_at(found))
        if name == "qq":
            return plotting.qq(values, ax=ax, **options)
        options.setdefault("fit", True)
        name_axis(options, "xlabel", ratio_label(place), ax)
        draw = plotting.histogram if name == "histogram" else plotting.survival
        return draw(values, ax=ax, **options)
