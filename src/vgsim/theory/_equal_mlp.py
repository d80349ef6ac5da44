"""The MLP that a list of layers spells, for the theories that are of MLPs only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from vgsim._networks.activations import Activation
from vgsim._networks.blocks import Skip
from vgsim._networks.elements import Linear, Norm
from vgsim._networks.layers import Layer, Layers
from vgsim._networks.mlp import MLP, NORM_EPS
from vgsim._networks.sequential import Sequential
from vgsim._networks.techniques import Residual

__all__ = ["equal_mlp"]


@lru_cache(maxsize=16)
def equal_mlp(network: Sequential) -> tuple[MLP, dict[int, int]] | None:
    """Return the MLP that the list spells, and its layer for the places at the end of one, or None.

    The list repeats Linear, a norm if any, and an activation, in groups or not; or groups of a skip
    connection around such layers and an activation, as with ``Residual(style="post")``.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim.theory._equal_mlp import equal_mlp
    >>> net = vgsim.Sequential(8, [vgsim.Linear(gain=1.2), "tanh"] * 3)
    >>> equal_mlp(net)
    (MLP(depth=3, width=8, init='lecun_normal', gain=1.2), {0: 0, 2: 1, 4: 2, 6: 3})
    """
    if network.clip is not None:
        return None
    widths, ends = [network.width], {0: 0}
    kind: _Kind | None = None
    parts: list[Layer] = []
    for place, element in enumerate(network.layers, 1):
        for layer in element if isinstance(element, Layers) else [element]:
            parts.append(layer)
            if not isinstance(layer, Activation):
                continue
            found = _plain(parts) or _post(parts)
            if found is None or found != (kind or found):
                return None
            kind, width = found, network.width_at(place)
            widths += [width] * (found.residual.every if found.residual else 1)
            parts = []
        if not parts:
            ends[place] = len(widths) - 1
    if kind is None or parts or (kind.residual and len(set(widths)) > 1):
        return None
    return kind.mlp(widths), ends


@dataclass(frozen=True)
class _Kind:
    """What all layers of an MLP have in common."""

    linear: Linear  # without its width
    norm: Norm | None
    activation: Activation
    residual: Residual | None = None

    def mlp(self, widths: list[int]) -> MLP:
        """Return the MLP of these widths."""
        norm, eps = (self.norm.kind, self.norm.eps) if self.norm else (None, NORM_EPS)
        return MLP(
            len(widths) - 1,
            widths,
            activation=self.activation,
            init=self.linear.init,
            gain=self.linear.gain,
            bias_std=self.linear.bias_std,
            norm=norm,
            norm_eps=eps,
            residual=self.residual,
        )


def _plain(parts: list[Layer]) -> _Kind | None:
    """Return the kind of [Linear, Norm if any, activation]."""
    linear, phi = parts[0], parts[-1]
    norm = parts[1] if len(parts) == 3 else None
    if not (isinstance(linear, Linear) and isinstance(phi, Activation) and len(parts) in (2, 3)):
        return None
    if norm is not None and not isinstance(norm, Norm):
        return None
    return _Kind(replace(linear, width=None), norm, phi)


def _post(parts: list[Layer]) -> _Kind | None:
    """Return the kind of [Skip([…, Linear, Norm if any]), activation]."""
    skip, phi = parts[0], parts[-1]
    if not (len(parts) == 2 and isinstance(skip, Skip) and isinstance(phi, Activation)):
        return None
    inner: list[Layer] = [*skip.layers, phi]
    size = 3 if any(isinstance(layer, Norm) for layer in inner) else 2
    kinds = [_plain(inner[i : i + size]) for i in range(0, len(inner), size)]
    first, last = kinds[0], kinds[-1]
    if first is None or last is None:
        return None
    factor = last.linear.gain / first.linear.gain
    if any(kind != first for kind in kinds[:-1]):
        return None
    if replace(last, linear=replace(last.linear, gain=first.linear.gain)) != first:
        return None
    residual = Residual(
        len(kinds), skip=skip.skip, branch=skip.branch, style="post", last_gain=factor
    )
    return replace(first, residual=residual)
