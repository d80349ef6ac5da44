"""Theoretical values of R_l = log10(‖G_l‖ / ‖G_D‖), for comparison with measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vgsim._checks import COUNTED, DECADE, RELATIVE
from vgsim._networks.description import Network
from vgsim._networks.sequential import Sequential
from vgsim.theory._finite_width import log_gradient_moments
from vgsim.theory._network_laws import dead_below, exact_law
from vgsim.theory._product import ProductLaw
from vgsim.theory._recurrent import recurrent_growth
from vgsim.typing import Event

__all__ = ["Prediction", "law_above", "predict", "said"]

# (p, bound): where the law gives less than p, only "less than bound" is said; docs/theory.md
NORMAL_TAILS = ((1e-9, 1e-6), (1e-4, 1e-3))
EXACT_TAILS = ((1e-45, 1e-45),)  # of `ProductLaw`
DIFFERENCES = ((1e-12, 1e-12),)  # of an exact probability that is 1 minus others


@dataclass(frozen=True)
class Prediction:
    """Theoretical mean, standard deviation and probabilities of R_l, where a theory applies.

    Attributes
    ----------
    mean, std : float or None
        Mean and standard deviation of R_l, in decades, over networks that are not dead.
    law : exact law of ln(‖G_l‖²/‖G_D‖²), or None
    source : str
        The theory that gives the numbers; if there are none, the reason.
    dead_below : float
        The probability that the network is dead because of a layer 1 … l, which `law` leaves out.
    """

    mean: float | None = None
    std: float | None = None
    law: Any = None
    source: str = ""
    dead_below: float = 0.0

    def probability(self, event: Event, threshold: float) -> float | None:
        """Return the probability of an event, from the exact law or from a normal law of R_l.

        None if neither is known, for the events "underflow" and "overflow", and in tails where the
        law does not hold: see `bound`.

        Examples
        --------
        >>> from vgsim.theory._prediction import Prediction
        >>> Prediction(-6.0, 1.0).probability("vanishing", 1e-6)
        0.5
        >>> Prediction(-6.0).probability("vanishing", 1e-6) is None
        True
        """
        return self.said(event, threshold)[0]

    def bound(self, event: str, threshold: float) -> float | None:
        """Return an upper bound of a probability in a tail, where `probability` is None.

        A normal law of R_l is used down to probabilities of 1e-4. Below, the probability is less
        than 1e-3, and where the normal law gives less than 1e-9, less than 1e-6. None where
        `probability` is known, and where nothing is.

        Examples
        --------
        >>> from vgsim.theory._prediction import Prediction
        >>> law = Prediction(-6.0, 1.0)
        >>> law.bound("vanishing", 1e-6) is None, law.bound("vanishing", 1e-10)
        (True, 0.001)
        >>> law.probability("exploding", 1e-6) is None, law.bound("exploding", 1e-6)
        (True, 1e-06)
        """
        return self.said(event, threshold)[1]

    def said(self, event: str, threshold: float) -> tuple[float | None, float | None]:
        """Return `probability` and `bound` of an event, which is evaluated once."""
        if event not in COUNTED:
            return None, None
        if self.law is not None:
            found = (1 - self.dead_below) * float(self.law.probability(event, threshold))
            found += self.dead_below if event in ("vanishing", "dead") else 0.0
            tails = {"dead": (), "healthy": DIFFERENCES}.get(event, EXACT_TAILS)
        elif self.mean is None or self.std is None or (event == "dead" and self.std > 0):
            return None, None
        else:
            decades = math.log10(threshold)
            vanishing = _normal_cdf(decades - self.mean, self.std)
            exploding = _normal_cdf(decades + self.mean, self.std)
            rest = 1 - vanishing - exploding
            every = {"vanishing": vanishing, "exploding": exploding, "healthy": rest, "dead": 0.0}
            found, tails = every[event], NORMAL_TAILS if self.std > 0 else ()
        for least, bound in tails:
            if found < least:
                return None, bound
        return found, None


def said(
    predictions: Sequence[Prediction], event: str, threshold: float
) -> tuple[list[float | None], list[float | None] | None]:
    """Return probabilities of an event, and their bounds; None for events that have no bounds.

    Examples
    --------
    >>> from vgsim.theory._prediction import Prediction, said
    >>> said([Prediction(-6.0, 1.0), Prediction(-12.0, 1.0)], "exploding", 1e-3)
    ([None, None], [1e-06, 1e-06])
    """
    found = [prediction.said(event, threshold) for prediction in predictions]
    bounds = [bound for _, bound in found] if event in RELATIVE else None
    return [value for value, _ in found], bounds


def predict(
    network: Network,
    layer: int = 0,
    batch_size: int = 1,
    loss: str = "linear",
    inputs: str = "normal",
) -> Prediction:
    """Return the theoretical values of R_l.

    Parameters
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
    layer : int, default 0
    batch_size, loss, inputs
        As in `Samples`; the theory applies to the linear loss only, and to batch size 1 except for
        the mean field of composed networks and for recurrent networks whose state stays at 0.

    Returns
    -------
    Prediction

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory._prediction import predict
    >>> network = vgsim.MLP(depth=100, width=32, activation="relu", init="he_normal")
    >>> theory = predict(network)
    >>> print(f"{theory.mean:.4f} {theory.std:.4f} {theory.probability('vanishing', 1e-3):.4f}")
    -1.7923 0.9149 0.0945
    >>> predict(network, batch_size=8).source
    'the theory is for batch size 1, not 8'
    """
    if network.own_engine:
        return Prediction(source="the network is not described layer by layer")
    if layer == network.depth:
        return Prediction(0.0, 0.0, None, "R_D is 0")
    if network.shares_weights:
        return _recurrent(network, layer, loss, inputs)
    composed = isinstance(network, Sequential)
    if batch_size > 1 and not network.mixes_examples and not composed:
        return Prediction(source=f"the theory is for batch size 1, not {batch_size}")
    if loss != "linear":
        return Prediction(source=f"the theory is for the linear loss, not {loss!r}")
    law = law_above(network, layer, batch_size, loss)
    if law is not None:
        std = math.sqrt(law.variance) / DECADE
        return Prediction(law.mean / DECADE, std, law, "exact law", dead_below(network, layer))
    if inputs != "normal":
        return Prediction(source="the theory is for normal inputs")
    try:
        size = None if batch_size == 1 and not composed else batch_size
        found = log_gradient_moments(network, size, layer)
    except ValueError as error:
        return Prediction(source=str(error))
    return Prediction(found.log10_mean, found.log10_std, None, found.source)


def _recurrent(network: Network, layer: int, loss: str, inputs: str) -> Prediction:
    """Return the theoretical mean of R_l of a recurrent network, if its state stays at 0."""
    if loss != "linear":
        return Prediction(source=f"the theory is for the linear loss, not {loss!r}")
    if inputs != "zeros":
        return Prediction(
            source="there is no theory of the moments of a recurrent network, except with inputs "
            "'zeros' and without a drive"
        )
    try:
        growth = recurrent_growth(network, layer)
    except ValueError as error:
        return Prediction(source=str(error))
    return Prediction(growth / DECADE, source="zero state, infinite width")


def _normal_cdf(x: float, std: float) -> float:
    if std == 0:
        return float(x > 0)
    return 0.5 * math.erfc(-x / (std * math.sqrt(2)))


def law_above(
    network: Network, layer: int, batch_size: int = 1, loss: str = "linear"
) -> ProductLaw | None:
    """Return the exact law of ln(‖G_l‖²/‖G_D‖²), or None if it is not known.

    It is the law of the layers above l, given that the layers up to l are not dead.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory._prediction import law_above
    >>> law_above(vgsim.MLP(depth=10, width=32, activation="tanh"), 0) is None
    True
    """
    unusual = batch_size * network.tokens > 1 or loss != "linear" or network.shares_weights
    if unusual or layer == network.depth or network.own_engine:
        return None
    try:
        return exact_law(network.section(layer, network.depth))
    except ValueError:
        return None
