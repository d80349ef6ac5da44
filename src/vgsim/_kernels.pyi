from typing import Any

import numpy as np
from numpy.typing import NDArray

COMPILER: str
ENGINES: dict[str, int]
LAWS: dict[str, int]
NORMS: dict[str | None, int]
CLIPS: dict[str | None, int]
LOSSES: dict[str, int]
KINDS: dict[str, int]
FLAGS: dict[str, int]
OPERATION: np.dtype[np.void]
ACTIVATIONS: tuple[str, ...]
EVERY_ACTIVATION: tuple[str, ...]

def compiled_isas() -> tuple[str, ...]: ...
def available_isas() -> tuple[str, ...]: ...
def set_isa(name: str | None) -> None: ...
def selected_isa() -> str: ...
def check_isa(argument: str, name: str) -> None: ...
def openmp_limits() -> tuple[int, int]: ...
def startable(count: int, stack_bytes: int) -> int: ...
def lanes(dtype: str) -> int: ...
def words(
    key: NDArray[np.uint32],
    stream: int,
    layer: int,
    index: int,
    count: int,
    block: int = 0,
    dtype: str = "float32",
) -> NDArray[np.uint32]: ...
def draws(
    key: NDArray[np.uint32], stream: int, layer: int, index: int, law: str, count: int, dtype: str
) -> NDArray[np.float64]: ...
def gamma_draws(
    key: NDArray[np.uint32],
    stream: int,
    layer: int,
    first: int,
    trials: int,
    degrees: NDArray[np.float64],
    dtype: str,
) -> NDArray[np.float64]: ...
def activation(
    name: str,
    parameters: tuple[float, float],
    h: float,
    exponent: int,
    dtype: str,
    table: NDArray[np.floating[Any]] | None = ...,
) -> NDArray[np.float64]: ...
def generate(
    key: NDArray[np.uint32], groups: int, layers: int, units: int, n_threads: int, dtype: str
) -> float: ...

class Run:
    def __init__(self, dtype: str, key: NDArray[np.uint32], **fields: Any) -> None: ...
    @property
    def scratch_bytes(self) -> int: ...
    def body_bytes(self, body: int) -> int: ...
    @property
    def done(self) -> int: ...
    def cancel(self) -> None: ...
    def simulate(self, n_threads: int, chunk: int) -> None: ...
