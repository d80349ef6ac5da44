"""Study: what is known of many networks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from vgsim._checks import value_error
from vgsim._results import npz
from vgsim._results.samples import merged_provenance
from vgsim._studies import archive, labelled
from vgsim._studies import table as tables
from vgsim._studies.result import Result

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["Study"]


class Study(Sequence[Result]):
    """What is known of many networks: a sequence of results, one a network.

    A network that is sampled in two ways, as with other batch sizes, counts as two.

    Parameters
    ----------
    results : iterable of Result
    provenance : mapping of str to str, optional
        What made them.

    Raises
    ------
    ValueError
        If two results are of the same network, sampled alike.

    Notes
    -----
    ``a + b`` has the networks of both. Where one is in both, its samples are added: they must be
    counted at the same layers and thresholds, and of other seeds or indices; if not, the ValueError
    says which network and why.

    Examples
    --------
    >>> import vgsim
    >>> networks = vgsim.sweep(vgsim.MLP, width=32, activation="sigmoid", depth=[5, 50])
    >>> study = vgsim.collect(networks, max_samples=1000)
    >>> len(study), study[1].probability("vanishing").estimate
    (2, 1.0)
    >>> study + vgsim.collect(networks[1:], max_samples=1000, seed=1)
    <Study: 2 networks, 3000 samples>
    """

    def __init__(
        self, results: Iterable[Result], provenance: Mapping[str, str] | None = None
    ) -> None:
        self._results = tuple(results)
        self.provenance = dict(provenance or {})
        if len(self._by_key()) < len(self):
            seen = set()
            for result in self._results:
                if (key := _key(result)) in seen:
                    raise ValueError(f"{result.network!r} is in the study twice; add two studies")
                seen.add(key)

    def _by_key(self) -> dict[object, Result]:
        return {_key(result): result for result in self._results}

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, place: int) -> Result: ...
    @overload
    def __getitem__(self, place: slice) -> Study: ...
    def __getitem__(self, place: int | slice) -> Result | Study:
        if isinstance(place, slice):
            return Study(self._results[place], self.provenance)
        return self._results[place]

    def find(self, **fields: Any) -> Study:
        """Return the networks with given fields.

        Parameters
        ----------
        **fields
            Fields of MLP or RNN, ``kind="RNN"``, or of how it was sampled: batch_size, loss,
            inputs, engine, dtype. Fields of a part are written with two underscores, as in
            ``residual__every=2``. A name of an activation or initialiser finds it with any
            parameters; ``depth`` is that of an RNN too.

        Raises
        ------
        ValueError
            If no network of the study has such a field.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.MLP(10, 8), vgsim.MLP(20, 8, activation="relu"), vgsim.RNN(10, 8)
        >>> study = vgsim.collect(networks, max_samples=1000)
        >>> [result.network for result in study.find(depth=10, kind="RNN")]
        [RNN(steps=10, width=8, init='orthogonal')]
        """
        labels = [result.task.labels for result in self]
        known = set().union(*labels)
        if self and (unknown := sorted(fields.keys() - known)):
            raise value_error(
                unknown[0],
                f"is a field of no network of the study; they have {', '.join(sorted(known))}",
            )

        def matches(result: Result, its: Mapping[str, Any]) -> bool:
            return all(
                name in its and value in (its[name], getattr(result.network, name, its[name]))
                for name, value in wanted.items()
            )

        wanted = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        chosen = [r for r, its in zip(self, labels, strict=True) if matches(r, its)]
        return Study(chosen, self.provenance)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a tidy ``pandas.DataFrame`` with one row a network, layer and threshold.

        Its columns are the fields of the networks and of how they were sampled, layer, threshold,
        n, n_dead; mean and std of R_l = log10(‖G_l‖ / ‖G_D‖) over the samples that are not dead,
        its quantiles q05, median and q95 over all; and the probabilities vanishing, exploding and
        dead, each with its limits, 95 % confidence, under _low and _high. What cannot be known is
        missing (NaN); of a network with several widths the width is, and `widths` has them as JSON.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.sweep(vgsim.MLP, width=32, activation="sigmoid", depth=[5, 50])
        >>> study = vgsim.collect(networks, max_samples=2000)
        >>> print(study.to_dataframe()[["depth", "layer", "n", "vanishing"]])
           depth  layer     n  vanishing
        0      5      0  2000        0.0
        1     50      0  2000        1.0
        """
        return labelled.to_dataframe(self, self.provenance)

    def to_xarray(self, bins: int = 4096) -> xarray.Dataset:
        """Return everything as an ``xarray.Dataset``, which netCDF files can hold.

        Its dimensions are task, layer, threshold, quantile, format (the number formats that a
        gradient may leave the range of), and bin. Along task there is a coordinate for each field
        of the networks. Every variable has its long_name and units; the dataset has the provenance
        as attrs.

        Parameters
        ----------
        bins : int, default 4096
            The histograms have a common grid of at most so many bins; they are as fine as that
            allows, 1/64 of a decade or a multiple of it by a power of 2.

        Raises
        ------
        ImportError
            If xarray is not installed.
        TypeError, ValueError
            If networks were tallied at different layers or thresholds (take those of one kind by
            :meth:`find`), the study has no networks, or `bins` is not an int >= 1.
        MemoryError
            If the histograms would not fit; the message says what to change.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.sweep(vgsim.MLP, width=32, activation="sigmoid", depth=[5, 50])
        >>> study = vgsim.collect(networks, max_samples=2000)
        >>> study.to_xarray().swap_dims(task="depth").vanishing.sel(depth=50, layer=0).values
        array([1.])
        """
        return labelled.to_xarray(self, self.provenance, bins)

    def table(self, format: str = "text") -> str:
        r"""Return a table with one row a network and layer, for readers.

        The fields in which the networks differ come first. Limits are of 95 % confidence.

        Parameters
        ----------
        format : {"text", "markdown", "latex", "csv"}, default "text"

        Raises
        ------
        ValueError
            If the format is unknown.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.sweep(vgsim.MLP, width=32, activation="sigmoid", depth=[5, 50])
        >>> study = vgsim.collect(networks, max_samples=2000)
        >>> print(study.table("csv"))  # doctest: +ELLIPSIS
        depth,layer,n,vanishing,vanishing_low,...
        5,0,2000,0.0,0.0,...
        50,0,2000,1.0,...
        """
        return tables.table(self, format)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to an .npz file, which :func:`load` and ``numpy.load`` read.

        Parameters, errors and manner are those of :meth:`Samples.save`.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import vgsim
        >>> study = vgsim.collect([vgsim.MLP(10, 8)], max_samples=1000)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "study.npz")
        ...     study.save(path)
        ...     vgsim.load(path) == study
        True
        """
        npz.write(path, archive.KIND, self._header(), archive.packed(self))

    def _header(self) -> dict[str, Any]:
        """Return, as JSON types, what a file says beside the arrays."""
        return {"results": archive.described(self), "provenance": self.provenance}

    def __add__(self, other: Study) -> Study:
        if not isinstance(other, Study):
            return NotImplemented
        theirs = other._by_key()
        mine = self._by_key()
        added = [result + theirs[key] if key in theirs else result for key, result in mine.items()]
        new = [result for key, result in theirs.items() if key not in mine]
        return Study((*added, *new), merged_provenance(self.provenance, other.provenance))

    def __radd__(self, other: object) -> Study:
        """Let ``sum(studies)`` begin at 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Whether both have the same results in the same order, whatever made them."""
        if not isinstance(other, Study):
            return NotImplemented
        return self._results == other._results

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        networks = f"{len(self)} network{'s' if len(self) != 1 else ''}"
        return f"<Study: {networks}, {sum(result.n for result in self)} samples>"

    __str__ = __repr__


def _key(result: Result) -> object:
    """Return what two results of the same network, sampled alike, have in common."""
    return (result.network, *result.task.setting.values())
