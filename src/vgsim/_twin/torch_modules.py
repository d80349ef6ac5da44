"""PyTorch modules read as layers of a `Sequential`, with the arrays of their parameters by name.

A module is known by the name of its class, so that this file does not import PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vgsim._checks import value_error
from vgsim._networks.activation_table import ACTIVATIONS
from vgsim._networks.activations import Activation
from vgsim._networks.blocks import Gate, Skip
from vgsim._networks.elements import Attention, Dropout, Linear, Norm
from vgsim._networks.initializers import Initializer
from vgsim.typing import NormKind

__all__ = ["Laws", "Part", "Reader", "children", "no_word", "require_plain", "torch_name"]

UNIFORM = "lecun_uniform"  # of variance gain²/fan_in
LINEAR_GAIN = 3**-0.5  # torch.nn.Linear: weights uniform on ±1/√fan_in
PROJECTION_GAIN = 2**-0.5  # Glorot's law of the stacked 3n × n matrix of queries, keys and values
EXACT_FROM = 20.0  # softplus(h) - h < 3e-9 from there on
RECURRENT = ("RNN", "LSTM", "GRU")
NORMS: dict[str, NormKind] = {"LayerNorm": "layer", "RMSNorm": "rms", "BatchNorm1d": "batch"}
HOMES = ("torch.nn.", "vgsim.")  # modules with the classes that are read


@dataclass(frozen=True)
class Laws:
    """The laws that replace PyTorch's own: of all matrices, and of biases; None: PyTorch's own."""

    init: Initializer | None = None
    gain: float = 1.0
    bias_std: float = 0.0

    def linear(self, biased: bool) -> dict[str, Any]:
        """Return the arguments of a `Linear`."""
        if self.init is not None:
            return self._given(biased)
        return {"init": "torch_default"} if biased else {"init": UNIFORM, "gain": LINEAR_GAIN}

    def attention(self, biased: bool) -> dict[str, Any]:
        """Return the arguments of an `Attention`; PyTorch's own biases are 0."""
        if self.init is not None:
            return self._given(biased)
        return {"init": UNIFORM, "gain": PROJECTION_GAIN, "output_gain": LINEAR_GAIN}

    def gate(self) -> dict[str, Any]:
        """Return the arguments of a `Gate`, whose bias is a constant."""
        if self.init is not None:
            return {"init": self.init, "gain": self.gain}
        return {"init": UNIFORM, "gain": LINEAR_GAIN}

    def _given(self, biased: bool) -> dict[str, Any]:
        bias_std = self.bias_std if biased else 0.0
        return {"init": self.init, "gain": self.gain, "bias_std": bias_std}


@dataclass
class Part:
    """A module as a layer.

    layer
        An element, an activation or a list of layers.
    inner
        The parts of the layers inside, in order.
    arrays
        Tensors by the names of `Replay.parameters`, without those of `inner`.
    fixed
        (words, tensor, value): tensors that vgsim takes to have this value in every entry.
    random
        The words for a mask that is drawn anew in every pass, or "".
    """

    layer: Any
    inner: list[Part] = field(default_factory=list)
    arrays: dict[str, Any] = field(default_factory=dict)
    fixed: list[tuple[str, Any, float]] = field(default_factory=list)
    random: str = ""

    @classmethod
    def group(cls, parts: Iterable[Part]) -> Part:
        """Return a list of layers."""
        inner = list(parts)
        return cls([part.layer for part in inner], inner)

    def named(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield all tensors by name."""
        for name, tensor in self.arrays.items():
            yield prefix + name, tensor
        for i, part in enumerate(self.inner):
            yield from part.named(f"{prefix}{i}.")

    def all(self) -> Iterator[Part]:
        """Yield this part and all inside it."""
        yield self
        for part in self.inner:
            yield from part.all()


def torch_name(module: Any) -> str:
    """Return the name of the class of a module of PyTorch or of ``Replay.to_torch``; else ""."""
    kind = type(module)
    return kind.__name__ if kind.__module__.startswith(HOMES) else ""


def no_word(where: str, module: Any, problem: str = "") -> ValueError:
    """Return the error for a module that no layer of vgsim describes."""
    at = f"{where}: " if where else ""
    return value_error(
        "module",
        f"holds {at}{type(module).__name__}, {problem or 'for which vgsim has no layer'}; "
        "vgsim.torch_samples measures any module",
    )


def children(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the children by name; a module that stands at two places is yielded twice."""
    return ((name, child) for name, child in module._modules.items() if child is not None)


def require_plain(module: Any) -> None:
    """Refuse what the classes of the modules do not tell: hooks, reparametrised or shared weights.

    The hooks of ``Replay.to_torch``, which record the states, are allowed.
    """
    owners: dict[int, str] = {}
    for where, part in module.named_modules(remove_duplicate=False):
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
            home = _home(hook)
            if home.startswith("torch.nn.utils."):
                raise no_word(where, part, f"whose weights are computed by {home}")
            if not home.startswith(("vgsim.", "torch.nn.modules.")):
                problem = "with a hook, which can change what it computes: remove the hook"
                raise no_word(where, part, problem)
        if hasattr(part, "parametrizations"):
            raise no_word(where, part, "whose weights are parametrised")
        for name, tensor in part.named_parameters(recurse=False, remove_duplicate=False):
            if not tensor.is_floating_point():
                raise no_word(where, part, f"of {tensor.dtype} numbers")
            own = f"{where}.{name}" if where else name
            if (owner := owners.setdefault(id(tensor), own)) != own:
                raise no_word(where, part, f"whose {name} is the same tensor as {owner}")


def _home(hook: Any) -> str:
    """Return the module of Python in which a hook, a function or an object, is defined."""
    return str(getattr(hook, "__module__", None) or type(hook).__module__)


class Reader:
    """Reads modules in the order in which a column passes them.

    Attributes
    ----------
    width : int or None
        The units that the first module takes; None until one is read that says so.
    tokens : int or None
        The columns per sequence; None until a module is read that says so.
    attends : bool
        Whether a module has been read whose attention may be causal or not.
    """

    def __init__(self, laws: Laws, causal: bool) -> None:
        self.laws, self.causal = laws, causal
        self.width: int | None = None
        self.tokens: int | None = None
        self.attends = False
        self._units: int | None = None  # after the modules so far

    def read(self, module: Any, where: str) -> Part:
        """Return a module as a layer; `where` is its name inside the whole."""
        name = torch_name(module)
        if name in _READERS:
            return _READERS[name](self, module, where)
        if name in _PHI:
            return Part(self._activation(module, where))
        if name.removesuffix("Cell") in RECURRENT:
            raise no_word(where, module, "which is a network of its own: pass it alone")
        raise no_word(where, module)

    def _takes(self, n: int, module: Any, where: str) -> None:
        """Check the units that a module takes."""
        if self._units is None:
            self.width = self._units = n
        if self._units != n:
            raise no_word(where, module, f"which takes {n} units, and {self._units} come in")

    def _activation(self, module: Any, where: str) -> Activation:
        """Return φ of a module."""
        name, parameters = _PHI[torch_name(module)](module)
        if name not in ACTIVATIONS:
            raise no_word(where, module, "with parameters that vgsim's activation does not have")
        return Activation._called(name, **parameters)

    def _list(self, modules: Iterable[tuple[str, Any]], where: str) -> list[Part]:
        return [self.read(module, f"{where}.{name}" if where else name) for name, module in modules]

    def sequential(self, module: Any, where: str) -> Part:
        """Read a ``Sequential``."""
        parts = self._list(children(module), where)
        return Part.group(parts) if parts else self.identity(module, where)

    def identity(self, module: Any, where: str) -> Part:
        """Read a module that leaves a column as it is."""
        return Part(Activation("linear"))

    def flatten(self, module: Any, where: str) -> Part:
        """Read a ``Flatten`` of each example."""
        if module.start_dim == 0:
            raise no_word(where, module, "which joins the examples of a batch")
        return self.identity(module, where)

    def linear(self, module: Any, where: str) -> Part:
        """Read a ``Linear``."""
        self._takes(module.in_features, module, where)
        n = self._units = module.out_features
        biased = module.bias is not None
        arrays = {"weight": module.weight, **({"bias": module.bias} if biased else {})}
        width = None if n == module.in_features else n
        return Part(Linear(width, **self.laws.linear(biased)), arrays=arrays)

    def norm(self, module: Any, where: str) -> Part:
        """Read a ``LayerNorm``, ``RMSNorm`` or ``BatchNorm1d``."""
        kind = NORMS[torch_name(module)]
        shape = (module.num_features,) if kind == "batch" else tuple(module.normalized_shape)
        if len(shape) != 1:
            raise no_word(where, module, f"which normalises over {len(shape)} dimensions")
        self._takes(shape[0], module, where)
        if kind == "batch" and module.track_running_stats and not module.training:
            raise no_word(
                where, module, "which uses its running statistics: vgsim's uses those of the batch"
            )
        scale, shift = module.weight, getattr(module, "bias", None)
        fixed = [(f"{where}: scales of {type(module).__name__}", scale, 1.0)] * (scale is not None)
        fixed += [(f"{where}: shifts of {type(module).__name__}", shift, 0.0)] * (shift is not None)
        eps = module.eps if module.eps is not None else _machine_epsilon(scale)
        return Part(Norm(kind, eps=eps), fixed=fixed)

    def dropout(self, module: Any, where: str) -> Part:
        """Read a ``Dropout``; it does nothing in evaluation mode."""
        if not module.training or module.p == 0:
            return self.identity(module, where)
        return Part(Dropout(module.p), random=f"{where}: {type(module).__name__}")

    def attention(self, module: Any, where: str) -> Part:
        """Read a ``MultiheadAttention``."""
        n = module.embed_dim
        self._takes(n, module, where)
        if (module.kdim, module.vdim) != (n, n):
            raise no_word(where, module, "with kdim or vdim other than embed_dim")
        if module.bias_k is not None or module.add_zero_attn:
            raise no_word(where, module, "with add_bias_kv or add_zero_attn")
        if module.dropout > 0 and module.training:
            problem = "with dropout of the softmax weights: call eval(), or set its dropout to 0"
            raise no_word(where, module, problem)
        self.attends = True
        arrays = dict(zip(("query", "key", "value"), module.in_proj_weight.chunk(3), strict=True))
        arrays["output"] = module.out_proj.weight
        biased = module.in_proj_bias is not None
        if biased:
            biases = (*module.in_proj_bias.chunk(3), module.out_proj.bias)
            arrays |= dict(zip((f"{name}_bias" for name in arrays), biases, strict=True))
        return self._attention(module.num_heads, self.causal, biased, arrays)

    def _attention(self, heads: int, causal: bool, biased: bool, arrays: dict[str, Any]) -> Part:
        law = self.laws.attention(biased)
        return Part(Attention(heads, causal=causal, **law), arrays=arrays)

    def encoder_layer(self, module: Any, where: str) -> Part:
        """Read a ``TransformerEncoderLayer``: attention and a layer of units, both with skips."""

        def read(*names: str) -> list[Part]:
            parts = self._list(((name, getattr(module, name)) for name in names), where)
            return [part for part in parts if part.layer != Activation("linear")]

        norms = [("norm1",), ("norm2",)]
        before, after = (norms, [(), ()]) if module.norm_first else ([(), ()], norms)
        attended = _skip(read(*before[0], "self_attn", "dropout1"))
        between = read(*after[0])
        first = read(*before[1], "linear1")
        phi = [self._function(module, where), *read("dropout")]
        units = _skip([*first, *phi, *read("linear2", "dropout2")])
        return Part.group([attended, *between, units, *read(*after[1])])

    def _function(self, module: Any, where: str) -> Part:
        """Return φ of an encoder layer, a function or a module."""
        phi = module.activation
        if torch_name(phi):
            return self.read(phi, f"{where}.activation" if where else "activation")
        name = getattr(phi, "__name__", "")
        if name not in ("relu", "gelu") or not str(phi.__module__).startswith("torch"):
            raise no_word(where, module, "with an activation that is neither relu nor gelu")
        return Part(Activation._called(name))

    def encoder(self, module: Any, where: str) -> Part:
        """Read a ``TransformerEncoder``."""
        layers = [(f"layers.{i}", layer) for i, layer in enumerate(module.layers)]
        norm = [] if module.norm is None else [("norm", module.norm)]
        return Part.group(self._list([*layers, *norm], where))

    def own_skip(self, module: Any, where: str) -> Part:
        """Read the `Skip` of ``Replay.to_torch``."""
        inner = self._list(children(module), where)
        return _skip(inner, module.skip, module.branch)

    def own_residual(self, module: Any, where: str) -> Part:
        """Read a residual block of an `MLP` from ``Replay.to_torch``."""
        inner = self._list(children(module.block), f"{where}.block")
        return _skip(inner, module.skip, module.branch)

    def own_gate(self, module: Any, where: str) -> Part:
        """Read the `Gate` of ``Replay.to_torch``."""
        self._takes(module.gate.shape[0], module, where)
        inner = self._list(children(module), where)
        return self._gate(inner, module.bias, module.gate)

    def own_highway(self, module: Any, where: str) -> Part:
        """Read a highway layer of an `MLP` from ``Replay.to_torch``."""
        bias = module.gate.bias.unique().tolist()
        if len(bias) > 1:
            raise no_word(where, module, "with different biases of its gates")
        inner = self._list(children(module.layer), f"{where}.layer")
        return self._gate(inner, bias[0], module.gate.weight)

    def _gate(self, inner: list[Part], bias: float, gate: Any) -> Part:
        block = Gate([part.layer for part in inner], bias=bias, **self.laws.gate())
        return Part(block, inner, {"gate": gate})

    def own_mask(self, module: Any, where: str) -> Part:
        """Read the `Dropout` of ``Replay.to_torch``, which keeps its mask."""
        self._takes(module.mask.shape[0], module, where)
        return Part(Dropout(module.rate), arrays={"mask": module.mask})

    def own_attention(self, module: Any, where: str) -> Part:
        """Read the `Attention` of ``Replay.to_torch``."""
        self._takes(module.query.shape[0], module, where)
        self.tokens = module.tokens
        arrays = dict(module.named_parameters())
        return self._attention(module.heads, module.causal, "query_bias" in arrays, arrays)


def _skip(inner: list[Part], skip: float = 1.0, branch: float = 1.0) -> Part:
    """Return a skip connection around parts."""
    return Part(Skip([part.layer for part in inner], skip=skip, branch=branch), inner)


def _machine_epsilon(scale: Any) -> float:
    """Return the ε of an RMSNorm without one: that of the dtype of its scales or the default."""
    import torch

    return float(torch.finfo(torch.get_default_dtype() if scale is None else scale.dtype).eps)


Phi = tuple[str, dict[str, float]]
_READERS: dict[str, Callable[[Reader, Any, str], Part]] = {
    "Sequential": Reader.sequential,
    "Identity": Reader.identity,
    "Flatten": Reader.flatten,
    "Linear": Reader.linear,
    "LayerNorm": Reader.norm,
    "RMSNorm": Reader.norm,
    "BatchNorm1d": Reader.norm,
    "Dropout": Reader.dropout,
    "MultiheadAttention": Reader.attention,
    "TransformerEncoderLayer": Reader.encoder_layer,
    "TransformerEncoder": Reader.encoder,
    "Skip": Reader.own_skip,
    "Residual": Reader.own_residual,
    "Gate": Reader.own_gate,
    "Highway": Reader.own_highway,
    "Mask": Reader.own_mask,
    "Attention": Reader.own_attention,
}
_PHI: dict[str, Callable[[Any], Phi]] = {  # a name that is not in the table: other parameters
    "ReLU": lambda m: ("relu", {}),
    "LeakyReLU": lambda m: ("leaky_relu", {"slope": m.negative_slope}),
    "ELU": lambda m: ("elu", {"alpha": m.alpha}),
    "SELU": lambda m: ("selu", {}),
    "GELU": lambda m: ("gelu" if m.approximate == "none" else f"gelu_{m.approximate}", {}),
    "SiLU": lambda m: ("silu", {}),
    "Mish": lambda m: ("mish", {}),
    "ReLU6": lambda m: ("relu6", {}),
    "Hardsigmoid": lambda m: ("hard_sigmoid", {}),
    "Hardswish": lambda m: ("hard_swish", {}),
    "Softplus": lambda m: ("softplus" if m.beta == 1 and m.threshold >= EXACT_FROM else "", {}),
    "Sigmoid": lambda m: ("sigmoid", {}),
    "Tanh": lambda m: ("tanh", {}),
    "Hardtanh": lambda m: ("hard_tanh" if (m.min_val, m.max_val) == (-1, 1) else "", {}),
    "Softsign": lambda m: ("softsign", {}),
    "Erf": lambda m: ("erf", {}),
    "Sine": lambda m: ("sine", {"omega": m.omega}) if hasattr(m, "omega") else ("", {}),
}
