"""The law of the gradient's norm along a network, layer by layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from vgsim._curve import Curve, event_in_words
from vgsim._samples import Samples

__all__ = ["LayerProfile", "profile"]


class LayerProfile(Curve):
    """The law of R_l = log10(‖G_l‖ / ‖G_D‖) against the layer l, from one run.

    The same networks are behind every layer: estimates of different layers are dependent.

    Attributes
    ----------
    samples : Samples
    layers : int64 array, shape (k,)
        The recorded layers, increasing.
    distance : int64 array, shape (k,)
        D − l.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._profile import profile
    >>> s = vgsim.simulate(vgsim.MLP(20, 64, activation="sigmoid"), 500, layers=(0, 10, 20))
    >>> p = profile(s)
    >>> p.probability().estimate.round(1)
    array([1., 1., 0.])
    """

    _place = "layer"
    _paired = True

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.layers = np.sort(samples.layers)
        self.distance = samples.network.depth - self.layers
        self._places = self.layers.tolist()
        self._distances = self.distance.tolist()
        self._points = [(samples, layer) for layer in self._places]

    def __repr__(self) -> str:
        return (
            f"<LayerProfile: {self.layers.size} layers from {self.layers[0]} to {self.layers[-1]} "
            f"of {self.samples!r}>"
        )

    def _title(
        self,
        event: str,
        threshold: float,
        dtype: DTypeLike | None,
        confidence_level: float,
        method: str,
    ) -> str:
        s = self.samples
        return (
            f"R = log10(|G_l| / |G_D|) of {len(s):,} networks {s.network!r}{s._batch}, "
            f"seed {s.seed}\n"
            f"{event_in_words(event, threshold, dtype)}; "
            f"{100 * confidence_level:g} % intervals ({method}, bootstrap); "
            "mean and std: of those not dead"
        )


def profile(samples: Samples) -> LayerProfile:
    """Return the profile of a run along its recorded layers: what ``samples.profile()`` does.

    Raises
    ------
    AttributeError
        If the run did not record "gradient".

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._profile import profile
    >>> s = vgsim.simulate(vgsim.MLP(20, 32, activation="relu", init="he_normal"), 500)
    >>> scale = profile(s).depth_scale()
    >>> scale.slope.low < -0.08 < scale.slope.high
    True
    """
    _ = samples.gradient
    return LayerProfile(samples)
