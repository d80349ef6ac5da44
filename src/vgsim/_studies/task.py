"""Task: everything that the counts of one network depend on, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from vgsim._checks import brief, checked_items, value_error
from vgsim._domains import Integer, check_threshold
from vgsim._engine.data import Data
from vgsim._engine.plan import relative_cost
from vgsim._engine.settings import STREAM_VERSION, Settings, checked_layers
from vgsim._networks.description import Network, checked_network, compact_json, network_from_json

__all__ = ["SETTING", "Task", "checked_thresholds", "plain_labels"]

SETTING = ("batch_size", "loss", "inputs", "engine", "dtype", "stream_version")


@dataclass(frozen=True)
class Task:
    """One network of a study, how it is sampled, and what is counted.

    Attributes
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
    seed : int
    batch_size : int
    loss : str
    inputs : str
        "normal", "zeros", or "sha256:…" of the data matrix.
    layers : tuple of int
        The tallied layers, ascending.
    thresholds : tuple of float
        The counted thresholds of vanishing and exploding, ascending.
    engine : str
        "auto" is resolved to "scalar", "matrix-free" or "dense".
    dtype : str
    stream_version : int
        Version of the random numbers.

    Raises
    ------
    TypeError, ValueError
        If :func:`simulate` refuses a field.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.task import Task
    >>> task = Task(vgsim.MLP(100, 64), layers=(100, 0), thresholds=(1e-3, 1e-6))
    >>> task.layers, task.thresholds, task.engine
    ((0, 100), (1e-06, 0.001), 'matrix-free')
    >>> task == Task.from_dict(task.to_dict())
    True
    """

    network: Network
    seed: int = 0
    batch_size: int = 1
    loss: str = "linear"
    inputs: str = "normal"
    layers: tuple[int, ...] = (0,)
    thresholds: tuple[float, ...] = (1e-6,)
    engine: str = "auto"
    dtype: str = "float32"
    stream_version: int = STREAM_VERSION

    def __post_init__(self) -> None:
        network = checked_network(self.network)
        names = "seed", "batch_size", "loss", "engine", "dtype"
        inputs = "zeros" if self.inputs == "zeros" else "normal"
        given = {name: getattr(self, name) for name in names}
        settings = Settings.checked(inputs=inputs, **given).of(network)
        version = Integer(1, 2**31 - 1).check("stream_version", self.stream_version)
        checked: dict[str, Any] = {
            **{name: getattr(settings, name) for name in names},
            "layers": tuple(sorted(checked_layers(self.layers, network.depth).tolist())),
            "thresholds": checked_thresholds(self.thresholds),
            "stream_version": version,
        }
        if self.inputs not in ("normal", "zeros") and not _is_digest(self.inputs):
            raise value_error(
                "inputs",
                f"must be 'normal', 'zeros' or 'sha256:' and 64 hex digits, got {self.inputs!r}",
                " of a task",
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        network: Network,
        settings: Settings,
        layers: Iterable[int],
        thresholds: Iterable[float],
    ) -> Task:
        """Return the task of a network that is sampled with `settings`."""
        own = settings.of(network)
        return cls(network, layers=tuple(layers), thresholds=tuple(thresholds), **own.identity)

    def settings(self, data: Data | None) -> Settings:
        """Return the settings of its samples, given the data that `inputs` identifies."""
        names = "seed", "batch_size", "loss", "engine", "dtype"
        return Settings(
            data=data, zeros=self.inputs == "zeros", **{name: getattr(self, name) for name in names}
        )

    @property
    def setting(self) -> dict[str, Any]:
        """All fields but network, seed, layers and thresholds."""
        return {name: getattr(self, name) for name in SETTING}

    @property
    def labels(self) -> dict[str, Any]:
        """Fields of the network and settings by name, as numbers, strings or a tuple of widths.

        The parameters of a field are prefixed by its name: activation__slope, residual__every.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.task import Task
        >>> net = vgsim.MLP(100, 64, residual=vgsim.Residual(every=2))
        >>> labels = Task(net).labels
        >>> labels["kind"], labels["depth"], labels["activation"], labels["residual__every"]
        ('MLP', 100, 'tanh', 2)
        """
        return self.network.labels | self.setting

    @property
    def columns(self) -> dict[str, Any]:
        """`labels` as numbers, strings and None; several widths are JSON in `widths`.

        A list of layers is JSON, too: the one in the JSON of the network.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.task import Task
        >>> columns = Task(vgsim.MLP(2, [4, 5, 6])).columns
        >>> columns["width"], columns["widths"]
        (None, '[4, 5, 6]')
        >>> Task(vgsim.Sequential(8, [vgsim.Linear(), "relu"])).columns["layers"]
        '[{"kind":"Linear"},"relu"]'
        """
        return plain_labels(self.network, self.labels)

    @cached_property
    def json(self) -> str:
        """:meth:`to_dict` as sorted ASCII JSON without spaces."""
        return compact_json(self.to_dict())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `json`, in hex; identifies the task.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.task import Task
        >>> Task(vgsim.MLP(100, 64)).digest[:16] == Task(vgsim.MLP(100, 64), seed=1).digest[:16]
        False
        """
        return hashlib.sha256(self.json.encode("ascii")).hexdigest()

    @cached_property
    def cost(self) -> float:
        """Relative cost of one sample."""
        return relative_cost(self.network, self.engine, self.settings(None).columns(self.network))

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON types.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.task import Task
        >>> values = Task(vgsim.MLP(100, 64)).to_dict()
        >>> values["network"], values["thresholds"]
        ({'kind': 'MLP', 'depth': 100, 'width': 64}, [1e-06])
        """
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "network": self.network.to_dict(),
            "layers": list(self.layers),
            "thresholds": list(self.thresholds),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Task:
        """Return the task with the fields of :meth:`to_dict`.

        Raises
        ------
        TypeError, ValueError
            If a field is missing, unknown or invalid.

        Examples
        --------
        >>> from vgsim._studies.task import Task
        >>> Task.from_dict({"network": {"kind": "MLP", "depth": 2, "width": 3}})
        Traceback (most recent call last):
        ValueError: a task has the fields network, seed, batch_size, loss, inputs, layers, \
thresholds, engine, dtype, stream_version; got network
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or set(values) != set(known):
            got = ", ".join(values) if isinstance(values, Mapping) else repr(values)
            raise ValueError(f"a task has the fields {', '.join(known)}; got {got}")
        network = network_from_json(json.dumps(values["network"]))
        return cls(**{**values, "network": network})


def plain_labels(network: Network, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return labels as numbers, strings and None: see `Task.columns`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.task import plain_labels
    >>> network = vgsim.MLP(2, [4, 5, 6])
    >>> plain_labels(network, {"width": network.width, "steps": 9})
    {'width': None, 'widths': '[4, 5, 6]', 'steps': 9}
    """
    found: dict[str, Any] = {}
    for name, value in labels.items():
        several = isinstance(value, tuple)
        found[name] = None if several else value
        if name == "width":
            found["widths"] = json.dumps(value) if several else None
    for name, field in network._fields.items():
        if isinstance(found.get(name), str):
            described = field.domain.to_json(getattr(network, name))
            if isinstance(described, list):
                found[name] = compact_json(described)
    return found


def checked_thresholds(thresholds: Iterable[float]) -> tuple[float, ...]:
    """Return thresholds as floats, ascending; raise unless they are distinct, one or more.

    Examples
    --------
    >>> from vgsim._studies.task import checked_thresholds
    >>> checked_thresholds([0.5, 1e-6])
    (1e-06, 0.5)
    >>> checked_thresholds(0.5)
    Traceback (most recent call last):
    TypeError: thresholds must be a sequence of distinct numbers, 0 < threshold <= 1, got 0.5
    """
    allowed = "must be a sequence of distinct numbers, 0 < threshold <= 1"
    given = checked_items("thresholds", thresholds, allowed)
    chosen = tuple(sorted(check_threshold(threshold, "thresholds") for threshold in given))
    if not chosen or len(set(chosen)) < len(chosen):
        raise value_error("thresholds", f"{allowed}, at least one, got {brief(list(chosen))}")
    return chosen


def _is_digest(text: object) -> bool:
    if not isinstance(text, str) or not text.startswith("sha256:"):
        return False
    digits = text.removeprefix("sha256:")
    return len(digits) == 64 and set(digits) <= set("0123456789abcdef")
