"""Trainings as xarray datasets and pandas data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vgsim._networks.description import compact_json
from vgsim._results import labelled
from vgsim._results.training_arrays import TRAINED, Parameters
from vgsim._results.training_plots import PlottedTraining

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["IN_FILE", "LabelledTraining"]

IN_FILE = "parameters."  # before the names of parameters in files and datasets


class LabelledTraining(PlottedTraining):
    """A training that can be converted to labelled arrays."""

    index: NDArray[np.int64]
    setting: Mapping[str, Any]
    _parameters: Parameters | None

    def to_xarray(self) -> xarray.Dataset:
        """Return all recorded quantities as an ``xarray.Dataset``.

        Its dimensions are sample (with the index as coordinate), step, layer and weight_layer;
        final parameters, with names such as "parameters.0.weight", have dimensions of their own.
        Each variable has a long_name and units; settings and provenance are the attributes of the
        dataset.

        Raises
        ------
        ImportError
            If xarray is not installed.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, record={"gradient"}, **how)
        >>> training.to_xarray().log10_ratio.sel(layer=3, step=49).max().item()
        0.0
        """
        coordinates = {
            "sample": self.index,
            "step": self.steps,
            "layer": self.layers,
            "weight_layer": self.weight_layers,
        }
        variables = self._variables()
        for name, array in (self._parameters or {}).items():
            own = [f"{IN_FILE}{name}.{axis}" for axis in range(array.ndim - 1)]
            variables[f"{IN_FILE}{name}"] = (("sample", *own), array, f"final {name}", "1")
        return labelled.dataset(variables, coordinates, self._attributes())

    def to_dataframe(self) -> pandas.DataFrame:
        """Return all recorded quantities but parameters as a tidy ``pandas.DataFrame``.

        It has one row per sample, recorded step and layer, of all layers that any quantity has;
        if no quantity has layers, one row per sample and step. Quantities without layers are
        repeated in all rows of the step; those that a layer does not have are missing (NaN).

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(3, [4, 8, 8, 1])
        >>> how = {"data": "teacher", "loss": "mse", "optimizer": "sgd", "learning_rate": 0.1}
        >>> training = vgsim.train(net, 10, steps=50, **how)
        >>> training.to_dataframe().index.names
        FrozenList(['sample', 'step'])
        """
        places = {"layer": self.layers, "weight_layer": self.weight_layers}
        found = labelled.frame_by_step(self._variables(), self.index, self.steps, places)
        found.attrs = self._attributes()
        return found

    def _variables(self) -> dict[str, tuple[tuple[str, ...], Any, str, str]]:
        """All recorded quantities and R_l: dimensions, array, meaning, units."""
        found = {
            name: (TRAINED[name].dims, array, TRAINED[name].meaning, TRAINED[name].units)
            for name, array in self._arrays.items()
        }
        if "gradient" in found:
            meaning = "log10 of the norm of G_l over that of G_D"
            ratio = self._recorded("log10_ratio")
            found["log10_ratio"] = TRAINED["gradient"].dims, ratio, meaning, "log10"
        return found

    def _attributes(self) -> dict[str, Any]:
        names = labelled.attributes(self, ("seed", "baseline"))
        return names | {"setting": compact_json(self.setting)}
