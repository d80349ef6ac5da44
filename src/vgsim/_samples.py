"""Samples: the raw results of one run, labelled by sample and layer."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim import _stats
from vgsim._distribution import Distribution
from vgsim._events import THRESHOLD, happened
from vgsim._network import Network, weight_layers
from vgsim._quantities import QUANTITIES, RECORDS, Floats, Recorded, check_arrays
from vgsim._stats import Probability

if TYPE_CHECKING:
    import pandas
    import xarray

    from vgsim._fits import Law
    from vgsim._profile import LayerProfile
    from vgsim._summary import Summary

IDENTITY = ("network", "seed", "engine", "dtype", "batch_size", "loss", "inputs")


class Samples(Distribution):
    """The raw results of one run: n random networks, seen at k layers.

    :func:`simulate` and :func:`load` make them. G_l is the gradient of the loss by the output X_l
    of layer l (X_0: the input), in an `RNN` by the state after step l; norms and means are over all
    units and all examples of a batch. Arrays are read-only; logarithms are decimal.

    Attributes
    ----------
    network : MLP or RNN
    seed : int
    index : int64 array, shape (n,)
        The number of each sample under that seed, increasing.
    layers : int64 array, shape (k,)
        The recorded layers l, in the order asked for.
    weight_layers : int64 array, shape (k',)
        Those with l >= 1, which have weights W_l. In an `RNN` always [1]: all steps share one W.
    saturation_layers : int64 array, shape (k'',)
        Those with l >= 1, which have units; the same as weight_layers but in an `RNN`.
    gradient : float64 array, shape (n, k)
        log10 ‖G_l‖; −inf in a dead network.
    output_gradient : float64 array, shape (n,)
        log10 ‖G_D‖.
    log10_ratio : float64 array, shape (n, k)
        R_l = gradient − output_gradient.
    rms_min, rms_max : float array, shape (n, k)
        log10 of the smallest and the largest RMS of an entry of G_l … G_D.
    activation : float64 array, shape (n, k)
        log10 of the RMS of X_l.
    saturation : float64 array, shape (n, k'')
        Fraction of the units of layer l, in all examples, where ``|φ'| < 0.05 max |φ'|``.
    weight_gradient, update_ratio : float64 array, shape (n, k')
        log10 ‖∂L/∂W_l‖_F, and log10 of ‖∂L/∂W_l‖_F / ‖W_l‖_F.
    clipped : float64 array, shape (n, k)
        Fraction of the entries of G_l that gradient clipping cut: with `ClipNorm` 0 or 1. Always 0
        at the last layer, whose G_D is given. Only in a network with `clip`.
    dead : bool array, shape (n,)
        Whether G_0 is exactly zero, because every path is closed.
    n_dead : int
        How many samples are dead.
    record : tuple of str
        Which of the quantities "gradient" (with rms_min and rms_max), "activation", "saturation",
        "weight_gradient", "update_ratio" and "clipped" were recorded. The others raise
        AttributeError.
    engine, dtype, loss, inputs : str
        `inputs` is "normal", or "sha256:…" of the data matrix.
    batch_size : int
    provenance : dict of str
        Versions, instruction set, compiler.
    elapsed : float
        Seconds of computation.

    Notes
    -----
    ``a + b`` joins two runs of the same network and seed into one, sorted by index. Everything
    that changes a sample must agree, the recorded layers and quantities too, and no index may be
    in both: the ValueError says what is in the way. ``sum(parts)`` joins several.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=20, width=16, activation="relu", init="he_normal")
    >>> a = vgsim.simulate(net, 300, layers=(0, 10, 20))
    >>> b = vgsim.simulate(net, 200, layers=(0, 10, 20), first=300)
    >>> len(a + b), sum([a, b]).gradient.shape
    (500, (500, 3))
    """

    output_gradient = Recorded[Floats]("log10 ‖G_D‖, shape (n,).")
    dead = Recorded[NDArray[np.bool_]]("Whether G_0 is exactly zero, shape (n,).")
    gradient = Recorded[Floats]("log10 ‖G_l‖, shape (n, k).")
    rms_min = Recorded[NDArray[Any]]("log10 of the least RMS of G_l … G_D, shape (n, k).")
    rms_max = Recorded[NDArray[Any]]("log10 of the largest RMS of G_l … G_D, shape (n, k).")
    activation = Recorded[Floats]("log10 of the RMS of X_l, shape (n, k).")
    saturation = Recorded[Floats]("Fraction of saturated units, shape (n, k'').")
    weight_gradient = Recorded[Floats]("log10 ‖∂L/∂W_l‖_F, shape (n, k').")
    update_ratio = Recorded[Floats]("log10 of ‖∂L/∂W_l‖_F / ‖W_l‖_F, shape (n, k').")
    clipped = Recorded[Floats]("Fraction of clipped entries of G_l, shape (n, k).")

    def __init__(
        self,
        network: Network,
        *,
        seed: int,
        index: ArrayLike,
        layers: ArrayLike,
        engine: str,
        dtype: str,
        batch_size: int,
        loss: str,
        inputs: str,
        provenance: Mapping[str, str],
        elapsed: float,
        **arrays: ArrayLike | None,
    ) -> None:
        self.network = network
        self.seed = seed
        self.engine = engine
        self.dtype = dtype
        self.batch_size = batch_size
        self.loss = loss
        self.inputs = inputs
        self.provenance = dict(provenance)
        self.elapsed = float(elapsed)
        self.index = _read_only(index, np.int64)
        self.layers = _read_only(layers, np.int64)
        self.weight_layers = _read_only(weight_layers(network, self.layers), np.int64)
        self.saturation_layers = _read_only(self.layers[self.layers >= 1], np.int64)
        if unknown := arrays.keys() - QUANTITIES.keys():
            raise TypeError(f"unknown arrays: {', '.join(sorted(unknown))}")
        self._arrays = {
            name: _read_only(values, QUANTITIES[name].dtype)
            for name, values in arrays.items()
            if values is not None
        }
        check_arrays(self.index, self.layers, self.weight_layers.size, self._arrays)

    @property
    def log10_ratio(self) -> Floats:
        """R_l = log10(‖G_l‖ / ‖G_D‖), shape (n, k)."""
        ratio: Floats = self.gradient - self.output_gradient[:, np.newaxis]
        return ratio

    @property
    def n_dead(self) -> int:
        """How many samples are dead."""
        return int(np.count_nonzero(self.dead))

    @property
    def record(self) -> tuple[str, ...]:
        """The recorded quantities."""
        return tuple(record for record in RECORDS if record in self._arrays)

    def __len__(self) -> int:
        return int(self.index.size)

    def __repr__(self) -> str:
        k = self.layers.size
        layers = f"layer {self.layers[0]}" if k == 1 else f"{k} layers"
        if k > 1:
            layers += f" from {self.layers.min()} to {self.layers.max()}"
        return (
            f"<Samples: {len(self)} of {self.network!r}{self._batch}, seed {self.seed}, {layers}, "
            f"recorded {', '.join(self.record) or 'nothing'}>"
        )

    @property
    def _batch(self) -> str:
        """Batch size and loss, in words, where they are not the usual ones."""
        size = f", batches of {self.batch_size}" if self.batch_size > 1 else ""
        return size + (f", loss {self.loss!r}" if self.loss != "linear" else "")

    def column(self, layer: int) -> int:
        """Return which column of the (n, k) arrays holds a layer.

        Raises
        ------
        TypeError, ValueError
            If `layer` is not an int, or not one of those recorded.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.simulate(vgsim.MLP(depth=10, width=4), 3, layers=(10, 5)).column(5)
        1
        """
        message = f"layer must be one of those recorded, {self.layers.tolist()}, got {layer!r}"
        if isinstance(layer, (bool, np.bool_)) or not hasattr(layer, "__index__"):
            raise TypeError(message)
        found = np.flatnonzero(self.layers == operator.index(layer))
        if not found.size:
            only = f"; pass layer={self.layers[0]}" if self.layers.size == 1 else ""
            raise ValueError(message + only)
        return int(found[0])

    def _ratio(self, layer: int) -> Floats:
        """R_l of one layer, shape (n,)."""
        ratio: Floats = self.gradient[:, self.column(layer)] - self.output_gradient
        return ratio

    def _law(self, layer: int) -> Law | None:
        """Return the exact law of ln(‖G_l‖²/‖G_D‖²), if the theory has it."""
        from vgsim._fits import law_above

        return law_above(self, layer)

    def probability(
        self,
        event: str,
        layer: int = 0,
        threshold: float = THRESHOLD,
        dtype: DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: str = "wilson",
    ) -> Probability:
        """Estimate the probability of an event over random networks.

        Parameters
        ----------
        event : str
            "vanishing": ‖G_l‖/‖G_D‖ < threshold. "exploding": ‖G_l‖/‖G_D‖ > 1/threshold.
            "healthy": neither. "dead": G_l = 0 exactly; it counts as vanishing too.
            "underflow", "overflow": stored in `dtype`, the gradient would be lost somewhere between
            the last layer and layer l, because the RMS of an entry falls below half the smallest
            subnormal number, or exceeds the largest finite one.
        layer : int, default 0
            The layer l, one of those recorded: layer 0, the input, only if it was.
        threshold : float, default 1e-6
            For vanishing, exploding and healthy; 0 < threshold <= 1.
        dtype : {"float16", "bfloat16", "float32"} or the NumPy dtype
            For underflow and overflow, which need it.
        confidence_level : float, default 0.95
        method : {"wilson", "exact", "anytime"}, default "wilson"
            The interval: Wilson's, the exact one of Clopper and Pearson, or the wider one that
            stays valid if the number of samples was chosen by looking at them.

        Returns
        -------
        Probability
            ``.estimate``, ``.low``, ``.high``, ``.events``, ``.n``.

        Raises
        ------
        TypeError, ValueError
            If an argument is none of the above, or does not belong to the event.
        AttributeError
            If the run did not record "gradient".

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(depth=50, width=32, activation="sigmoid")
        >>> s = vgsim.simulate(net, 1000)
        >>> print(s.probability("vanishing"))
        1 (95 % interval 0.996 to 1, 1000 of 1000)
        >>> s.probability("underflow", dtype="float16").estimate
        1.0
        """
        _stats.check_interval(confidence_level, method)
        events = int(np.count_nonzero(happened(self, event, layer, threshold, dtype)))
        return _stats.binomial(events, len(self), confidence_level, method)

    def summary(
        self,
        threshold: float = THRESHOLD,
        confidence_level: float = 0.95,
        method: str = "wilson",
    ) -> Summary:
        """Summarise every recorded layer: probabilities with intervals, moments and quantiles.

        Parameters
        ----------
        threshold, confidence_level, method
            As for :meth:`probability`.

        Returns
        -------
        Summary
            A dict of columns, which prints as a table and makes a ``pandas.DataFrame``.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(depth=50, width=32, activation="sigmoid")
        >>> summary = vgsim.simulate(net, 1000, layers=(0, 50)).summary()
        >>> summary["layer"], summary["vanishing"]
        (array([ 0, 50]), array([1., 0.]))
        """
        from vgsim._summary import summarise

        return summarise(self, threshold, confidence_level, method)

    def profile(self) -> LayerProfile:
        """Return the ratio against layer: its mean, variance and depth scale along the network.

        Raises
        ------
        ValueError
            If fewer than two layers were recorded.
        AttributeError
            If the run did not record "gradient".

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(depth=50, width=32, activation="sigmoid")
        >>> scale = vgsim.simulate(net, 1000).profile().depth_scale()
        >>> round(scale.slope.estimate, 1)  # of ln ‖G‖² a layer
        -2.9
        """
        from vgsim._profile import profile

        return profile(self)

    def to_xarray(self) -> xarray.Dataset:
        """Return everything as an ``xarray.Dataset``.

        Its dimensions are sample (labelled by index), layer, and weight_layer and saturation_layer,
        the recorded layers with weights and with units; each variable has its long_name and units,
        and the dataset has the parameters and the provenance as attrs.

        Raises
        ------
        ImportError
            If xarray is not installed.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100, layers=(0, 10))
        >>> float(s.to_xarray().log10_ratio.sel(layer=10).max())
        0.0
        """
        from vgsim._labels import to_xarray

        return to_xarray(self)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return everything as a tidy ``pandas.DataFrame``: one row a sample and layer.

        What belongs to the sample is repeated in each of its rows, as is what belongs to the one
        weight matrix of an `RNN`; what belongs to the units or weights of a layer is missing
        (pandas' NaN) at layer 0.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100, layers=(0, 10))
        >>> s.to_dataframe().index.names
        FrozenList(['sample', 'layer'])
        """
        from vgsim._labels import to_dataframe

        return to_dataframe(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to an .npz file, which :func:`load` and ``numpy.load`` read.

        Written beside `path` and renamed, so that the file is whole or not there. No pickle. A file
        that was there before is replaced.

        Parameters
        ----------
        path : str or path-like
            Taken as it is: no ending is added.

        Raises
        ------
        TypeError, ValueError
            If `path` is no path, or names a folder.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "tanh.npz")
        ...     s.save(path)
        ...     bool((vgsim.load(path).gradient == s.gradient).all())
        True
        """
        from vgsim._files import save

        save(self, path)

    def __add__(self, other: Samples) -> Samples:
        if not isinstance(other, Samples):
            return NotImplemented
        from vgsim._join import join

        return join(self, other)

    def __radd__(self, other: object) -> Samples:
        """Let ``sum(parts)`` begin at 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented


def _read_only(values: ArrayLike, dtype: Any) -> NDArray[Any]:
    array = np.asarray(values, dtype=dtype).view()
    array.flags.writeable = False
    return array
