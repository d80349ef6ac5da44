"""The settings of a training, checked once and passed as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from vgsim._checks import (
    COUNTERS,
    checked_dtype,
    checked_items,
    listed,
    plain,
    require_memory,
    value_error,
)
from vgsim._domains import Choice, Integer, checked_bool, checked_int
from vgsim._engine.settings import checked_layers, default_layers
from vgsim._networks.description import Network
from vgsim._networks.parameter_shapes import parameter_program, parameter_shapes
from vgsim._results.training_arrays import TRAINING_RECORDS
from vgsim._training.data import TrainingData, require_range
from vgsim._training.initial import Given
from vgsim._training.optimizers import Optimizer
from vgsim.typing import DType, TrainingLoss

__all__ = ["TrainingSettings", "checked_loss"]

LOSSES: tuple[TrainingLoss, ...] = get_args(TrainingLoss)
MOST_RECORDED = 100  # about, by default
MOST_STEPS = 2**31 - 1
STEP_BYTES = 150  # of a recorded step in tuples and JSON, about


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingSettings:
    """All that a training depends on, but for the network, its initial parameters and the seed.

    Attributes
    ----------
    data : TrainingData
    steps : int
        Number of updates.
    optimizer : Optimizer
    batch_size : int
    loss : str
    biases : bool
    initial : Given
    record : tuple of str
    recorded : tuple of int
        The recorded steps.
    layers : tuple of int
    dtype : str
    """

    data: TrainingData
    steps: int
    optimizer: Optimizer
    batch_size: int
    loss: str
    biases: bool
    initial: Given
    record: tuple[str, ...]
    recorded: tuple[int, ...]
    layers: tuple[int, ...]
    dtype: DType

    @classmethod
    def checked(
        cls,
        network: Network,
        *,
        data: TrainingData,
        steps: object,
        optimizer: Optimizer,
        batch_size: object,
        loss: object,
        biases: object,
        initial: Given,
        record: object,
        every: object,
        layers: Sequence[int] | None,
        dtype: object,
    ) -> TrainingSettings:
        """Check the arguments of :func:`vgsim.train` for a network."""
        if network.own_engine:
            problem = "must be described layer by layer"
            raise value_error("network", f"{problem}, got {network!r}")
        name = checked_loss(loss)
        if name == "cross_entropy" and (outputs := network.width_at(-1)) < 2:
            problem = f"'cross_entropy' needs 2 outputs (classes) or more, got width {outputs}"
            raise value_error("loss", problem)
        checked = data.fitted(network, name)
        format_ = checked_dtype("dtype", dtype, get_args(DType))
        for argument, array in (("data[0]", checked.inputs), ("data[1]", checked.targets)):
            if array is not None:
                require_range(argument, array, format_)
        require_range("learning_rate", np.array(optimizer.learning_rate or 0.0), format_)
        count = Integer(1, COUNTERS - 1).check("batch_size", batch_size)
        if checked.rows is not None and count > checked.rows:
            raise value_error(
                "batch_size",
                f"must be at most the {checked.rows} rows of data, got {count}: the rows of a "
                "minibatch are distinct",
            )
        if network.mixes_examples and count * network.tokens == 1:
            problem = "must be at least 2 with norm 'batch', got 1"
            raise value_error("batch_size", problem)
        total = checked_int("steps", steps, 1, MOST_STEPS, "2**31 - 1")
        columns = default_layers(network.depth)
        if layers is not None:
            columns = checked_layers(layers, network.depth)
        return cls(
            data=checked,
            steps=total,
            optimizer=optimizer,
            batch_size=count,
            loss=name,
            biases=checked_bool("biases", biases),
            initial=initial,
            record=_checked_record(record, name),
            recorded=_recorded(total, every),
            layers=tuple(columns.tolist()),
            dtype=format_,
        )

    @property
    def setting(self) -> dict[str, Any]:
        """All that a sample depends on besides network, seed and index, as JSON types."""
        clip = self.optimizer.clip
        return {
            "steps": self.steps,
            "optimizer": self.optimizer.name,
            "learning_rate": self.optimizer.learning_rate,
            "batch_size": self.batch_size,
            "loss": self.loss,
            "clip": None if clip is None else clip.to_dict(),
            "biases": self.biases,
            "initial": self.initial.identity,
            "data": self.data.identity,
            "rows": self.data.rows,
            "dtype": self.dtype,
        }

    def numbers(self, network: Network) -> int:
        """Return how many numbers are recorded of a sample."""
        places = network.weight_places(np.arange(1, network.depth + 1)).size
        of_layers = len(self.layers) * len({"gradient", "activation"} & set(self.record))
        of_places = places * len({"weight_gradient", "update_ratio", "movement"} & set(self.record))
        numbers = len(self.recorded) * (3 + of_layers + of_places)
        if "parameters" in self.record:
            shapes = parameter_shapes(parameter_program(network, biases=self.biases))
            numbers += sum(math.prod(shape) for shape in shapes.values())
        return numbers


def checked_loss(loss: object) -> TrainingLoss:
    """Return the name of a loss; an error if it is unknown."""
    return Choice(LOSSES).check("loss", loss)


def _checked_record(record: object, loss: str) -> tuple[str, ...]:
    """Return the quantities to record, in a fixed order; the loss is always among them."""
    given = {
        plain(name) for name in checked_items("record", record, "must be a collection of names")
    }
    unknown = sorted(map(str, given - set(TRAINING_RECORDS)))
    if unknown or isinstance(plain(record), str):
        known = listed(TRAINING_RECORDS)
        raise value_error("record", f"must be a collection of {known}, got {unknown or record}")
    if "accuracy" in given and loss != "cross_entropy":
        raise value_error("record", f"'accuracy' needs loss 'cross_entropy', got loss {loss!r}")
    return tuple(name for name in TRAINING_RECORDS if name in given | {"loss"})


def _recorded(steps: int, every: object) -> tuple[int, ...]:
    """Return 0, every, 2 every, …, and steps − 1."""
    stride = max(1, round(steps / MOST_RECORDED))
    if every is not None:
        stride = checked_int("every", every, 1, MOST_STEPS, "2**31 - 1")
    recorded = range(0, steps, stride)
    bytes_ = STEP_BYTES * len(recorded)
    require_memory(bytes_, f"{len(recorded):,} recorded steps", "choose a larger `every`")
    return (*recorded, *({steps - 1} - {recorded[-1]}))
