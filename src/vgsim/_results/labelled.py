"""Results as xarray datasets and pandas data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["attributes", "dataset", "frame", "frame_by_step", "imported"]

Variables = Mapping[str, tuple[tuple[str, ...], Any, str, str]]  # dimensions, array, meaning, units
COORDINATES = {
    "sample": "index of the sample under its seed",
    "step": "step t of the training, the pass after t updates",
    "layer": "layer l, 0 is the input",
    "weight_layer": "layer l with matrices",
    "saturation_layer": "layer l, 1 or more",
    "direction": "number of the direction; direction 1 is stretched most",
}


def imported(module: str, what: str) -> Any:
    """Import an optional module that is needed for `what`.

    Raises
    ------
    ImportError
        If it is not installed; the message names the package to install.

    Examples
    --------
    >>> from vgsim._results.labelled import imported
    >>> imported("json", "text").__name__
    'json'
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{what} needs the package {package}: pip install {package}") from error


def dataset(
    variables: Variables, coordinates: Mapping[str, Any], attributes: Mapping[str, Any]
) -> xarray.Dataset:
    """Return arrays as an ``xarray.Dataset``.

    Parameters
    ----------
    variables : mapping of str to (dimensions, array, meaning, units)
    coordinates : mapping of str to array
        Values along dimensions named in `COORDINATES`.
    attributes : mapping of str to str or number

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.labelled import dataset
    >>> found = dataset({"x": (("layer",), np.zeros(2), "nothing", "1")}, {"layer": [0, 5]}, {})
    >>> found.x.sel(layer=5).item()
    0.0
    """
    found: xarray.Dataset = imported("xarray", "to_xarray").Dataset(
        {
            name: (dims, array, {"long_name": meaning, "units": units})
            for name, (dims, array, meaning, units) in variables.items()
        },
        {
            name: (name, values, {"long_name": COORDINATES[name]})
            for name, values in coordinates.items()
        },
        dict(attributes),
    )
    return found


def frame(
    variables: Variables,
    index: Any,
    layers: Any,
    places: Mapping[str, Any],
    attributes: Mapping[str, Any],
) -> pandas.DataFrame:
    """Return arrays as a tidy ``pandas.DataFrame``: one row per sample and layer.

    `places` has the layers along each dimension of some of the layers, in the order of `layers`;
    values that the other layers do not have are missing (NaN). Values per sample, and those along
    any other dimension, which have one entry, are repeated in all rows of the sample.
    """
    library = imported("pandas", "to_dataframe")
    shape = len(index), layers.size
    rows = library.MultiIndex.from_product([index, layers], names=["sample", "layer"])
    columns = {}
    for name, (dims, array, _, _) in variables.items():
        if dims[-1] in places:
            wide = np.full(shape, np.nan)
            wide[:, np.isin(layers, places[dims[-1]])] = array
            array = wide
        elif dims[-1] != "layer":
            array = np.broadcast_to(array.reshape(-1, 1), shape)
        columns[name] = array.ravel()
    found: pandas.DataFrame = library.DataFrame(columns, rows)
    found.attrs = dict(attributes)
    return found


def frame_by_step(
    variables: Variables, index: Any, steps: Any, places: Mapping[str, Any]
) -> pandas.DataFrame:
    """Return arrays (sample, step) or (sample, step, layer) as a tidy ``pandas.DataFrame``.

    It has one row per sample, step and layer out of `places`, the layers along each dimension of
    layers; without variables that have such a dimension, one per sample and step.
    """
    library = imported("pandas", "to_dataframe")
    levels: dict[str, Any] = {"sample": index, "step": steps}
    used = [places[dims[-1]] for dims, *_ in variables.values() if dims[-1] in places]
    if used:
        levels["layer"] = np.unique(np.concatenate(used))
    shape = tuple(len(values) for values in levels.values())
    columns = {}
    for name, (dims, array, _, _) in variables.items():
        if dims[-1] in places:
            wide = np.full(shape, np.nan)
            wide[:, :, np.searchsorted(levels["layer"], places[dims[-1]])] = array
            columns[name] = wide.ravel()
        else:
            columns[name] = np.repeat(array.ravel(), shape[-1] if used else 1)
    rows = library.MultiIndex.from_product(list(levels.values()), names=list(levels))
    found: pandas.DataFrame = library.DataFrame(columns, rows)
    return found


def attributes(made: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the named attributes and the provenance of a result as flat netCDF attributes."""
    values = {name: getattr(made, name) for name in names}
    return {
        "network": made.network.canonical_json(),
        **values,
        "seed": str(values["seed"]),
        "elapsed_seconds": made.elapsed,
        **{f"provenance_{name}": value for name, value in made.provenance.items()},
    }
