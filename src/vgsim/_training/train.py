"""train(): train many random networks side by side, and record what happens."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import INDICES, brief, require_memory, type_error, value_error
from vgsim._domains import checked_int
from vgsim._engine.progress import Progress, Show, shown
from vgsim._engine.run import provenance
from vgsim._engine.settings import checked_seed
from vgsim._networks.description import Network, checked_network
from vgsim._networks.parameter_shapes import drawn_shapes
from vgsim._networks.techniques import Clip
from vgsim._results.training import Training
from vgsim._training.optimizers import checked_optimizer
from vgsim._training.settings import TrainingSettings
from vgsim.typing import DType

if TYPE_CHECKING:
    import optax

__all__ = ["train"]
