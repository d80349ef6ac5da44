"""The layers of an MLP as the list of a composed network."""

from __future__ import annotations

from vgsim._networks.blocks import Gate, Skip
from vgsim._networks.description import Network
from vgsim._networks.elements import Linear, Norm
from vgsim._networks.layers import Layer

__all__ = ["mlp_layers"]


def mlp_layers(net: Network) -> list[Layer | tuple[Layer, ...]]:
    """Return the list of a `Sequential` with the same law: see ``MLP.layers``.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.mlp_layers import mlp_layers
    >>> mlp_layers(vgsim.MLP(2, 8, norm="rms", gain=2))[0]
    (Linear(init='glorot_normal', gain=2.0), Norm(kind='rms'), Activation('tanh'))
    """
    norm = [Norm(net.norm, eps=net.norm_eps)] if net.norm else []
    units = [*norm, net.activation]
    if net.residual:
        return [_block(net, units)] * (net.depth // net.residual.every)
    if net.highway:
        gated = [_linear(net), *units]
        bias = net.highway.gate_bias
        return [Gate(gated, bias=bias, init=net.init, gain=net.gain)] * net.depth
    if isinstance(net.width, int):
        return [(_linear(net), *units)] * net.depth
    own = {n: (_linear(net, n), *units) for n in set(net.widths[1:])}
    return [own[n] for n in net.widths[1:]]


def _linear(net: Network, width: int | None = None, factor: float = 1.0) -> Linear:
    return Linear(width, init=net.init, gain=net.gain * factor, bias_std=net.bias_std)


def _block(net: Network, units: list[Layer]) -> Layer | tuple[Layer, ...]:
    """Return a residual block of as many layers as the network has in one."""
    residual = net.residual
    style, others = residual.style, residual.every - 1
    last = _linear(net, factor=residual.last_gain)
    if style == "pre":
        inner = [*units, _linear(net)] * others + [*units, last]
    else:
        ends = {"activated": units, "linear": [], "post": units[:-1]}[style]
        inner = [_linear(net), *units] * others + [last, *ends]
    block = Skip(inner, skip=residual.skip, branch=residual.branch_scale(net.depth))
    return (block, net.activation) if style == "post" else block
