"""The layers of a network above or below one of them, as networks of their own."""

from __future__ import annotations

from dataclasses import replace

from vgsim._network import MLP

__all__ = ["layers_above", "layers_below"]


def layers_above(network: MLP, layer: int) -> MLP:
    """Return layers `layer` + 1 … depth: what G_l/G_D depends on, but for the state of layer l.

    Raises
    ------
    ValueError
        If `layer` is the last one, or inside a residual block.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._sections import layers_above
    >>> layers_above(vgsim.MLP(100, 16), 60)
    MLP(depth=40, width=16)
    >>> layers_above(vgsim.MLP(4, 16, residual=vgsim.Residual(2)), 1)
    Traceback (most recent call last):
    ValueError: layer 1 is inside a residual block of 2 layers
    """
    return _section(network, layer, network.depth)


def layers_below(network: MLP, layer: int) -> MLP:
    """Return layers 1 … `layer`; see `layers_above`."""
    return _section(network, 0, layer)


def _section(network: MLP, first: int, last: int) -> MLP:
    residual, width = network.residual, network.width
    if residual is not None:
        for layer in (first, last):
            if layer % residual.every:
                raise ValueError(
                    f"layer {layer} is inside a residual block of {residual.every} layers"
                )
        residual = replace(residual, branch=residual.branch_scale(network.depth))
    if not isinstance(width, int):
        width = width[first : last + 1]
    return replace(network, depth=last - first, width=width, residual=residual)
