"""Which laws of weights have the limits of wide networks, where only the variance counts."""

from __future__ import annotations

from typing import Any

from vgsim._checks import value_error
from vgsim._networks.description import Network
from vgsim._networks.initializers import INDEPENDENT

__all__ = ["check_weights", "law_obstacle"]


def law_obstacle(law: str, parameters: tuple[Any, ...]) -> str | None:
    """Return why wide networks with weights of this law have no mean field, or None.

    Sums of independent weights of mean 0 tend to normal variables. The corrections are of order
    1/width if the fourth moment is finite.

    Examples
    --------
    >>> from vgsim.theory._weight_laws import law_obstacle
    >>> law_obstacle("student_t", (3.0,))
    "weights of Student's law with df = 3 have no finite fourth moment (df > 4 have one)"
    """
    if law not in (*INDEPENDENT, "orthogonal"):
        return f"weights of the law {law!r} are not independent"
    if law == "student_t" and parameters[0] <= 4:
        return (
            f"weights of Student's law with df = {parameters[0]:g} have no finite fourth moment "
            "(df > 4 have one)"
        )
    return None


def check_weights(network: Network) -> None:
    """Refuse an MLP or an RNN with weights of a law without a mean field."""
    parameters = network.init.law_parameters(1, 1)  # degrees of freedom do not depend on the fans
    if obstacle := law_obstacle(network.init.distribution, parameters):
        raise value_error("network", f"has no mean field: {obstacle}")
