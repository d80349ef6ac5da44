"""train(): train many random networks side by side, and record what happens."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import nullcontext
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, overload

from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import INDICES, checked_items, require_memory, value_error
from vgsim._domains import checked_int
from vgsim._engine.progress import Progress, Show, shown
from vgsim._engine.run import provenance
from vgsim._engine.settings import Settings
from vgsim._networks.description import Network, checked_network
from vgsim._networks.functions import require_lasting
from vgsim._networks.jax.network import double_precision
from vgsim._networks.techniques import Clip
from vgsim._results.training import Training
from vgsim._studies.training_store import TrainingStore
from vgsim._studies.training_study import TrainingStudy
from vgsim._studies.training_task import TrainingTask
from vgsim._training.data import read_data
from vgsim._training.initial import Initial, checked_initial
from vgsim._training.optimizers import checked_optimizer
from vgsim._training.settings import TrainingSettings, checked_loss
from vgsim.typing import DType, OptimizerName, TrainingLoss, TrainingRecord

if TYPE_CHECKING:
    import optax

    from vgsim._training.run import Run

__all__ = ["train"]

Data = tuple[ArrayLike, ArrayLike] | Literal["teacher"]
Index = tuple[int, int]  # the first index, and the number of samples


@overload
def train(
    network: Network,
    n_samples: int,
    *,
    data: Data,
    steps: int,
    optimizer: OptimizerName | optax.GradientTransformation,
    learning_rate: float | None = None,
    batch_size: int = 32,
    loss: TrainingLoss = "cross_entropy",
    clip: Clip | None = None,
    biases: bool = True,
    initial: Initial | None = None,
    seed: int | None = 0,
    first: int = 0,
    record: Sequence[TrainingRecord] | Set[TrainingRecord] = ("loss",),
    every: int | None = None,
    layers: Sequence[int] | None = None,
    dtype: DType | DTypeLike = "float32",
    store: str | os.PathLike[str] | None = None,
    optimizer_name: str | None = None,
    progress: Progress = False,
) -> Training: ...
@overload
def train(
    network: Iterable[Network],
    n_samples: int,
    *,
    data: Data,
    steps: int,
    optimizer: OptimizerName | optax.GradientTransformation,
    learning_rate: float | None = None,
    batch_size: int = 32,
    loss: TrainingLoss = "cross_entropy",
    clip: Clip | None = None,
    biases: bool = True,
    initial: Initial | None = None,
    seed: int | None = 0,
    first: int = 0,
    record: Sequence[TrainingRecord] | Set[TrainingRecord] = ("loss",),
    every: int | None = None,
    layers: Sequence[int] | None = None,
    dtype: DType | DTypeLike = "float32",
    store: str | os.PathLike[str] | None = None,
    optimizer_name: str | None = None,
    progress: Progress = False,
) -> TrainingStudy: ...
def train(
    network: Network | Iterable[Network],
    n_samples: int,
    *,
    data: Data,
    steps: int,
    optimizer: OptimizerName | optax.GradientTransformation,
    learning_rate: float | None = None,
    batch_size: int = 32,
    loss: TrainingLoss = "cross_entropy",
    clip: Clip | None = None,
    biases: bool = True,
    initial: Initial | None = None,
    seed: int | None = 0,
    first: int = 0,
    record: Sequence[TrainingRecord] | Set[TrainingRecord] = ("loss",),
    every: int | None = None,
    layers: Sequence[int] | None = None,
    dtype: DType | DTypeLike = "float32",
    store: str | os.PathLike[str] | None = None,
    optimizer_name: str | None = None,
    progress: Progress = False,
) -> Training | TrainingStudy:
    """Train many random networks side by side, and record what happens.

    Each sample is one network with its own initial parameters and its own minibatches. The passes
    run in JAX, with an optax optimiser, for a stack of samples at a time.

    Parameters
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential, or an iterable of them
        The description of the random networks; several, as from :func:`sweep`, make a study.
    n_samples : int
        Number of samples, at least 1; of each network.
    data : (X, y) or "teacher"
        X : array_like of N rows, (N, n_0); with tokens (N, tokens, n_0). In an `RNN`, `LSTM` or
        `GRU` a row is the initial state h_0; X of shape (N, steps, n) are sequences s_1 … s_steps
        instead, which take the place of the random drive, and h_0 = 0.

        y : with loss "cross_entropy" N integer classes from 0, with tokens also (N, tokens); with
        "mse" targets (N, n_D), with tokens (N, tokens, n_D).

        "teacher": no data. Every minibatch has new inputs, N(0, 1), and as targets the outputs
        W_2 tanh(W_1 x) of one random network with max(16, n_0) hidden units and weights
        N(0, 1/fan_in); with "cross_entropy" the class is the index of the largest output. The
        teacher is the same for all samples of a seed and these numbers of inputs and outputs.
    steps : int
        Number of updates.
    optimizer : {"sgd", "momentum", "adam"} or optax.GradientTransformation
        "sgd", "momentum" (0.9) and "adam" (optax's defaults) need `learning_rate`.
    learning_rate : float, optional
        At least 0. None with an optax transformation, which has its own.
    batch_size : int, default 32
        Rows of a minibatch: distinct rows of X at random, drawn anew in each step.
    loss : {"cross_entropy", "mse"}, default "cross_entropy"
        "cross_entropy": softmax cross-entropy (natural logarithm) with X_D as logits. An `MLP` has
        an activation after its last layer; `MLP.layers` and a `Linear` make a `Sequential` with a
        linear read-out. "mse": ½ Σ (X_D − y)² over the units. Both are means over the columns of
        the minibatch.
    clip : ClipNorm or ClipValue, optional
        Clips the gradient by all parameters together, as ``optax.clip_by_global_norm`` and
        ``optax.clip``, before the optimiser. (The field `clip` of a network clips each G_l.)
    biases : bool, default True
        True trains the biases of all matrices, except for those of the gates of highway layers and
        `Gate`, from the values drawn, or from zeros in a network that draws none. False leaves
        drawn biases as they are, and there are no others.
    initial : mapping or callable, optional
        Initial parameters by the names of `Replay.parameters`: one set for all samples, or a
        callable that returns the set of a sample index. Those that are missing are drawn. Masks
        and the drive, which `Replay.parameters` may hold, are not used: each pass draws its own.
    seed : int or None, default 0
        Any int ≥ 0. None takes a seed from the operating system.
    first : int, default 0
        Index of the first sample.
    record : collection of str, default ("loss",)
        Quantities to record, out of "loss" (always), "accuracy", "gradient", "activation",
        "weight_gradient", "update_ratio", "movement" and "parameters" (the final ones); see
        `Training`.
    every : int, optional
        Record at steps 0, every, 2 every, … and steps − 1; by default at about 100 steps.
    layers : sequence of int, optional
        The layers of "gradient" and "activation", as for :func:`simulate`.
    dtype : {"float32", "float64"}, default "float32"
        The floating-point format of the training.
    store : path, optional
        An SQLite file that keeps every finished stack. The same call continues after an
        interruption; with more samples it trains only those that are missing.
    optimizer_name : str, optional
        The name of an optax transformation, by which a store compares it: required with `store`.
    progress : bool or callable, default False
        As for :func:`simulate`.

    Returns
    -------
    Training
        Or a `TrainingStudy`, if several networks are given.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    ImportError
        If JAX or optax is not installed.
    MemoryError
        If the results, or the training of one network, would not fit in memory.

    Notes
    -----
    A sample is a function of network, settings, seed and index up to rounding, which depends on the
    stack in which it is trained, on the versions of JAX and on the platform; `Training.provenance`
    has these. Passes that record gradients divide them by powers of two from layer to layer, so
    that they do not underflow; in recurrent networks and in networks with `clip` they are those of
    the dtype, and −inf may be an underflow. Activations are always those of the dtype, and so are
    weight gradients, of which they are a factor.

    Trainings of one network and seed that differ in optimiser, learning rate or clipping begin with
    the same parameters and see the same minibatches.

    JAX compiles a training before it runs, which takes seconds; the progress bar says how long it
    took. Later trainings in the process that differ in seed, learning rate or the laws of the
    weights only, and have stacks of the same size, do not compile again.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(3, [4, 8, 8, 1])
    >>> training = vgsim.train(
    ...     net, 10, data="teacher", loss="mse", steps=50, optimizer="sgd", learning_rate=0.1
    ... )
    >>> training.loss.shape
    (10, 50)
    >>> training.probability("learned").estimate
    1.0
    """
    chosen = checked_optimizer(
        optimizer, learning_rate, clip, optimizer_name, stored=store is not None
    )
    if store is not None and seed is None:
        problem = "must be an int with a store, got None: the training could not be continued"
        raise value_error("seed", problem)
    seed = Settings.checked(seed=seed).seed
    several = not isinstance(network, Network)
    networks = _networks(network) if several else [checked_network(network)]
    n_samples = checked_int("n_samples", n_samples, 1, INDICES, "2**56")
    first = checked_int("first", first, 0, INDICES - n_samples, "2**56 - n_samples")
    given = checked_initial(initial, stored=store is not None)
    rows = read_data(data, checked_loss(loss))
    plans = [
        TrainingSettings.checked(
            one,
            data=rows,
            steps=steps,
            optimizer=chosen,
            batch_size=batch_size,
            loss=loss,
            biases=biases,
            initial=given,
            record=record,
            every=every,
            layers=layers,
            dtype=dtype,
        )
        for one in networks
    ]
    numbers = 0
    for one, plan in zip(networks, plans, strict=True):
        if store is not None:
            require_lasting("network", one)
        numbers += plan.numbers(one)
    samples = f"{n_samples * len(networks)} samples"
    require_memory(8 * n_samples * numbers, samples, "record less, or fewer steps or samples")
    running = _running()
    for one, plan in zip(networks, plans, strict=True):
        running.check_run(one, plan)
    trainings = []
    opened = nullcontext() if store is None else TrainingStore(store)
    with opened as kept, shown(progress) as show:
        for done, (one, plan) in enumerate(zip(networks, plans, strict=True)):
            part = _Part(show, n_samples, done, len(networks))
            trainings.append(_trained(one, plan, seed, (first, n_samples), kept, part))
    return TrainingStudy(trainings) if several else trainings[0]


def _running() -> ModuleType:
    """Return the module that trains, which imports JAX and optax."""
    try:
        from vgsim._training import run
    except ImportError as error:
        problem = "train needs the packages jax and optax: pip install 'vgsim[train]'"
        raise ImportError(problem) from error
    return run


def _networks(networks: Any) -> list[Network]:
    """Return the networks of a study."""
    given = checked_items("network", networks, "must be a network or an iterable of networks")
    if not given:
        raise value_error("network", "must hold at least one network, got none")
    checked = [checked_network(one) for one in given]
    for i, one in enumerate(checked):
        if one in checked[:i]:
            raise value_error("network", f"must hold each network once, got {one!r} twice")
    return checked


class _Part:
    """The progress of one network of several."""

    def __init__(self, show: Show, n_samples: int, part: int, parts: int) -> None:
        self.show, self.n_samples, self.part, self.parts = show, n_samples, part, parts

    def __call__(self, samples: float, words: str = "") -> None:
        """Show the number of samples done, fractions of one included, and words behind it."""
        total = self.n_samples * self.parts
        done = self.n_samples * self.part + samples
        text = f"{int(done):,} of {total:,} samples trained" + (f", {words}" if words else "")
        self.show(int(done), total, done / total, text)


def _trained(
    network: Network,
    settings: TrainingSettings,
    seed: int,
    samples: Index,
    store: TrainingStore | None,
    show: _Part,
) -> Training:
    """Return the training of one network, of which a store may hold parts."""
    if store is None:
        return Training._joined(list(_stacks(network, settings, seed, [samples], show)))
    task = TrainingTask(
        network, seed, settings.setting, settings.recorded, settings.layers, settings.record
    )
    store.enter(task, sum(samples))
    parts = list(_within(store.read(task), samples))
    missing = _missing(samples, [(int(part.index[0]), len(part)) for part in parts])
    for part in _stacks(network, settings, seed, missing, show):
        store.write(task, part)
        parts.append(part)
    return Training._joined(parts)


def _stacks(
    network: Network,
    settings: TrainingSettings,
    seed: int,
    ranges: Iterable[Index],
    show: _Part,
) -> Iterator[Training]:
    """Train samples, and yield each stack."""
    ranges = list(ranges)
    if not ranges:
        return
    running = _running()
    total = sum(count for _, count in ranges)
    done = show.n_samples - total
    precision = partial(double_precision, settings.dtype)  # not left on between stacks
    with precision():
        run = running.Run(network, settings, seed)
        stacks = [stack for begin, count in ranges for stack in run.stacks(begin, count)]
    show(done, "compiling")
    for first, size in stacks:
        began = time.perf_counter()
        with precision():
            baseline = run.baseline
            arrays = run.stack(first, size, _progress(show, run, done, size))
        made = {**provenance(), **running.versions()}
        yield Training(
            network,
            seed=seed,
            index=range(first, first + size),
            steps=settings.recorded,
            layers=settings.layers,
            setting=settings.setting,
            baseline=baseline,
            provenance=made,
            elapsed=time.perf_counter() - began,
            **arrays,
        )
        done += size


def _progress(show: _Part, run: Run, done: int, size: int) -> Callable[[int], object]:
    """Return the function that is called with the steps done of a stack."""
    steps = run.settings.steps

    def report(step: int) -> None:
        show(done + size * step / steps, f"compiled in {run.compilation:.1f} s")

    return report


def _missing(samples: Index, held: Iterable[Index]) -> list[Index]:
    """Return the ranges of samples that are not held."""
    begin, end = samples[0], sum(samples)
    missing = []
    for first, count in sorted(held):
        if first > begin:
            missing.append((begin, min(first, end) - begin))
        begin = max(begin, first + count)
        if begin >= end:
            break
    else:
        missing.append((begin, end - begin))
    return [(first, count) for first, count in missing if count > 0]


def _within(parts: Iterable[Training], samples: Index) -> Iterator[Training]:
    """Yield the samples of parts that lie in a range."""
    for part in parts:
        inside = (part.index >= samples[0]) & (part.index < sum(samples))
        if inside.any():
            yield part if inside.all() else part[inside]
