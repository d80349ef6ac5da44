"""Theory of vanishing and exploding gradients: mean field, exact laws, finite width, rare events.

Logarithms are natural and of the SQUARED norm here, as in the literature: the log10 of a ratio of
norms, which `vgsim.Samples` holds, is such a number divided by 2 ln 10. (The one exception are the
Lyapunov exponents of `newman_exponents`, which are of norms.)

>>> from vgsim.theory import critical_gain
>>> print(f"{critical_gain('tanh', bias_std=0.1):.6f}")
1.193401
"""

from vgsim.theory._correlation_map import correlation_fixed_point, correlation_map
from vgsim.theory._critical import (
    CriticalGain,
    CriticalLine,
    CriticalPoint,
    critical_gain,
    critical_line,
    edge_of_chaos,
)
from vgsim.theory._exact import exact_law
from vgsim.theory._finite_width import (
    LogGradientMoments,
    log_gradient_moments,
    lognormal_constant,
    lognormal_limit,
    one_hot_constant,
)
from vgsim.theory._fluctuations import finite_width_rates
from vgsim.theory._gaussian import gaussian_mean
from vgsim.theory._mean_field import MeanField, mean_field
from vgsim.theory._normalised import normalisation_rate
from vgsim.theory._product import ProductLaw, leaky_relu_law, linear_law, relu_law
from vgsim.theory._rare_events import (
    TailProbability,
    cumulant,
    newman_exponents,
    tail_probability,
)
from vgsim.theory._skips import (
    highway_growth,
    linear_residual_law,
    relu_residual_moments,
    residual_growth,
    residual_variance,
    tanh_residual_exponent,
)
from vgsim.theory._variance_map import chi, chi_parallel, fixed_point, variance_map

__all__ = [
    "CriticalGain",
    "CriticalLine",
    "CriticalPoint",
    "LogGradientMoments",
    "MeanField",
    "ProductLaw",
    "TailProbability",
    "chi",
    "chi_parallel",
    "correlation_fixed_point",
    "correlation_map",
    "critical_gain",
    "critical_line",
    "cumulant",
    "edge_of_chaos",
    "exact_law",
    "finite_width_rates",
    "fixed_point",
    "gaussian_mean",
    "highway_growth",
    "leaky_relu_law",
    "linear_law",
    "linear_residual_law",
    "log_gradient_moments",
    "lognormal_constant",
    "lognormal_limit",
    "mean_field",
    "newman_exponents",
    "normalisation_rate",
    "one_hot_constant",
    "relu_law",
    "relu_residual_moments",
    "residual_growth",
    "residual_variance",
    "tail_probability",
    "tanh_residual_exponent",
    "variance_map",
]
