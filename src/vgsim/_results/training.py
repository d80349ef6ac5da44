"""Training: what became of random networks that were trained, by sample and step."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import real_array, type_error, value_error
from vgsim._domains import Number
from vgsim._networks.custom_table import encoded_tables
from vgsim._networks.description import (
    Network,
    checked_network,
    network_from_json,
)
from vgsim._results import npz
from vgsim._results.joined import joined_order, merged_provenance
from vgsim._results.training_arrays import (
    TRAINED,
    TRAINING_RECORDS,
    Parameters,
    Setting,
    Trained,
    check_parameters,
    check_places,
    check_trained,
    checked_setting,
)
from vgsim._results.training_events import SMOOTHING
from vgsim._results.training_html import training_html
from vgsim._results.training_labelled import IN_FILE, LabelledTraining
from vgsim._results.training_table import TrainingSummary, summarised
from vgsim.typing import Method, TrainingRecord

__all__ = ["TRAINING_KIND", "Training"]

Floats = NDArray[np.float64]
TRAINING_KIND = "vgsim.Training"  # in files
_SECONDS = Number("a number of seconds", lambda seconds: seconds >= 0)
_BASELINE = Number("a finite loss, 0 or more", lambda loss: loss >= 0)


class Training(LabelledTraining):
    """What became of n random networks of one description that were trained, at k recorded steps.

    Returned by :func:`train` and :func:`load`. Step t is the pass after t updates: the quantities
    of step 0 are those at initialisation. All are of the minibatch of that step, except `movement`,
    which includes the update of the step. G_l = ∂L/∂X_l for the mean loss L of the minibatch, where
    X_l is the output of layer l, X_0 the input. Arrays are read-only; logarithms are decimal, −inf
    for exactly 0.

    A network has diverged from the first recorded step on at which its loss or a parameter is not
    finite. From there on `loss` and all logarithms are inf, and `accuracy` is 0. No array but
    `parameters` has NaN.

    Attributes
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
    seed : int
    index : int64 array, shape (n,)
        The index of each sample under that seed, increasing.
    steps : int64 array, shape (k,)
        The recorded steps, from 0 to the last.
    layers : int64 array, shape (k',)
        The layers l at which `gradient`, `log10_ratio` and `activation` were recorded.
    weight_layers : int64 array, shape (k'',)
        All layers l >= 1 with matrices, whatever `layers` is. The matrices of a recurrent network,
        which all steps share, are at 1.
    setting : dict of str
        What a sample depends on besides network, seed and index, as JSON types: "steps" (the number
        of updates), "optimizer", "learning_rate", "batch_size", "loss" (its name), "clip",
        "biases", "initial", "data" ("sha256:…" or "teacher"), "rows", "dtype".
    optimizer, initial, data, dtype : str, learning_rate : float or None, batch_size : int
        Items of `setting`, as are the next two.
    clip : dict or None, biases : bool
    baseline : float
        The loss of the best constant prediction: the entropy of the frequencies of the classes
        (natural logarithm), or half of the summed variances of the targets.
    loss : float64 array, shape (n, k)
        Mean over the minibatch, natural logarithm.
    accuracy : float64 array, shape (n, k)
        Fraction of the minibatch that is classified correctly.
    gradient : float64 array, shape (n, k, k')
        log10 ‖G_l‖.
    output_gradient : float64 array, shape (n, k)
        log10 ‖G_D‖; recorded with `gradient`.
    log10_ratio : float64 array, shape (n, k, k')
        R_l = gradient − output_gradient; −inf where G_D is 0, and inf where diverged.
    activation : float64 array, shape (n, k, k')
        log10 of the root mean square of the entries of X_l.
    weight_gradient : float64 array, shape (n, k, k'')
        log10 ‖∂L/∂W_l‖_F. If a layer has several matrices, here and below each norm is the root of
        the sum of their squares.
    update_ratio : float64 array, shape (n, k, k'')
        log10 of ‖ΔW_l‖_F / ‖W_l‖_F, where ΔW_l is the step that the optimiser took, with learning
        rate, momentum, weight decay and clipping.
    movement : float64 array, shape (n, k, k'')
        log10 of ‖W_l − W_l(0)‖_F / ‖W_l(0)‖_F, after the update of the step.
    parameters : dict of str to array, shapes (n, …)
        The final parameters, by the names of `Replay.parameters`; not finite where diverged.
    record : tuple of str
        The recorded quantities. Attributes of those that were not recorded raise AttributeError.
    provenance : dict of str, elapsed : float
        Versions and platform; wall time in seconds.

    Notes
    -----
    ``a + b`` joins two trainings of the same network, seed and setting into one, sorted by index.
    No index may occur in both; otherwise a ValueError names the difference. ``sum(parts)`` joins
    several.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(3, [4, 8, 8, 1])
    >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
    >>> training = vgsim.train(net, 10, steps=50, **how)
    >>> training.loss.shape, training.steps[:3]
    ((10, 50), array([0, 1, 2]))
    >>> more = vgsim.train(net, 10, steps=50, first=10, **how)
    >>> len(training + more), len(more[:3])
    (20, 3)
    """

    loss: Trained[Floats] = Trained("Mean loss over the minibatch, (n, k).")
    accuracy: Trained[Floats] = Trained("Fraction classified correctly, (n, k).")
    gradient: Trained[Floats] = Trained("log10 ‖G_l‖, (n, k, k').")
    output_gradient: Trained[Floats] = Trained("log10 ‖G_D‖, (n, k).")
    activation: Trained[Floats] = Trained("log10 of the RMS of X_l, (n, k, k').")
    weight_gradient: Trained[Floats] = Trained("log10 ‖∂L/∂W_l‖_F, (n, k, k'').")
    update_ratio: Trained[Floats] = Trained("log10 of ‖ΔW_l‖_F / ‖W_l‖_F, (n, k, k'').")
    movement: Trained[Floats] = Trained("log10 of ‖W_l − W_l(0)‖_F / ‖W_l(0)‖_F, (n, k, k'').")
    optimizer: Setting[str] = Setting("Name of the optimiser.")
    learning_rate: Setting[float | None] = Setting("Learning rate, None if the optimiser has it.")
    batch_size: Setting[int] = Setting("Rows of a minibatch.")
    clip: Setting[dict[str, Any] | None] = Setting("Gradient clipping, as of `to_dict`.")
    biases: Setting[bool] = Setting("Whether biases are trained.")
    initial: Setting[str] = Setting("Where the initial parameters come from.")
    data: Setting[str] = Setting('"sha256:…" of the data, or "teacher".')
    dtype: Setting[str] = Setting("Precision of the training.")

    def __init__(
        self,
        network: Network,
        *,
        seed: int,
        index: ArrayLike,
        steps: ArrayLike,
        layers: ArrayLike,
        setting: Mapping[str, Any],
        baseline: float,
        provenance: Mapping[str, str],
        elapsed: float,
        parameters: Mapping[str, ArrayLike] | None = None,
        **arrays: ArrayLike | None,
    ) -> None:
        self.network = checked_network(network)
        if network.own_engine:
            raise type_error("network", f"must be a network that train can build, got {network!r}")
        self.seed = operator.index(seed)
        self.setting: dict[str, Any] = checked_setting(setting)
        self.baseline: float = _BASELINE.check("baseline", baseline)
        self.provenance: dict[str, str] = dict(provenance)
        self.elapsed: float = _SECONDS.check("elapsed", elapsed)
        self.index: NDArray[np.int64] = _integers("index", index)
        self.steps: NDArray[np.int64] = _integers("steps", steps)
        self.layers: NDArray[np.int64] = _integers("layers", layers)
        check_places(network, self.index, self.steps, self.layers, self.setting["steps"])
        every = np.arange(1, network.listed_depth() + 1)
        self.weight_layers: NDArray[np.int64] = _read_only(network.weight_places(every))
        if unknown := arrays.keys() - TRAINED.keys():
            raise TypeError(f"unknown arrays: {', '.join(sorted(unknown))}")
        self._arrays = {
            name: _read_only(real_array(name, arrays[name], "must be an array of real numbers"))
            for name in TRAINED
            if arrays.get(name) is not None
        }
        check_trained(self._arrays, self._sizes())
        self._parameters: Parameters | None = None
        if parameters is not None:
            found = {name: _read_only(np.asarray(array)) for name, array in parameters.items()}
            check_parameters(network, found, len(self), self.setting["biases"])
            self._parameters = found

    def _sizes(self) -> dict[str, int]:
        """Return the sizes of the dimensions by name."""
        return {
            "sample": self.index.size,
            "step": self.steps.size,
            "layer": self.layers.size,
            "weight_layer": self.weight_layers.size,
        }

    @property
    def log10_ratio(self) -> Floats:
        """R_l = log10(‖G_l‖ / ‖G_D‖), shape (n, k, k'); inf where diverged, never NaN."""
        gradient, output = self.gradient, self.output_gradient[:, :, np.newaxis]
        with np.errstate(invalid="ignore"):
            ratio = gradient - output
        ratio = np.where(gradient == -math.inf, -math.inf, ratio)
        return np.where(gradient == math.inf, math.inf, ratio)

    @property
    def parameters(self) -> Parameters:
        """The final parameters by name, each of shape (n, …)."""
        if self._parameters is None:
            recorded = ", ".join(map(repr, self.record))
            remedy = f"needs 'parameters' in train's record, which had {recorded}"
            raise AttributeError(f"parameters was not recorded: it {remedy}")
        return dict(self._parameters)

    @property
    def record(self) -> tuple[TrainingRecord, ...]:
        """The recorded quantities."""
        found = {TRAINED[name].record for name in self._arrays}
        if self._parameters is not None:
            found.add("parameters")
        return tuple(record for record in TRAINING_RECORDS if record in found)

    def __len__(self) -> int:
        return int(self.index.size)

    def __getitem__(self, chosen: slice | NDArray[Any] | Sequence[int]) -> Training:
        """Return the samples of a slice, of increasing positions or of a boolean array.

        Raises
        ------
        TypeError, IndexError, ValueError
            If `chosen` is no such thing, or chooses no sample, or not in the order of the index.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> training[training.loss[:, -1] < 1.0].loss.shape
        (10, 50)
        """
        if isinstance(chosen, (int, np.integer)):
            problem = "must be a slice, positions or a boolean array, got an int"
            raise type_error("index", problem)
        members = {
            name: array if name in ("steps", "layers") else array[chosen]
            for name, array in self._members().items()
        }
        return self._restored(self._header(), members)

    def __repr__(self) -> str:
        return (
            f"<Training: {len(self)} of {self.network!r}, {self._how}, seed {self.seed}, "
            f"{self.steps.size} recorded steps, recorded {', '.join(self.record)}>"
        )

    def _repr_html_(self) -> str:
        return training_html(self)

    @property
    def _how(self) -> str:
        """Number of steps, optimiser, learning rate and minibatches, for titles."""
        rate = self.learning_rate
        speed = "" if rate is None else f", learning rate {rate:g}"
        return (
            f"{self.setting['steps']} steps of {self.optimizer}{speed}, "
            f"batches of {self.batch_size}"
        )

    def summary(
        self,
        *,
        steps: int | Sequence[int] | None = None,
        level: float | None = None,
        smoothing: int = SMOOTHING,
        confidence_level: float = 0.95,
        method: Method = "wilson",
    ) -> TrainingSummary:
        """Summarise the training by step: probabilities with intervals, quantiles of the loss.

        Parameters
        ----------
        steps : int or sequence of int, optional
            Recorded steps, by default up to nine, evenly spread.
        level, smoothing, confidence_level, method
            As for :meth:`probability`.

        Returns
        -------
        TrainingSummary
            A dict of columns, which prints as a table and makes a ``pandas.DataFrame``.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or out of range.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> summary = training.summary(steps=(0, 49))
        >>> summary["step"], summary["diverged"]
        (array([ 0, 49]), array([0., 0.]))
        """
        of = f"{len(self):,} networks {self.network!r}, {self._how}, seed {self.seed}"
        return summarised(self, of, steps, level, smoothing, confidence_level, method)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all results to an .npz file, which :func:`load` and ``numpy.load`` read.

        Writing is atomic, and replaces an existing file. The file has no pickle. Its last 64 bytes
        are the SHA-256 of all other bytes, which :func:`load` checks.

        Raises
        ------
        TypeError, ValueError, OSError
            If `path` is not a str or path-like, is a folder, or cannot be written.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "training.npz")
        ...     training.save(path)
        ...     bool((vgsim.load(path, "training").loss == training.loss).all())
        True
        """
        npz.write(path, TRAINING_KIND, self._header(), self._members())

    def _members(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by their names in files."""
        parameters = self._parameters or {}
        return {
            "index": self.index,
            "steps": self.steps,
            "layers": self.layers,
            **self._arrays,
            **{f"{IN_FILE}{name}": array for name, array in parameters.items()},
        }

    def _header(self) -> dict[str, Any]:
        """Return the header of a file, as JSON types."""
        names = ("seed", "setting", "baseline", "provenance", "elapsed")
        network = self.network.canonical_json()
        header = {name: getattr(self, name) for name in names}
        return header | {"network": network} | encoded_tables(network)

    @classmethod
    def _restored(cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Training:
        """Return the training whose `_header` and `_members` these are."""
        own: dict[str, Any] = {}
        parameters: Parameters = {}
        for name, array in arrays.items():
            if name.startswith(IN_FILE):
                parameters[name.removeprefix(IN_FILE)] = array
                continue
            dtype = np.float64 if name in TRAINED else np.int64
            if name not in (*TRAINED, "index", "steps", "layers") or array.dtype != dtype:
                raise value_error(repr(name), f"is unknown, or of another type: {array.dtype}")
            own[name] = array
        names = ("seed", "setting", "baseline", "provenance", "elapsed")
        own |= {name: header[name] for name in names}
        return cls(network_from_json(header["network"]), parameters=parameters or None, **own)

    def __add__(self, other: Training) -> Training:
        if not isinstance(other, Training):
            return NotImplemented
        return self._joined([self, other])

    @classmethod
    def _joined(cls, parts: Sequence[Training]) -> Training:
        """Return one or more parts of a training as one, sorted by index, in one pass."""
        if len(parts) == 1:
            return parts[0]
        identities, indices = [one._identity() for one in parts], [one.index for one in parts]
        order = joined_order("trainings", identities, indices)
        every = [one._members() for one in parts]
        merged = {
            name: array
            if name in ("steps", "layers")
            else np.concatenate([members[name] for members in every])[order]
            for name, array in every[0].items()
        }
        made: dict[str, str] = reduce(merged_provenance, [one.provenance for one in parts])
        header = parts[0]._header() | {
            "provenance": made,
            "elapsed": sum(one.elapsed for one in parts),
        }
        return cls._restored(header, merged)

    def _identity(self) -> dict[str, object]:
        """Return what must be equal in two trainings that are joined."""
        return {
            "network": self.network,
            "seed": self.seed,
            **{f"setting[{name!r}]": value for name, value in sorted(self.setting.items())},
            "baseline": self.baseline,
            "steps": self.steps.tolist(),
            "layers": self.layers.tolist(),
            "record": self.record,
        }

    def __radd__(self, other: object) -> Training:
        """Let ``sum(parts)`` begin at 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Return an array of ints, read-only."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise type_error(name, f"must be an array of ints, got {array.dtype}")
    return _read_only(array.astype(np.int64))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view
