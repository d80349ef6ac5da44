"""torch_samples(): samples of any PyTorch module, in this process or in those of an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Executor, as_completed
from functools import reduce
from itertools import pairwise
from operator import add
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import INDICES, plain, real_array, type_error, value_error
from vgsim._domains import checked_int
from vgsim._engine.progress import Progress, shown
from vgsim._engine.run import run
from vgsim._engine.settings import Settings, checked_layers, checked_record, default_layers
from vgsim._networks.undescribed import TorchModule
from vgsim._results.samples import Samples
from vgsim._studies.workers import checked_executor

if TYPE_CHECKING:
    import torch
from vgsim.typing import DType, Loss, Record

__all__ = ["torch_samples"]

PARTS = 64  # of a run in an executor


def torch_samples(
    make_module: Callable[..., torch.nn.Module] | str,
    n_samples: int,
    *,
    inputs: Literal["normal"] | ArrayLike | Callable[[int], torch.Tensor] = "normal",
    input_shape: int | Sequence[int] | None = None,
    places: Sequence[str] | None = None,
    arguments: Mapping[str, Any] | None = None,
    seed: int | None = 0,
    first: int = 0,
    batch_size: int = 1,
    loss: Loss = "linear",
    layers: Iterable[int] | None = None,
    record: Sequence[Record] | Set[Record] = ("gradient",),
    dtype: DType | DTypeLike = "float32",
    executor: Executor | None = None,
    progress: Progress = False,
) -> Samples:
    """Return samples of any PyTorch module by autograd: a new module for every sample.

    It is slow, but has no restrictions: convolutions, weights shared between layers, and
    initialisations of one's own. The same as :func:`simulate` of a :class:`TorchModule`, which
    :func:`collect` takes too.

    Parameters
    ----------
    make_module : callable or str
        A function that returns a new module, or its name "package.module:function".
    n_samples : int
        Number of samples, at least 1.
    inputs : "normal", array_like of shape (N, …) or callable
        Law of X_0: i.i.d. N(0, 1), of shape `input_shape`; random rows of an array or tensor, drawn
        without replacement within a batch; or the tensor that a function returns, which is called
        with the batch size.
    input_shape : int or sequence of int, optional
        The shape of one input, without the batch. Required unless `inputs` is an array.
    places : sequence of str, optional
        The names of the submodules whose outputs are X_1 … X_D, in the order of the forward pass.
        By default the children of the module.
    arguments : mapping, optional
        Keyword arguments of `make_module`.
    seed, first, batch_size, loss
        As for :func:`simulate`. L acts on the output of the module, the first one if it returns
        several.
    layers : iterable of int, optional
        Places to record, as for :func:`simulate`.
    record : collection of str, default ("gradient",)
        As for :func:`simulate`, without "saturation" and "clipped". The matrices of a place are the
        parameters of two dimensions or more inside its submodule that require a gradient, which
        frozen ones do not; the quantities of weights are -inf where there are none.
    dtype : {"float32", "float64"}
        To which the module is converted, after it was made with PyTorch's default dtype.
    executor : concurrent.futures.Executor, optional
        For example ``ProcessPoolExecutor``; it must be able to import `make_module` by its name.
        Threads of one process take turns, since they share PyTorch's random numbers.
    progress : bool or callable, default False
        As for :func:`simulate`.

    Returns
    -------
    Samples
        Its network is the :class:`TorchModule`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, a place is not called exactly once in a
        forward pass, or a value is NaN or infinite.
    ImportError
        If PyTorch is not installed.

    Notes
    -----
    Before each sample ``torch.manual_seed`` is called with a number that depends on seed, network
    and index only, and PyTorch's random numbers are restored afterwards. So a sample is the same in
    every run and process, with one version of PyTorch on one kind of processor, if `make_module`
    takes its random numbers from PyTorch. PyTorch computes on one thread: use processes.

    A gradient below the range of the dtype is 0, and counts as dead, unlike in :func:`simulate`:
    take float64 where gradients of float32 underflow.

    Examples
    --------
    >>> import vgsim
    >>> from torch import nn
    >>> def convolutions(layers=10):
    ...     pairs = [(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()) for _ in range(layers)]
    ...     return nn.Sequential(*(module for pair in pairs for module in pair))
    >>> s = vgsim.torch_samples(convolutions, 20, input_shape=(8, 16, 16))
    >>> s.probability("vanishing", threshold=1e-2).estimate
    1.0
    """
    chosen: dict[str, Any] = {"draw": inputs} if callable(inputs) else {}
    data: Any = "normal"
    if not callable(inputs) and not isinstance(plain(inputs), str):
        data, own = _flat(inputs)
        if input_shape is None:
            input_shape = own
    elif not callable(inputs):
        data = inputs
    if input_shape is None:
        raise type_error("input_shape", "must be given unless inputs are an array")
    network = TorchModule(
        make_module,
        input_shape,
        arguments={} if arguments is None else arguments,
        places=places,
        **chosen,
    )
    settings = Settings.checked(
        seed=seed, batch_size=batch_size, inputs=data, loss=loss, dtype=dtype
    ).of(network)
    n_samples = checked_int("n_samples", n_samples, 1, INDICES, "2**56")
    first = checked_int("first", first, 0, INDICES - n_samples, "2**56 - n_samples")
    depth = network.depth
    columns = default_layers(depth) if layers is None else checked_layers(layers, depth)
    common = columns, checked_record(record, network, settings), 1
    pool = checked_executor(executor)
    with shown(progress) as show:

        def report(done: int) -> None:
            show(done, n_samples, done / n_samples)

        if pool is None:
            return run(network, settings, first, n_samples, *common, report)
        cuts = np.linspace(first, first + n_samples, PARTS + 1).astype(np.int64)
        parts = [
            pool.submit(run, network, settings, start, end - start, *common)
            for start, end in pairwise(np.unique(cuts).tolist())
        ]
        done = 0
        for part in as_completed(parts):
            done += len(part.result())
            report(done)
        return reduce(add, (part.result() for part in parts))


def _flat(inputs: Any) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Return the rows of an array or tensor, (N, entries), and the shape of one."""
    array = real_array("inputs", inputs, "must be 'normal', an array of real numbers or a function")
    if array.ndim < 2:
        problem = f"must have shape (N, ...), with one row for each example, got {array.shape}"
        raise value_error("inputs", problem)
    return array.reshape(len(array), -1), array.shape[1:]
