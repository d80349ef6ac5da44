"""Samples in the labelled containers of others: xarray and pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vgsim._lyapunov import Lyapunov
from vgsim._network import RNN
from vgsim._quantities import QUANTITIES
from vgsim._samples import Samples

if TYPE_CHECKING:
    import pandas
    import xarray


def to_xarray(samples: Samples) -> xarray.Dataset:
    """Return `samples` as an ``xarray.Dataset``: see :meth:`Samples.to_xarray`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._labels import to_xarray
    >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100, layers=(0, 10))
    >>> dict(to_xarray(s).sizes)
    {'sample': 100, 'layer': 2, 'weight_layer': 1, 'saturation_layer': 1}
    """
    xarray = _xarray()
    variables = {
        name: (dims, array, {"long_name": meaning, "units": units})
        for name, (dims, array, meaning, units) in _quantities(samples).items()
    }
    coordinates = {
        "sample": ("sample", samples.index, {"long_name": "number of the sample under its seed"}),
        "layer": ("layer", samples.layers, {"long_name": "layer l, 0 is the input"}),
        "weight_layer": ("weight_layer", samples.weight_layers, {"long_name": "layer l of W_l"}),
        "saturation_layer": (
            "saturation_layer",
            samples.saturation_layers,
            {"long_name": "layer l with units, 1 or more"},
        ),
    }
    return xarray.Dataset(variables, coordinates, attributes(samples))


def lyapunov_dataset(found: Lyapunov) -> xarray.Dataset:
    """Return stretching as an ``xarray.Dataset``: see :meth:`Lyapunov.to_xarray`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._labels import lyapunov_dataset
    >>> lyapunov_dataset(vgsim.lyapunov(vgsim.MLP(10, 8), 5)).stretching.units
    'log10'
    """
    xarray = _xarray()
    meaning = {"long_name": "log10 of R_ii in J_l V = Q R", "units": "log10"}
    coordinates = {
        "sample": ("sample", found.index, {"long_name": "number of the sample under its seed"}),
        "layer": ("layer", found.layers, {"long_name": "layer l, 0 is the input"}),
        "direction": ("direction", np.arange(1, found.stretching.shape[2] + 1)),
    }
    variables = {"stretching": (("sample", "layer", "direction"), found.stretching, meaning)}
    return xarray.Dataset(variables, coordinates, attributes(found))


def _xarray() -> Any:
    try:
        import xarray
    except ImportError as error:
        raise ImportError("to_xarray needs the package xarray: pip install xarray") from error
    return xarray


def to_dataframe(samples: Samples) -> pandas.DataFrame:
    """Return `samples` as a tidy ``pandas.DataFrame``: see :meth:`Samples.to_dataframe`.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._labels import to_dataframe
    >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 100, layers=(0, 10))
    >>> to_dataframe(s).shape
    (200, 6)
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_dataframe needs the package pandas: pip install pandas") from error
    shape = len(samples), samples.layers.size
    index = pandas.MultiIndex.from_product(
        [samples.index, samples.layers], names=["sample", "layer"]
    )
    columns = {}
    for name, (dims, array, _, _) in _quantities(samples).items():
        shared = isinstance(samples.network, RNN) and dims == ("sample", "weight_layer")
        if dims == ("sample",) or shared:
            array = np.broadcast_to(array.reshape(-1, 1), shape)
        elif dims != ("sample", "layer"):
            wide = np.full(shape, np.nan)
            wide[:, samples.layers >= 1] = array
            array = wide
        columns[name] = array.ravel()
    frame = pandas.DataFrame(columns, index)
    frame.attrs = attributes(samples)
    return frame


def attributes(samples: Samples | Lyapunov) -> dict[str, Any]:
    """Return what made them, flat and as strings and numbers, as netCDF wants attributes.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._labels import attributes
    >>> attributes(vgsim.simulate(vgsim.MLP(depth=10, width=32), 100))["network"]
    '{"depth":10,"kind":"MLP","width":32}'
    """
    made_by = {f"provenance_{name}": value for name, value in samples.provenance.items()}
    return {
        "network": samples.network.canonical_json(),
        "seed": str(samples.seed),
        "engine": samples.engine,
        "dtype": samples.dtype,
        "batch_size": samples.batch_size,
        **({"loss": samples.loss} if isinstance(samples, Samples) else {}),
        "inputs": samples.inputs,
        "elapsed_seconds": samples.elapsed,
        **made_by,
    }


def _quantities(samples: Samples) -> dict[str, tuple[tuple[str, ...], Any, str, str]]:
    found = {
        name: (quantity.dims, getattr(samples, name), quantity.meaning, quantity.units)
        for name, quantity in QUANTITIES.items()
        if hasattr(samples, name)
    }
    if "gradient" in found:
        found["log10_ratio"] = (
            ("sample", "layer"),
            samples.log10_ratio,
            "log10 of the norm of G_l over that of G_D",
            "log10",
        )
    return found
