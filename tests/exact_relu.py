"""The exact law of R of a He ReLU network: random draws, and values in closed form."""

import numpy as np

from vgsim.theory import relu_law

LN_SQUARED = 2 * np.log(10)

# n = 32, D = 100: mean and variance of R, and exact P(R < −k).
MEAN = 100 * -0.0825402081 / LN_SQUARED
VARIANCE = 100 * 0.1774977872 / LN_SQUARED**2
BELOW = {-1: 0.80621, -3: 0.094492}


def inverse(width, depth, points=800):
    """Return draws of R for uniform numbers, by interpolation of the quantile function."""
    law = relu_law(width, depth)
    x = law.mean + np.sqrt(law.variance) * np.linspace(-9, 7, points)
    p = law.cdf(x)
    rising = np.flatnonzero(np.diff(p, prepend=-1.0) > 1e-12)
    p, x = p[rising], x[rising] / LN_SQUARED
    return lambda u: np.where(u < law.dead_probability, -np.inf, np.interp(u, p, x))


def draw(shape, rng, width=32, depth=100):
    """R = ½ Σ_l log10[(2/n) χ²_K], K ~ Bin(n, ½); −inf where a K is 0."""
    total = np.zeros(shape)
    with np.errstate(divide="ignore"):
        for _ in range(depth):
            open_gates = rng.binomial(width, 0.5, size=shape)
            total += np.log10(4 / width * rng.standard_gamma(open_gates / 2))
    return total / 2
