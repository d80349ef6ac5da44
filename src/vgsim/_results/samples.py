"""Samples: the results of one run by sample and layer."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import COUNTERS, INDICES, THRESHOLD, type_error, value_error
from vgsim._domains import checked_int
from vgsim._networks.custom_table import encoded_tables
from vgsim._networks.description import Network
from vgsim._networks.undescribed import Measured
from vgsim._results import curves, html, labelled, npz, summary
from vgsim._results.joined import joined_order, merged_provenance
from vgsim._results.norms import Measurements, fields_of_norms
from vgsim._results.quantities import QUANTITIES, RECORDS, Recorded, check_arrays
from vgsim._results.sample_plots import PlottedDistribution
from vgsim.typing import Event, Method

if TYPE_CHECKING:
    import pandas
    import xarray
    from typing_extensions import Unpack

__all__ = ["IDENTITY", "KIND", "QUANTITIES", "RECORDS", "Samples"]

Floats = NDArray[np.float64]
KIND = "vgsim.Samples"  # in files
IDENTITY = ("network", "seed", "engine", "dtype", "batch_size", "loss", "inputs")


class Samples(PlottedDistribution):
    """The results of one run: n random networks, recorded at k layers.

    Returned by :func:`simulate` and :func:`load`. G_l = ∂L/∂X_l, where X_l is the output of layer l
    (in a recurrent network h after step l, in a `Sequential` the output of the l-th element), X_0
    the input. Norms and means run over all units and all columns of a batch: its examples, or the
    tokens of its sequences. Arrays are read-only; logarithms are decimal.

    Attributes
    ----------
    network : MLP, RNN, LSTM, GRU or Sequential
    seed : int
    index : int64 array, shape (n,)
        The index of each sample under that seed, increasing.
    layers : int64 array, shape (k,)
        The recorded layers l, in the order of the argument `layers`.
    weight_layers : int64 array, shape (k',)
        The recorded layers l >= 1 that have matrices: all of them, but in a `Sequential` those
        whose element has one or more. Of a recurrent network [1]: all steps share one W.
    saturation_layers : int64 array, shape (k'',)
        The recorded layers l >= 1.
    gradient : float64 array, shape (n, k)
        log10 ‖G_l‖; −inf in a dead network.
    output_gradient : float64 array, shape (n,)
        log10 ‖G_D‖.
    log10_ratio : float64 array, shape (n, k)
        R_l = gradient − output_gradient.
    rms_min, rms_max : float array, shape (n, k)
        log10 of the smallest and of the largest root mean square of the entries of G_l … G_D.
    activation : float64 array, shape (n, k)
        log10 of the root mean square of the entries of X_l.
    saturation : float64 array, shape (n, k'')
        Fraction of the units of layer l, over all columns, with ``|φ'| < 0.05 max |φ'|``. In a
        `Sequential` over all activations of the element; 0 if it has none.
    weight_gradient, update_ratio : float64 array, shape (n, k')
        log10 ‖∂L/∂W_l‖_F, and log10 of ‖∂L/∂W_l‖_F / ‖W_l‖_F. If a layer has several matrices,
        each norm is the root of the sum of their squares.
    clipped : float64 array, shape (n, k)
        Fraction of the entries of G_l that were clipped; 0 or 1 with `ClipNorm`. Always 0 at the
        last layer, as G_D is not clipped. Only in a network with `clip`.
    activation_correlation, gradient_correlation : float64 array, shape (n, k)
        Mean cosine over the pairs of columns of X_l, and of G_l as propagated (after clipping).
        Pairs with a zero column are left out; 0 where no pair is left. Only for two or more
        columns: a batch of examples, or a network with tokens.
    dead : bool array, shape (n,)
        Whether G_0 is exactly 0, because every path from the output to the input is closed.
    n_dead : int
        Number of dead samples.
    record : tuple of str
        The recorded quantities, out of "gradient" (with rms_min and rms_max), "activation",
        "saturation", "weight_gradient", "update_ratio", "clipped", "activation_correlation" and
        "gradient_correlation". Attributes of quantities that were not recorded raise
        AttributeError.
    engine, dtype, loss, inputs : str, batch_size : int
        `inputs` is "normal", or "sha256:…" of the data. `batch_size` counts examples, or sequences.
    provenance : dict of str, elapsed : float
        Versions, instruction set and compiler; wall time of the computation in seconds.

    Notes
    -----
    ``a + b`` joins two runs of the same network and seed into one, sorted by index. All settings
    that change a sample must agree, as must the recorded layers and quantities, and no index may
    occur in both; otherwise a ValueError names the difference. ``sum(parts)`` joins several runs.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(depth=20, width=16, activation="relu", init="he_normal")
    >>> a = vgsim.simulate(net, 300, layers=(0, 10, 20))
    >>> b = vgsim.simulate(net, 200, layers=(0, 10, 20), first=300)
    >>> len(a + b), sum([a, b]).gradient.shape
    (500, (500, 3))
    """

    output_gradient: Recorded[Floats] = Recorded("log10 ‖G_D‖, (n,).")
    dead: Recorded[NDArray[np.bool_]] = Recorded("Whether G_0 is exactly 0, (n,).")
    gradient: Recorded[Floats] = Recorded("log10 ‖G_l‖, (n, k).")
    rms_min: Recorded[NDArray[Any]] = Recorded("log10 of the smallest RMS of G_l … G_D, (n, k).")
    rms_max: Recorded[NDArray[Any]] = Recorded("log10 of the largest RMS of G_l … G_D, (n, k).")
    activation: Recorded[Floats] = Recorded("log10 of the RMS of X_l, (n, k).")
    saturation: Recorded[Floats] = Recorded("Fraction of saturated units, (n, k'').")
    weight_gradient: Recorded[Floats] = Recorded("log10 ‖∂L/∂W_l‖_F, (n, k').")
    update_ratio: Recorded[Floats] = Recorded("log10 of ‖∂L/∂W_l‖_F / ‖W_l‖_F, (n, k').")
    clipped: Recorded[Floats] = Recorded("Fraction of clipped entries of G_l, (n, k).")
    activation_correlation: Recorded[Floats] = Recorded("Cosine of columns of X_l, (n, k).")
    gradient_correlation: Recorded[Floats] = Recorded("Cosine of columns of G_l, (n, k).")

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
        self.provenance: dict[str, str] = dict(provenance)
        self.elapsed: float = float(elapsed)
        self.index: NDArray[np.int64] = _read_only(index, np.int64)
        self.layers: NDArray[np.int64] = _read_only(layers, np.int64)
        weight_layers = network.weight_places(self.layers)
        saturation_layers = self.layers[self.layers >= 1]
        self.weight_layers: NDArray[np.int64] = _read_only(weight_layers, np.int64)
        self.saturation_layers: NDArray[np.int64] = _read_only(saturation_layers, np.int64)
        if unknown := arrays.keys() - QUANTITIES.keys():
            raise TypeError(f"unknown arrays: {', '.join(sorted(unknown))}")
        self._arrays = {
            name: _read_only(values, QUANTITIES[name].dtype)
            for name, values in arrays.items()
            if values is not None
        }
        check_arrays(network, self.index, self.layers, self._arrays)

    @classmethod
    def from_norms(
        cls,
        gradient: ArrayLike,
        output_gradient: ArrayLike,
        *,
        layers: Sequence[int] | None = None,
        depth: int | None = None,
        label: str = "",
        entries: int | Sequence[int] | None = None,
        first: int = 0,
        batch_size: int = 1,
        **quantities: Unpack[Measurements],
    ) -> Samples:
        """Return samples of norms that were measured elsewhere, for all statistics and tables.

        Parameters
        ----------
        gradient : array_like, (n, k)
            ‖G_l‖ of n networks at k layers: norms, not their logarithms. 0 at layer 0 marks a dead
            network.
        output_gradient : array_like, (n,)
            ‖G_D‖, above 0.
        layers : sequence of int, optional
            The layers l of the columns, by default 0 … k − 1.
        depth : int, optional
            D, by default the largest of `layers`, whose column must then equal `output_gradient`.
        label : str, optional
            A name for tables.
        entries : int or sequence of int, optional
            The number of entries of G_l, which the events underflow and overflow need.
        first : int, default 0
            The index of the first sample, so that parts can be joined.
        batch_size : int, default 1
            Columns of each batch.
        **quantities
            Other quantities by their names in `record`. ``activation`` (root mean square of X_l),
            ``activation_correlation``, ``gradient_correlation`` and ``clipped``: (n, k).
            ``weight_gradient`` (norms), ``update_ratio`` (ratios) and ``saturation``: (n, k'), for
            the layers l ≥ 1.

        Returns
        -------
        Samples
            Its network is a :class:`Measured`, for which there is no theory; `inputs` and `loss`
            have their default values and say nothing.

        Raises
        ------
        TypeError, ValueError
            If an array has the wrong shape or impossible values, or a name is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> import vgsim
        >>> norms = 10.0 ** np.array([[-7.0, -3.0, 0.0], [-5.0, -2.0, 0.0]])
        >>> s = vgsim.Samples.from_norms(norms, norms[:, -1], label="mine")
        >>> s.log10_ratio[:, 0], s.probability("vanishing").estimate
        (array([-7., -5.]), 0.5)
        """
        unknown = [name for name in quantities if name not in RECORDS or name == "gradient"]
        if unknown:
            known = ", ".join(name for name in RECORDS if name != "gradient")
            raise type_error(unknown[0], f"is not a quantity; those are {known}")
        network, fields = fields_of_norms(
            gradient, output_gradient, layers, depth, entries, label, quantities
        )
        n = len(fields["dead"])
        first = checked_int("first", first, 0, INDICES - n, "2**56 - n")
        columns = checked_int("batch_size", batch_size, 1, COUNTERS - 1)
        return cls(network, index=np.arange(first, first + n), batch_size=columns, **fields)

    @property
    def log10_ratio(self) -> Floats:
        """R_l = log10(‖G_l‖ / ‖G_D‖), shape (n, k)."""
        return self.gradient - self.output_gradient[:, np.newaxis]

    @property
    def n_dead(self) -> int:
        """The number of dead samples."""
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

    def _repr_html_(self) -> str:
        return html.samples_html(self)

    def _ratio(self, layer: int) -> Floats:
        """R_l of one layer, shape (n,)."""
        return self.gradient[:, self.column(layer)] - self.output_gradient

    def _quantity(self, event: Event, name: str, layer: int) -> Floats:
        """Return the quantity that defines an event at one layer, shape (n,)."""
        if event == "dead" and layer == 0:
            return np.where(self.dead, -np.inf, 0.0)  # layer 0 need not be recorded
        if name == "ratio":
            return self._ratio(layer)
        if isinstance(self.network, Measured) and not self.network.sized:
            problem = f"{event!r} needs the number of entries of G_l: give from_norms `entries`"
            raise value_error("event", problem)
        return cast(Floats, getattr(self, name)[:, self.column(layer)])

    def summary(
        self,
        threshold: float = THRESHOLD,
        confidence_level: float = 0.95,
        method: Method = "wilson",
    ) -> summary.Summary:
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
        return summary.summarise(self, threshold, confidence_level, method)

    def profile(self) -> curves.LayerProfile:
        """Return the law of R_l against the layer l: mean, variance, depth scale.

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
        >>> round(scale.slope.estimate, 1)  # of ln ‖G‖² per layer
        -2.9
        """
        _ = self.gradient  # AttributeError if it was not recorded
        return curves.LayerProfile(self)

    def to_xarray(self) -> xarray.Dataset:
        """Return all recorded quantities as an ``xarray.Dataset``.

        Its dimensions are sample (with the index as coordinate), layer, weight_layer and
        saturation_layer. Each variable has a long_name and units; parameters and provenance are the
        attributes of the dataset.

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
        coordinates = {
            "sample": self.index,
            "layer": self.layers,
            "weight_layer": self.weight_layers,
            "saturation_layer": self.saturation_layers,
        }
        return labelled.dataset(self._variables(), coordinates, self._attributes())

    def to_dataframe(self) -> pandas.DataFrame:
        """Return all recorded quantities as a tidy ``pandas.DataFrame``: one row per sample, layer.

        Values per sample, and those of the matrices of a recurrent network, are repeated in all
        rows of the sample. Values of units or weights are missing (NaN) at layer 0, and those of
        weights at layers without matrices.

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
        places = {"saturation_layer": self.saturation_layers}
        if not self.network.shares_weights:
            places["weight_layer"] = self.weight_layers
        return labelled.frame(
            self._variables(), self.index, self.layers, places, self._attributes()
        )

    def _variables(self) -> dict[str, tuple[tuple[str, ...], Any, str, str]]:
        """All recorded quantities and R_l: dimensions, array, meaning, units."""
        found = {
            name: (QUANTITIES[name].dims, array, QUANTITIES[name].meaning, QUANTITIES[name].units)
            for name, array in self._arrays.items()
        }
        found = {name: found[name] for name in QUANTITIES if name in found}
        if "gradient" in found:
            meaning = "log10 of the norm of G_l over that of G_D"
            found["log10_ratio"] = QUANTITIES["gradient"].dims, self.log10_ratio, meaning, "log10"
        return found

    def _attributes(self) -> dict[str, Any]:
        return labelled.attributes(self, IDENTITY[1:])

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
        >>> import pathlib, tempfile
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "tanh.npz")
        ...     s.save(path)
        ...     bool((vgsim.load(path).gradient == s.gradient).all())
        True
        """
        arrays = {"index": self.index, "layers": self.layers, **self._arrays}
        npz.write(path, KIND, self._header(), arrays)

    def _header(self) -> dict[str, Any]:
        """Return the header of a file, as JSON types."""
        header = {name: getattr(self, name) for name in (*IDENTITY, "provenance", "elapsed")}
        network, seed = self.network.canonical_json(), operator.index(self.seed)
        return header | {"network": network, "seed": seed} | encoded_tables(network)

    def __add__(self, other: Samples) -> Samples:
        if not isinstance(other, Samples):
            return NotImplemented
        index = self.index, other.index
        order = joined_order("samples", (self._identity(), other._identity()), index)
        arrays: dict[str, Any] = {
            name: np.concatenate([array, other._arrays[name]])[order]
            for name, array in self._arrays.items()
        }
        return Samples(
            **{name: getattr(self, name) for name in IDENTITY},
            index=np.concatenate(index)[order],
            layers=self.layers,
            provenance=merged_provenance(self.provenance, other.provenance),
            elapsed=self.elapsed + other.elapsed,
            **arrays,
        )

    def _identity(self) -> dict[str, object]:
        """Return the settings that must be equal in two runs that are joined."""
        return {
            **{name: getattr(self, name) for name in IDENTITY},
            "layers": self.layers.tolist(),
            "record": self.record,
            "stream version": self.provenance.get("stream_version"),
        }

    def __radd__(self, other: object) -> Samples:
        """Let ``sum(parts)`` begin at 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented


def _read_only(values: ArrayLike, dtype: Any) -> NDArray[Any]:
    array = np.asarray(values, dtype=dtype).view()
    array.flags.writeable = False
    return array
