"""Plots of probabilities, distributions and profiles of gradients, with matplotlib.

Every function takes `ax`, the axes to draw on (by default those of a new figure), and returns the
artists. None changes a global setting. Series on the same axes differ in colour and marker; bands
are confidence intervals, dashed lines theory, dotted lines fits.
"""

from vgsim.plotting.artists import Artists
from vgsim.plotting.curves import curve, probability, quantiles
from vgsim.plotting.distributions import histogram, ridge
from vgsim.plotting.fan import fan
from vgsim.plotting.heatmap import heatmap
from vgsim.plotting.tails import qq, survival

__all__ = [
    "Artists",
    "curve",
    "fan",
    "heatmap",
    "histogram",
    "probability",
    "qq",
    "quantiles",
    "ridge",
    "survival",
]

for _name in __all__:  # public classes and functions belong to this module, wherever they are
    globals()[_name].__module__ = __name__


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
