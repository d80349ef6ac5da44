"""Theory of vanishing and exploding gradients: mean field, exact laws, finite width.

As in the literature, logarithms are natural and of the SQUARED norm here. Divide by 2 ln 10 for the
log10 of a ratio of norms, as in `vgsim.Samples`. The only exception is `newman_exponents`, whose
Lyapunov exponents are natural logarithms of norms.

>>> from vgsim.theory import critical_gain
>>> print(f"{critical_gain('tanh', bias_std=0.1):.6f}")
1.193401
"""

from vgsim.theory._blocks import (
    branch_moments,
    deepnorm_constants,
    post_norm_rate,
    pre_norm_growth,
)
from vgsim.theory._critical import (
    CriticalGain,
    CriticalLine,
    CriticalPoint,
    critical_gain,
    critical_line,
    edge_of_chaos,
)
from vgsim.theory._exact import (
    leaky_relu_law,
    linear_law,
    linear_residual_law,
    newman_exponents,
    relu_law,
)
from vgsim.theory._finite_width import LogGradientMoments, log_gradient_moments
from vgsim.theory._mean_field import MeanField, mean_field
from vgsim.theory._network_laws import exact_law
from vgsim.theory._normalised import normalisation_rate
from vgsim.theory._places import PlaceMoments, place_moments
from vgsim.theory._product import ProductLaw
from vgsim.theory._recurrent import recurrent_growth, recurrent_rate
from vgsim.theory._skips import (
    highway_growth,
    relu_residual_moments,
    residual_growth,
    residual_variance,
    tanh_residual_exponent,
)

__all__ = [
    "CriticalGain",
    "CriticalLine",
    "CriticalPoint",
    "LogGradientMoments",
    "MeanField",
    "PlaceMoments",
    "ProductLaw",
    "branch_moments",
    "critical_gain",
    "critical_line",
    "deepnorm_constants",
    "edge_of_chaos",
    "exact_law",
    "highway_growth",
    "leaky_relu_law",
    "linear_law",
    "linear_residual_law",
    "log_gradient_moments",
    "mean_field",
    "newman_exponents",
    "normalisation_rate",
    "place_moments",
    "post_norm_rate",
    "pre_norm_growth",
    "recurrent_growth",
    "recurrent_rate",
    "relu_law",
    "relu_residual_moments",
    "residual_growth",
    "residual_variance",
    "tanh_residual_exponent",
]

for _name in __all__:  # public classes and functions belong to this module, wherever they are
    globals()[_name].__module__ = __name__


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
