"""Descriptions of networks and their parts: fields, names, JSON, and the network interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from dataclasses import MISSING, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from vgsim._checks import brief, either, plain, require_memory, type_error, value_error
from vgsim._domains import Domain
from vgsim._networks.html import Displayed
from vgsim._networks.jax.network import WithJax
from vgsim._networks.named import Named
from vgsim._networks.operations import Program

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Description",
    "Field",
    "Network",
    "checked_network",
    "compact_json",
    "network_from_json",
]

SHOWN_WIDTHS = 8
LISTED_BYTES = 64  # bytes per layer in Python lists or arrays over all layers
Get = TypeVar("Get")
Set = TypeVar("Set")


def compact_json(value: Any) -> str:
    """Return sorted ASCII JSON without spaces.

    Examples
    --------
    >>> from vgsim._networks.description import compact_json
    >>> compact_json({"width": 8, "depth": 10})
    '{"depth":10,"width":8}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


class Field(Generic[Get, Set]):
    """A field of a description: its domain, default and help, declared once.

    The constructor, checks, JSON, sweeps, study files, command line, tables and labels use it.

    Parameters
    ----------
    domain : Domain
        The allowed values, and their forms in JSON and text.
    default : optional
        The value of the field if the constructor gets none.
    implicit : optional
        The value that the canonical JSON leaves out; by default the checked `default`.
    optional : bool, default False
        Whether None is allowed.
    shown : bool, default False
        Whether the repr shows the field at its implicit value too.
    only_with : str, optional
        The name of another field. While that is None, labels leave this one out.
    key : str, optional
        The name of the field in JSON, by default its own.
    help, metavar, const, flag
        For the command line: `const` is the value of the option if it is given without one, `flag`
        its name if that is not the name of the field.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        default: Any = MISSING,
        implicit: Any = MISSING,
        optional: bool = False,
        shown: bool = False,
        only_with: str | None = None,
        help: str = "",
        metavar: str = "",
        const: str | None = None,
        flag: str = "",
        key: str = "",
    ) -> None:
        self.domain: Domain = domain
        self.default: Any = default
        self.optional: bool = optional
        self.shown: bool = shown
        self.only_with: str | None = only_with
        self.help: str = help
        self.metavar: str = metavar
        self.const: str | None = const
        self.flag: str = flag
        self.key: str = key
        checked = default is MISSING or default is None or implicit is not MISSING
        own = default if checked else domain.check("default", default)
        self.implicit: Any = own if implicit is MISSING else implicit

    def __set_name__(self, owner: type, name: str) -> None:
        self.name: str = name
        self.owner: str = owner.__name__
        self.key = self.key or name

    @overload
    def __get__(self, described: None, owner: type) -> Field[Get, Set]: ...
    @overload
    def __get__(self, described: object, owner: type) -> Get: ...
    def __get__(self, described: object | None, owner: type) -> Any:
        if described is not None:
            return described.__dict__[self.name]
        if self.default is MISSING:
            raise AttributeError(self.name)
        return self.default

    def __set__(self, described: object, value: Set) -> None:
        described.__dict__[self.name] = self.check(value)

    def check(self, value: Any) -> Any:
        """Return a value in its normal form, or raise an error that names the field."""
        if value is None and self.optional:
            return None
        return self.domain.check(self.name, value, _of(self.owner))

    def again(self) -> Field[Get, Set]:
        """Return a field with the same declaration, for another kind of description."""
        return copy(self)

    @property
    def is_required(self) -> bool:
        """Whether the field must be given."""
        return self.default is MISSING

    def labels(self, value: Any) -> dict[str, Any]:
        """Return a value by the names that sweep uses: ``field``, and ``field__part`` for parts."""
        if isinstance(value, Named):
            label, parts = value.name, value._parameters
        elif isinstance(value, Description):
            label, parts = type(value).__name__, value._values()
        else:
            return {self.name: value}
        return {self.name: label, **{f"{self.name}__{key}": part for key, part in parts.items()}}


def _of(owner: str) -> str:
    """Return " of OWNER" for a field of a part of a network, "" for a field of a network."""
    return "" if owner in Description.networks else f" of {owner}"


class Description:
    """A frozen record of fields, identified by its kind and the fields not at their default."""

    networks: ClassVar[dict[str, Any]] = {}  # the kinds of networks by name
    _fields: ClassVar[Mapping[str, Field[Any, Any]]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        cls._fields = {**cls._fields, **own}

    def _values(self) -> dict[str, Any]:
        """Return all fields by name."""
        return {name: getattr(self, name) for name in self._fields}

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and the fields that are not at their default, as JSON types.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(10, 8, gain=2).to_dict()
        {'kind': 'MLP', 'depth': 10, 'width': 8, 'gain': 2.0}
        """
        values = {
            field.key: field.domain.to_json(value)
            for name, field in self._fields.items()
            if (value := getattr(self, name)) != field.implicit
        }
        return {"kind": type(self).__name__, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what :meth:`to_dict` returns.

        Raises
        ------
        TypeError, ValueError
            If the kind differs, or a field is unknown, missing or out of its domain.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP.from_dict({"kind": "MLP", "depth": 10, "width": 8})
        MLP(depth=10, width=8, init='glorot_normal')
        """
        own = cls.__name__
        if not isinstance(values, Mapping):
            raise type_error(
                "values", f"must be a mapping that describes a {own}, got {brief(values)}"
            )
        given = dict(values)
        kind = given.pop("kind", None)
        if plain(kind) != own:
            raise value_error("kind", f"must be {own!r}, got {brief(kind)}")
        known = {field.key: field for field in cls._fields.values()}
        required = [key for key, field in known.items() if field.is_required]
        unknown = sorted(map(str, set(given) - set(known)))
        missing = sorted(set(required) - set(given))
        if unknown or missing:
            raise value_error(
                "values",
                f"must have the fields {list(known)}, of which {required} are required; unknown: "
                f"{unknown}, missing: {missing}",
                f" of kind {own!r}",
            )
        arguments = {known[k].name: known[k].domain.from_json(value) for k, value in given.items()}
        left_out = {f.name: f.implicit for f in known.values() if f.implicit is not MISSING}
        return cls(**{**left_out, **arguments})

    def canonical_json(self) -> str:
        """Return the identity of the description: :meth:`to_dict` as sorted ASCII JSON, no spaces.

        It determines the key of a network's random numbers. So under one seed equal networks have
        equal draws, and different networks have independent draws. Fields at their default are left
        out; `init` is left out if and only if it is "glorot_normal" (in an `RNN` "orthogonal"), and
        the `forget_bias` of an `LSTM` if and only if it is 1.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(depth=10, width=8).canonical_json()
        '{"depth":10,"kind":"MLP","width":8}'
        """
        return compact_json(self.to_dict())

    def _text(self, name: str) -> str:
        """Return a field that is not None as a word of the command line."""
        return self._fields[name].domain.text(getattr(self, name))

    def _set(self, **values: Any) -> None:
        """Set fields while the description is being constructed."""
        self.__dict__.update(values)

    def _with(self, **changes: Any) -> Self:
        """Return a copy with other values of some fields."""
        return replace(self, **changes)  # type: ignore[type-var]

    def __getstate__(self) -> dict[str, Any]:
        return self._values()

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={_shown(field.domain.to_json(value), value)}"
            for field in self._fields.values()
            if (value := getattr(self, field.name)) != field.implicit or field.shown
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(json_value: Any, value: Any) -> str:
    if isinstance(value, tuple) and len(value) > SHOWN_WIDTHS:
        return f"[{value[0]}, {value[1]}, ..., {value[-1]}] ({len(value)} widths)"
    return repr(json_value if isinstance(json_value, str) else value)


class Network(Displayed, WithJax, Description):
    """Interface of all kinds of networks; the defaults are those of a plain chain of layers.

    A kind of network declares its fields, the first of which is the number of places, and overrides
    what differs. The rest of the package uses only this interface.
    """

    place: ClassVar[str] = "layer"  # the name of a place
    flag: ClassVar[str | None] = ""  # the option of the command line for this kind; None: none
    flag_value: ClassVar[str] = ""  # the value of that option, if it is for several kinds
    flag_help: ClassVar[str] = ""
    shares_weights: ClassVar[bool] = False  # one set of weights for all places
    takes_zeros: ClassVar[bool] = False  # whether `inputs` may be "zeros"
    own_engine: ClassVar[str] = ""  # of a network that is not described layer by layer

    activation: Any = None
    init: Any = None
    width: Any
    gain: Any = 1.0
    bias_std: Any = 0.0
    norm: Any = None
    norm_eps: Any = 0.0
    residual: Any = None
    highway: Any = None
    clip: Any = None
    input_std: Any = 0.0
    leak: Any = 1.0
    tokens: Any = 1  # columns per sequence

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__()
        if not abstract:
            Description.networks[cls.__name__] = cls

    @classmethod
    def _length(cls) -> str:
        """Return the name of the field that holds the number of places."""
        return next(iter(cls._fields))

    @property
    def depth(self) -> int:
        """The number D of layers or steps."""
        return int(getattr(self, self._length()))

    def field(self, name: str) -> Field[Any, Any] | None:
        """Return the field of that name, or None; "depth" is the first field of every network."""
        return self._fields.get(self._length() if name == "depth" else name)

    def with_depth(self, depth: int) -> Self:
        """Return the network with another depth or number of steps."""
        return self._with(**{self._length(): depth})

    @property
    def widths(self) -> tuple[int, ...]:
        """The depth + 1 widths n_0 … n_D."""
        if isinstance(self.width, tuple):
            return self.width
        return (self.width,) * (self.listed_depth() + 1)

    def width_at(self, place: int) -> int:
        """Return n_place, the number of units of layer `place`; -1 is the last."""
        return int(self.width[place] if isinstance(self.width, tuple) else self.width)

    @property
    def width_array(self) -> NDArray[np.int64]:
        """The depth + 1 widths as an array."""
        return np.full(self.listed_depth() + 1, self.width, dtype=np.int64)

    def listed_depth(self) -> int:
        """Return the depth; MemoryError if lists over all layers would not fit into memory.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.MLP(10, 8).listed_depth()
        10
        """
        require_memory(
            LISTED_BYTES * self.depth, f"a list of {self.depth} {self.place}s", "lower the depth"
        )
        return self.depth

    @property
    def program(self) -> Program:
        """The operations of all places."""
        raise NotImplementedError

    @property
    def resting(self) -> NDArray[np.bool_]:
        """Whether G_l = 0 makes all G below it 0, for each place l; (depth + 1,)."""
        return self.program.resting

    def section(self, first: int, last: int) -> Network:
        """Return layers `first` + 1 … `last` as a network; ValueError if they form none."""
        raise NotImplementedError

    @property
    def weight_stds(self) -> NDArray[np.float64]:
        """Standard deviations s_l of the weights, gains included; (depth,), entry l - 1 for W_l."""
        raise NotImplementedError

    @property
    def bias_limits(self) -> NDArray[np.float64]:
        """Limits of ``torch_default``'s uniform biases, zeros otherwise; (depth,)."""
        raise NotImplementedError

    @property
    def is_uniform(self) -> bool:
        """Whether all layers have the same width, so that the depth can be changed."""
        return isinstance(self.width, int)

    @property
    def techniques(self) -> dict[str, Any]:
        """The techniques of the network: the optional fields that are set, by name."""
        optional = [name for name, field in self._fields.items() if field.optional]
        return {name: value for name in optional if (value := getattr(self, name)) is not None}

    @property
    def has_norm(self) -> bool:
        """Whether the network normalises units."""
        return self.norm is not None

    @property
    def mixes_examples(self) -> bool:
        """Whether the examples of a batch act on each other; the batch size is then at least 2."""
        return bool(self.norm == "batch")

    @property
    def mixes_tokens(self) -> bool:
        """Whether the columns of a sequence act on each other."""
        return False

    @property
    def matrix_free_obstacle(self) -> str | None:
        """Why the matrix-free engine cannot simulate the network; None if it can."""
        if self.shares_weights:
            return (
                "needs independent weights in every layer, and all steps of a recurrent network "
                "share theirs"
            )
        if self.init.distribution not in ("normal", "orthogonal"):
            return (
                f"needs Gaussian or orthogonal weights, and those of init {self.init.name!r} are "
                f"{self.init.distribution}"
            )
        return None

    def weight_places(self, layers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the recorded layers that have weights (l >= 1); [1] if all layers share them."""
        return np.ones(1, dtype=np.int64) if self.shares_weights else layers[layers >= 1]

    @property
    def labels(self) -> dict[str, Any]:
        """The kind, the depth and all fields as one flat dict of numbers, words and widths."""
        labels: dict[str, Any] = {"kind": type(self).__name__, "depth": self.depth}
        for field in self._fields.values():
            if field.only_with is None or getattr(self, field.only_with) is not None:
                labels |= field.labels(getattr(self, field.name))
        return labels


def checked_network(network: object, argument: str = "network") -> Network:
    """Return `network` if it is a network, or raise a TypeError.

    Examples
    --------
    >>> from vgsim._networks.description import checked_network
    >>> checked_network(1000)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TypeError: network must be a vgsim.MLP, ... or vgsim.TorchModule, got 1000
    """
    if isinstance(network, Network):
        return network
    kinds = either(f"vgsim.{name}" for name in Description.networks)
    raise type_error(argument, f"must be a {kinds}, got {brief(network)}")


def network_from_json(text: str) -> Network:
    """Build the network whose ``canonical_json()`` is `text`."""
    values = json.loads(text)
    if not isinstance(values, dict):
        raise value_error("network", f"must be a JSON object, got {brief(text)}")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in Description.networks:
        known = either(map(repr, Description.networks))
        raise value_error("kind", f"must be {known}, got {brief(kind)}", " of network")
    return Description.networks[kind].from_dict(values)  # type: ignore[no-any-return]
