"""from_torch() and torch_parameters(): a PyTorch module as a network, and its present weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vgsim._checks import brief, type_error, value_error
from vgsim._domains import checked_bool
from vgsim._networks import operations
from vgsim._networks.description import Network, checked_network
from vgsim._networks.initializers import GAIN, STD, Initializer
from vgsim._networks.parameter_shapes import parameter_name
from vgsim._networks.recurrent import Recurrent
from vgsim._networks.sequential import Sequential
from vgsim._networks.techniques import Clip
from vgsim._twin.scaled import Array
from vgsim._twin.torch_modules import Laws, Part, Reader, require_plain
from vgsim._twin.torch_recurrent import recurrence_of
from vgsim.typing import InitializerName

if TYPE_CHECKING:
    import torch

__all__ = ["from_torch", "torch_parameters"]


def from_torch(
    module: torch.nn.Module,
    *,
    tokens: int | None = None,
    steps: int | None = None,
    causal: bool = False,
    init: InitializerName | Initializer | None = None,
    gain: float | None = None,
    bias_std: float | None = None,
) -> Network:
    """Return the network with the architecture of a PyTorch module and PyTorch's initial laws.

    The weights that the module has now are not used: see `torch_parameters`.

    Parameters
    ----------
    module : torch.nn.Module
        A ``Sequential``, possibly nested, of ``Linear``, activations, ``LayerNorm``, ``RMSNorm``,
        ``BatchNorm1d``, ``Dropout``, ``MultiheadAttention``, ``TransformerEncoderLayer``,
        ``TransformerEncoder``, ``Flatten`` and ``Identity``; one of these; an ``RNN``, ``LSTM`` or
        ``GRU`` of one layer, with as many inputs as hidden units; or what :meth:`Replay.to_torch`
        returns. In evaluation mode its dropout is left out.
    tokens : int, optional
        Columns per sequence, as in `Sequential`. By default 1, or what a module from
        :meth:`Replay.to_torch` has.
    steps : int, optional
        The number of steps of an RNN, LSTM or GRU, for which it is required.
    causal : bool, default False
        Whether a token attends only to itself and the tokens before it. In PyTorch that is an
        argument of the forward pass. Only for modules with ``MultiheadAttention``.
    init : str or Initializer, optional
        The law of all matrices, instead of PyTorch's.
    gain, bias_std : float, optional
        With `init` only: the factor of all matrices, and the standard deviation of the biases of
        the layers that have some. By default 1 and 0.

    Returns
    -------
    Sequential, RNN, LSTM or GRU
        With `init`, the inputs of a recurrent network have the default `input_std`.

    Raises
    ------
    TypeError, ValueError
        If the module holds something that vgsim cannot describe, such as weights shared between
        layers, weights that are computed from others, or hooks; the message names its place, for
        example "2.conv: Conv2d". Or if an argument is out of range.

    See Also
    --------
    torch_parameters : the present weights of the module.
    torch_samples : samples of any module, by autograd.

    Notes
    -----
    PyTorch's laws are uniform: of a ``Linear`` with biases that of init "torch_default", without
    biases that of "lecun_uniform" with gain 3^-½. In a ``MultiheadAttention`` of n units the
    variance is 1/(2n) for queries, keys and values (Glorot's for the 3n × n matrix of all three)
    and 1/(3n) for the output, and biases are 0: "lecun_uniform" with gains 2^-½ and 3^-½. An
    ``RNN``, ``LSTM`` or ``GRU`` has "torch_recurrent". The layers of a ``TransformerEncoder`` are
    independent here; its constructor copies one layer. The matrix of vgsim's own Gate has the law
    of a ``Linear``. Norms have the scale 1 and the shift 0 that they begin with.

    In a ``Sequential`` place l is the output of the l-th child; a nested ``Sequential`` or an
    encoder layer is one place.

    Examples
    --------
    >>> import vgsim
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    >>> vgsim.from_torch(module)
    Sequential(width=784, layers=[Linear(width=64, init='torch_default'), 'relu', \
Linear(width=10, init='torch_default')])
    """
    laws = _checked_laws(init, gain, bias_std)
    causal = checked_bool("causal", causal)
    clip = getattr(getattr(_checked_module(module), "states", None), "clip", None)
    options = {"clip": clip} if isinstance(clip, Clip) else {}
    if recurrence := recurrence_of(module):
        require_plain(module)
        _require_use(causal)
        if tokens not in (None, 1):
            raise value_error("tokens", f"must be 1 for a recurrent network, got {brief(tokens)}")
        return recurrence.network(steps, laws, options)
    reader = Reader(laws, causal)
    part, width = _read(reader, module)
    if steps is not None:
        raise value_error("steps", f"is for an RNN, LSTM or GRU, got {brief(steps)}")
    _require_use(causal and not reader.attends)
    own = reader.tokens or 1
    layers = part.layer if isinstance(part.layer, list) else [part.layer]
    return Sequential(width, layers, tokens=own if tokens is None else tokens, **options)


def torch_parameters(module: torch.nn.Module, network: Network) -> dict[str, Array]:
    """Return the present weights and biases of a PyTorch module, as :func:`evaluate` takes them.

    Parameters
    ----------
    module : torch.nn.Module
        A module that `from_torch` reads.
    network : Sequential, RNN, LSTM or GRU
        What `from_torch` returned for it.

    Returns
    -------
    dict of str to ndarray
        Float64 arrays, named as in :attr:`Replay.parameters`. That of a recurrent network from
        PyTorch has no "drive": add the inputs s_1 … s_steps, of shape (steps, n, B).

    Raises
    ------
    TypeError, ValueError
        If the module has weights that the network does not have: trained scales or shifts of a
        norm, or biases where the network has none (from_torch with `init` and bias_std > 0 has
        some); or if it drops units at random, as dropout does unless the module is in evaluation
        mode.

    Notes
    -----
    Columns of `evaluate` are rows of PyTorch: with X of shape (B, n_0), pass X.T. With tokens, the
    rows of a batch of shape (B, tokens, n_0) are those of its reshape to (B · tokens, n_0).

    Examples
    --------
    >>> import torch, vgsim
    >>> module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())
    >>> net = vgsim.from_torch(module)
    >>> parameters = vgsim.torch_parameters(module, net)
    >>> result = vgsim.evaluate(net, parameters, [1.0] * 4, [1.0] * 3)
    >>> result.gradient.shape
    (3,)
    """
    network = checked_network(network)
    arrays = {name: _array(x) for name, x in _present(_checked_module(module)).items()}
    found: dict[str, Array] = {}
    for name, entries in _needed(network).items():
        if name in arrays:
            found[name] = arrays.pop(name)
        elif entries:
            found[name] = np.zeros(entries)
        elif name != "drive":
            raise value_error(
                "network", f"has {name!r}, and the module has not: pass what from_torch returned"
            )
    for name, array in arrays.items():
        if not name.endswith("bias") or np.any(array):
            raise value_error(
                "network",
                f"has no {name!r}, which the module has: pass what from_torch returned, with init "
                "and bias_std > 0 for biases where PyTorch's are 0 at first",
            )
    return found


def _checked_laws(init: Any, gain: Any, bias_std: Any) -> Laws:
    """Return the laws that replace PyTorch's."""
    if init is None:
        for name, value in (("gain", gain), ("bias_std", bias_std)):
            if value is not None:
                raise value_error(name, f"needs init, the law of the matrices; got {brief(value)}")
        return Laws()
    return Laws(
        Initializer._made(init, {}),
        1.0 if gain is None else GAIN.check("gain", gain),
        0.0 if bias_std is None else STD.check("bias_std", bias_std),
    )


def _checked_module(module: Any) -> Any:
    """Refuse anything else than a PyTorch module."""
    if not any(kind.__module__ == "torch.nn.modules.module" for kind in type(module).__mro__):
        raise type_error("module", f"must be a torch.nn.Module, got {brief(module)}")
    return module


def _require_use(unused: bool) -> None:
    """Refuse `causal` where no attention takes it."""
    if unused:
        problem = "is for modules with MultiheadAttention, of which this one has none, got True"
        raise value_error("causal", problem)


def _read(reader: Reader, module: Any) -> tuple[Part, int]:
    """Return a module as a layer, and the units that it takes."""
    part = reader.read(module, "")
    require_plain(module)
    if reader.width is None:
        raise value_error("module", "must hold a layer that says how many units it takes")
    return part, reader.width


def _present(module: Any) -> dict[str, Any]:
    """Return all tensors of a module by name; raise if the module has more than they say."""
    if recurrence := recurrence_of(module):
        require_plain(module)
        return recurrence.named()
    part, _ = _read(Reader(Laws(), causal=False), module)
    for inside in part.all():
        if inside.random:
            problem = f"draws a mask in every pass ({inside.random}): call its eval()"
            raise value_error("module", problem)
        for words, tensor, value in inside.fixed:
            if bool((tensor != value).any()):
                raise value_error("module", f"has trained values that vgsim has not ({words})")
    nested = isinstance(part.layer, list)
    return dict(part.named("" if nested else "0."))


def _needed(network: Network) -> dict[str, int]:
    """Return the names of all parameters of a network, with the entries of biases, 0 for others."""
    found: dict[str, int] = {}
    for place in range(1, 2 if network.shares_weights else network.depth + 1):
        for operation in network.program.at(place):
            match operation:
                case operations.Drive():
                    found |= {"input_weight": 0, "drive": 0}
                case operations.Bias(rows=n):
                    found[parameter_name(operation, place)] = n
                case operations.GateBias(rows=n, name=name):
                    found[name] = n
                case operations.Weights() | operations.Mask():
                    found[parameter_name(operation, place)] = 0
    if isinstance(network, Recurrent) and network.gates > 1:
        found["bias"] = network.gates * network.width  # those of all gates, whether drawn or not
    return found


def _array(tensor: Any) -> Array:
    """Return a tensor as a float64 array."""
    if tensor.is_meta:
        raise value_error("module", "must hold values, got tensors on the device meta")
    return np.array(tensor.detach().cpu().double().numpy())
