"""Recurrent networks whose state stays at zero: growth and rate of gradients, critical gain."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import require_memory, value_error
from vgsim._domains import checked_int
from vgsim._networks.description import Network, checked_network
from vgsim._networks.gru import GRU
from vgsim._networks.initializers import INDEPENDENT
from vgsim._networks.lstm import LSTM
from vgsim._networks.rnn import RNN

__all__ = ["recurrent_growth", "recurrent_rate", "zero_state_gain"]

Array = NDArray[np.float64]
Cell = RNN | LSTM | GRU
MOST_STEPS = 2000  # of an LSTM with chrono: the sum takes a time of the order of steps²
NODES = 32  # of the quadrature over u
TERM_BYTES = 80


def recurrent_growth(network: Network, layer: int = 0) -> float:
    """Return ln(‖G_l‖²/‖G_D‖²) of a recurrent network whose state is 0, in infinite width.

    With ``inputs="zeros"``, no drive and no random bias, h = c = 0 at every step, and the gradient
    is multiplied by the same Jacobian again and again. With W of n × n independent entries of
    variance g²/n, or W = g O with an orthogonal O, it is

        RNN:   (1 − α) + α φ'(0) W,
        GRU:   z + ½ (1 − z) W_n,  z = σ(update_bias),
        LSTM:  f + ½ i W_g,  f = σ(b_f), i = σ(b_i), from c to c.

    Parameters
    ----------
    network : RNN, LSTM or GRU
        With ``input_std=0``, ``bias_std=0``, without clip, and in an RNN φ(0) = 0 and one slope at
        0. Of an LSTM with chrono, at most 2000 steps.
    layer : int, default 0
        l, from 0 to steps − 1.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If `network` is not a network.
    ValueError
        If the state does not stay at 0, or an argument is out of range.

    Notes
    -----
    W^i v and W^j v are orthogonal in the limit of infinite width, and ‖W^j v‖ = g^j ‖v‖. So
    ‖(a + b W)^k v‖² = Σ_j (k choose j)² a^(2k−2j) (b g)^(2j) ‖v‖². In an LSTM
    G_{D−k} = (W_gᵀ i∘γ, f∘γ) with γ = ½ (f + ½ W_gᵀ i)^(k−1) ∂L/∂h_D. With chrono f and i = 1 − f
    differ between units, and the covariance of the γ of two steps, given u, is summed step by step.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory import recurrent_growth
    >>> for chrono in (None, 100):
    ...     net = vgsim.LSTM(100, 64, gain=1e-9, input_std=0, chrono=chrono)
    ...     print(f"{recurrent_growth(net) / (2 * 2.302585):.3f}")
    -13.906
    -1.013
    """
    cell = _at_zero(network)
    last = cell.depth - 1
    steps = cell.depth - checked_int("layer", layer, 0, last, f"depth - 1 = {last}")
    g = _spectral_radius(cell)
    if isinstance(cell, LSTM):
        if cell.chrono is not None:
            return float(_chrono_growth(cell, g)[steps - 1])
        keep, push = _jacobian(cell)
        through = keep**2 + (2.0 * push * g) ** 2
        return math.log(through / 4.0) + _power_growth(cell, keep, push * g, steps - 1)
    keep, push = _jacobian(cell)
    return _power_growth(cell, keep, push * g, steps)


def recurrent_rate(network: Network) -> float:
    """Return the growth of ‖G‖² per step, far from the loss, of a recurrent network of state 0.

    It is ρ², with ρ the spectral radius of the Jacobian of a step in the limit of infinite width:
    a + b g for a + b W (see :func:`recurrent_growth`), so σ(b_f) + g/4 for an LSTM and
    σ(b_z) + (1 − σ(b_z)) g/2 for a GRU. With chrono, ρ is the larger root of
    (ρ(1 + A) − A)(ρ(1 + B) − B) = g²/4 with A = exp(forget_bias) and B = (T − 1) A.

    Parameters
    ----------
    network : RNN, LSTM or GRU
        As in :func:`recurrent_growth`, with any number of steps.

    Returns
    -------
    float
        In decades of R per step it is ½ log10 of this.

    Raises
    ------
    TypeError, ValueError
        As in :func:`recurrent_growth`.

    References
    ----------
    The spectral radius with chrono: Ahmadian, Fumarola and Miller, "Properties of networks with
    partially structured and partially random connectivity", Physical Review E 2015.

    Examples
    --------
    >>> import math
    >>> import vgsim
    >>> from vgsim.theory import recurrent_rate
    >>> for b in (0, 1, 2, 5):
    ...     net = vgsim.LSTM(300, 64, gain=1e-9, input_std=0, forget_bias=b)
    ...     print(f"{math.log10(recurrent_rate(net)) / 2:.4f}")
    -0.3010
    -0.1360
    -0.0551
    -0.0029
    """
    cell = _at_zero(network)
    g = _spectral_radius(cell)
    if isinstance(cell, LSTM) and cell.chrono is not None:
        return _chrono_radius(cell.forget_bias, cell.chrono, g) ** 2
    keep, push = _jacobian(cell)
    return (keep + push * g) ** 2


def zero_state_gain(network: Network) -> float:
    """Return the gain of a recurrent network at which :func:`recurrent_rate` is 1.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory._recurrent import zero_state_gain
    >>> round(zero_state_gain(vgsim.GRU(300, 64, input_std=0, update_bias=3)), 12)
    2.0
    """
    cell = _at_zero(network)
    if isinstance(cell, LSTM) and cell.chrono is not None:
        critical = 2.0  # i = 1 − f in every unit
    else:
        keep, push = _jacobian(cell)
        critical = (1.0 - keep) / push
    return critical * cell.gain / _spectral_radius(cell)


def _at_zero(network: Network) -> Cell:
    """Return a recurrent network if its state stays at 0, else raise ValueError."""
    network = checked_network(network)
    if not isinstance(network, Cell):
        raise value_error("network", f"must be an RNN, an LSTM or a GRU, got {network!r}")
    needed = {"input_std": 0.0, "bias_std": 0.0, "clip": None}
    for name, value in needed.items():
        if (own := getattr(network, name)) != value:
            raise value_error(
                "network",
                f"must have {name} {value!r} for a theory of the zero state, got {own!r}",
            )
    law = network.init.distribution
    chrono = isinstance(network, LSTM) and network.chrono is not None
    if network.bias_limit or law not in (
        *INDEPENDENT,
        "orthogonal",
        *(["identity"] * (not chrono)),
    ):
        raise value_error(
            "network",
            "must have independent or orthogonal weights, and no biases that the initialiser "
            f"draws, for a theory of the zero state, got the init {network.init.name!r}",
        )
    if isinstance(network, RNN):
        phi = network.activation
        left, right = phi.slope_at_zero
        if left != right or left == 0 or float(phi.value(np.zeros(1))[0]) != 0:
            raise value_error(
                "network",
                "must have φ(0) = 0 and one slope at 0, which is not 0, for a theory of the zero "
                f"state, got the activation {phi.name!r}",
            )
    return network


def _spectral_radius(network: Cell) -> float:
    """Return g: the spectral radius of a matrix W in infinite width."""
    return float(network.weight_stds[0]) * math.sqrt(network.width)


def _jacobian(network: Cell) -> tuple[float, float]:
    """Return a and b of the Jacobian a + b W of a step, of an LSTM without chrono from c to c."""
    match network:
        case RNN():
            slope = network.activation.slope_at_zero[0]
            turned = network.init.distribution != "identity"  # −W has the law of W
            return 1.0 - network.leak, network.leak * (abs(slope) if turned else slope)
        case GRU():
            z = _logistic(network.update_bias)
            return z, 0.5 * (1.0 - z)
        case _:
            return _logistic(network.forget_bias), 0.25


def _power_growth(network: Cell, a: float, b: float, k: int) -> float:
    """Return ln ‖(a + b W)^k v‖²/‖v‖² with W of spectral radius 1."""
    if a == 0 or k == 0 or network.init.distribution == "identity":
        return 2.0 * k * math.log(abs(a + b)) if k else 0.0
    from scipy.special import gammaln

    require_memory(TERM_BYTES * k, f"a sum of {k} terms", "lower the number of steps")
    j = np.arange(k + 1)
    binomial = gammaln(k + 1) - gammaln(j + 1) - gammaln(k - j + 1)
    logs = 2.0 * (binomial + (k - j) * math.log(a) + j * math.log(b))
    largest = float(logs.max())
    return largest + math.log(float(np.exp(logs - largest).sum()))


def _chrono_radius(forget_bias: float, chrono: float, g: float) -> float:
    """Return the spectral radius of diag(f) + ½ W diag(i), f = A u/(1 + A u) and i = 1 − f."""
    first, last = forget_bias, forget_bias + math.log(chrono - 1.0)
    low, high = _logistic(first), _logistic(last)
    square = _logistic(-first) * _logistic(-last) * g**2  # 4 (ρ − low)(ρ − high)
    return 0.5 * (low + high + math.sqrt((high - low) ** 2 + square))


@lru_cache(maxsize=4)  # the tables ask for every step of a network
def _chrono_growth(cell: LSTM, g: float) -> Array:
    """Return ln(‖G_{D−k}‖²/‖G_D‖²) of an LSTM with chrono for k = 1 … D."""
    assert cell.chrono is not None
    if cell.depth > MOST_STEPS:
        raise value_error(
            "network", f"must have at most {MOST_STEPS} steps with chrono, got {cell.depth}"
        )
    logs, weights = _log_uniform(cell.chrono - 1.0)
    f = np.array([_logistic(cell.forget_bias + x) for x in logs.tolist()])
    i = np.array([_logistic(-cell.forget_bias - x) for x in logs.tolist()])
    radius = _chrono_radius(cell.forget_bias, cell.chrono, g)
    kept, pushed = f / radius, (g / (2.0 * radius)) ** 2
    # E γ_s γ_t and E η_s γ_t given u, with γ_{s+1} = f γ_s + η_s, for s + t = d and s = 0 … d;
    # over radius^(s + t) ‖∂L/∂h_D‖², so that they stay near 1
    both, fed = np.full((len(f), 1), 0.25), np.zeros((len(f), 1))
    squares = [both[:, 0]]
    for d in range(1, 2 * cell.depth - 1):
        source = pushed * ((weights * i**2) @ both)
        first, last = 0.25 * kept[:, None] ** d, np.zeros((len(f), 1))
        both = np.hstack([first, kept[:, None] * both + fed])
        fed = np.hstack([kept[:, None] * fed + source, last])
        if d % 2 == 0:
            squares.append(both[:, d // 2])
    totals = np.array(squares) @ (weights * (f**2 + (g * i) ** 2))
    return np.asarray(np.log(totals) + 2.0 * math.log(radius) * np.arange(cell.depth))


def _log_uniform(most: float) -> tuple[Array, Array]:
    """Return nodes ln u and weights of a mean over u uniform on [1, most]."""
    if most == 1.0:
        return np.zeros(1), np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    length = math.log(most)
    logs = 0.5 * length * (nodes + 1.0)
    return logs, 0.5 * length * weights * np.exp(logs) / (most - 1.0)


def _logistic(x: float) -> float:
    """Return σ(x)."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
