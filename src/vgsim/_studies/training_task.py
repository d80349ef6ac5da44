"""TrainingTask: everything that the trainings of one network depend on, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from vgsim._checks import brief, checked_items, listed, value_error
from vgsim._domains import checked_int
from vgsim._engine.settings import checked_seed
from vgsim._networks.description import Network, checked_network, compact_json, network_from_json
from vgsim._results.training import Training
from vgsim._results.training_arrays import SETTING_DOMAINS, TRAINING_RECORDS, checked_setting
from vgsim._studies.task import plain_labels

__all__ = ["TrainingTask"]


@dataclass(frozen=True)
class TrainingTask:
    """One network, how it is trained, and what is recorded.

    Attributes
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
    seed : int
    setting : dict of str
        As of :class:`vgsim.Training`: steps, optimizer, learning_rate, batch_size, …
    steps : tuple of int
        The recorded steps, ascending.
    layers : tuple of int
        The recorded layers.
    record : tuple of str
        The recorded quantities, in the order of `TRAINING_RECORDS`.

    Raises
    ------
    TypeError, ValueError
        If :class:`vgsim.Training` cannot have such a field.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.training_task import TrainingTask
    >>> setting = {
    ...     "steps": 20, "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 32,
    ...     "loss": "mse", "clip": None, "biases": True, "initial": "drawn", "data": "teacher",
    ...     "rows": None, "dtype": "float32",
    ... }
    >>> task = TrainingTask(vgsim.MLP(3, 8), 0, setting, (0, 10, 19), (0,), ("loss",))
    >>> task.labels["depth"], task.labels["optimizer"], task.labels["steps"]
    (3, 'adam', 20)
    >>> task == TrainingTask.from_dict(task.to_dict())
    True
    """

    network: Network
    seed: int
    setting: dict[str, Any]
    steps: tuple[int, ...]
    layers: tuple[int, ...]
    record: tuple[str, ...]

    def __post_init__(self) -> None:
        names = set(checked_items("record", self.record, "must be a sequence of names"))
        if unknown := sorted(map(str, names - set(TRAINING_RECORDS))):
            raise value_error("record", f"must be of {listed(TRAINING_RECORDS)}, got {unknown}")
        setting = checked_setting(self.setting)
        checked = {
            "network": checked_network(self.network),
            "seed": checked_seed(self.seed),
            "setting": {name: setting[name] for name in SETTING_DOMAINS} | setting,
            "steps": _integers("steps", self.steps),
            "layers": _integers("layers", self.layers),
            "record": tuple(name for name in TRAINING_RECORDS if name in names | {"loss"}),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, training: Training) -> TrainingTask:
        """Return the task of a training."""
        steps, layers = training.steps.tolist(), training.layers.tolist()
        setting, record = training.setting, training.record
        return cls(training.network, training.seed, setting, tuple(steps), tuple(layers), record)

    @property
    def labels(self) -> dict[str, Any]:
        """Fields of the network and items of the setting by name, and the seed.

        `steps` is the number of updates; a recurrent network has its own number of steps as
        `depth`. Other fields of a network that have the name of a setting begin with ``network__``:
        `clip` is what clips the gradient of all weights, ``network__clip`` what clips G_l.

        Examples
        --------
        >>> import vgsim
        >>> from vgsim._studies.training_task import TrainingTask
        >>> setting = {
        ...     "steps": 20, "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 32,
        ...     "loss": "mse", "clip": {"kind": "ClipNorm", "max_norm": 2.0}, "biases": True,
        ...     "initial": "drawn", "data": "teacher", "rows": None, "dtype": "float32",
        ... }
        >>> net = vgsim.RNN(3, 8, clip=vgsim.ClipValue(1.0))
        >>> labels = TrainingTask(net, 0, setting, (0, 19), (0,), ()).labels
        >>> labels["depth"], labels["steps"], labels["clip"], labels["clip__max_norm"]
        (3, 20, 'ClipNorm', 2.0)
        >>> labels["network__clip"]
        'ClipValue'
        """
        own: dict[str, Any] = {}
        for name, value in self.setting.items():
            parts = dict(value) if isinstance(value, Mapping) else {"kind": value}
            own[name] = parts.pop("kind", None)
            own |= {f"{name}__{key}": part for key, part in parts.items()}
        labels = {name: value for name, value in self.network.labels.items() if name != "steps"}
        taken = {name for name in labels if name.partition("__")[0] in own}
        renamed = {f"network__{name}" if name in taken else name: x for name, x in labels.items()}
        return {**renamed, **own, "seed": self.seed}

    @property
    def columns(self) -> dict[str, Any]:
        """`labels` as numbers, strings and None: see `Task.columns`."""
        return plain_labels(self.network, self.labels)

    @cached_property
    def json(self) -> str:
        """:meth:`to_dict` as sorted ASCII JSON without spaces."""
        return compact_json(self.to_dict())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `json`, in hex; identifies the task."""
        return hashlib.sha256(self.json.encode("ascii")).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON types."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "network": self.network.to_dict(),
            **{name: list(getattr(self, name)) for name in ("steps", "layers", "record")},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingTask:
        """Return the task with the fields of :meth:`to_dict`.

        Raises
        ------
        TypeError, ValueError
            If a field is missing, unknown or invalid.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or set(values) != set(known):
            got = ", ".join(values) if isinstance(values, Mapping) else brief(values)
            raise ValueError(f"a training has the fields {', '.join(known)}; got {got}")
        return cls(**{**values, "network": network_from_json(json.dumps(values["network"]))})


def _integers(name: str, values: Iterable[int]) -> tuple[int, ...]:
    """Return a sequence of ints >= 0 as a tuple."""
    given = checked_items(name, values, "must be a sequence of ints >= 0")
    return tuple(checked_int(name, value, 0, 2**62, "2**62") for value in given)
