"""Study: the results of many networks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, overload

from vgsim._checks import brief, checked_items, plain, type_error
from vgsim._engine.settings import Settings
from vgsim._networks.custom_table import encoded_tables
from vgsim._results import npz
from vgsim._results.joined import merged_provenance
from vgsim._studies import archive, labelled
from vgsim._studies import table as tables
from vgsim._studies.axes import suggested_axes
from vgsim._studies.find import matching
from vgsim._studies.html import study_html
from vgsim._studies.result import Result
from vgsim.typing import Format

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes

    from vgsim.plotting import Artists

__all__ = ["Study"]


class Study(Sequence[Result]):
    """The results of many networks: a sequence with one :class:`Result` per network.

    A network sampled with two settings, for example two batch sizes, has two results.

    Parameters
    ----------
    results : iterable of Result
    provenance : mapping of str to str, optional
        Versions, machine and executor that made the results.

    Raises
    ------
    ValueError
        If two results have the same network and settings.

    Notes
    -----
    ``a + b`` has the networks of both. The results of a network in both are added: they must have
    the same layers and thresholds and no sample in common; otherwise a ValueError names the network
    and the reason.

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
        self._results: tuple[Result, ...] = tuple(
            checked_items("results", results, "must be an iterable of vgsim.Result")
        )
        for result in self._results:
            if not isinstance(result, Result):
                raise type_error("results", f"must be of vgsim.Result, got {brief(result)}")
        if not isinstance(provenance, (Mapping, type(None))):
            raise type_error("provenance", f"must be a mapping or None, got {brief(provenance)}")
        self.provenance: dict[str, str] = dict(provenance or {})
        if len(self._by_key()) < len(self):
            seen = set()
            for result in self._results:
                if (key := _key(result)) in seen:
                    raise ValueError(f"{result.network!r} is in the results twice: add two studies")
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
        number = plain(place)
        if not isinstance(number, int):
            raise type_error("place", f"must be an int or a slice, got {brief(place)}")
        if not -len(self) <= number < len(self):
            raise IndexError(f"place must be one of {len(self)} results, got {brief(place)}")
        return self._results[number]

    def find(self, **fields: Any) -> Study:
        """Return the results of the networks with given fields.

        Parameters
        ----------
        **fields
            Fields of a network, ``kind="RNN"``, or settings: batch_size, loss, inputs, engine,
            dtype. Fields of a part are written with two underscores, as in ``residual__every=2``.
            The name of an activation or initialiser matches it with any parameters; the ``depth``
            of a recurrent network is its number of steps.

        Raises
        ------
        TypeError, ValueError
            If no network of the study has such a field, or the field can have no such value.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.MLP(10, 8), vgsim.MLP(20, 8, activation="relu"), vgsim.RNN(10, 8)
        >>> study = vgsim.collect(networks, max_samples=1000)
        >>> [result.network for result in study.find(depth=10, kind="RNN")]
        [RNN(steps=10, width=8, init='orthogonal')]
        """
        rows = matching(self, fields, _of_setting)
        return Study([self._results[i] for i in rows], self.provenance)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a tidy ``pandas.DataFrame`` with one row per network, layer and threshold.

        The columns are the fields and settings of the networks; layer, threshold, n and n_dead;
        mean and std of R_l = log10(‖G_l‖ / ‖G_D‖) over the samples that are not dead; the quantiles
        q05, median and q95 of R_l over all samples; and the probabilities vanishing, exploding and
        dead, with their 95 % limits in columns that end in _low and _high. Statistics that need
        more samples are NaN. If a network has several widths, its `width` is missing, and `widths`
        lists them as JSON.

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
        """Return the study as an ``xarray.Dataset``, which can be written to netCDF.

        The dimensions are task, layer, threshold, quantile, format (the number format of underflow
        and overflow) and bin. Each field of the networks is a coordinate along task. Every variable
        has a long_name and units; the attrs of the dataset are the provenance.

        Parameters
        ----------
        bins : int, default 4096
            Largest number of bins of the common grid of the histograms. A bin is 1/64 of a decade
            times the smallest power of 2 that respects this limit.

        Raises
        ------
        ImportError
            If xarray is not installed.
        TypeError, ValueError
            If networks were tallied at different layers or thresholds (select some by
            :meth:`find`), the study has no networks, or `bins` is not an int >= 1.
        MemoryError
            If the histograms would not fit in memory; the message says what to change.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.sweep(vgsim.MLP, width=32, activation="sigmoid", depth=[5, 50])
        >>> study = vgsim.collect(networks, max_samples=2000)
        >>> study.to_xarray().swap_dims(task="depth").vanishing.sel(depth=50, layer=0).values
        array([1.])
        """
        return labelled.to_xarray(self, self.provenance, bins)

    def table(
        self,
        format: Format = "text",
        *,
        columns: str | Sequence[str] | None = None,
        index: str | Sequence[str] | None = None,
        pivot: str | None = None,
        layer: int | None = None,
        threshold: float | None = None,
        confidence_level: float = 0.95,
        intervals: bool = True,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""Return a table as text, by default with one row per network and layer.

        The first columns are the fields in which the networks differ, and the title has the fields
        that all have in common. Numbers have the digits that their intervals support; a probability
        of 0 or 1 is written with the one limit of its interval, "0 (< 0.0004)". Below the
        probabilities for which the law of a theory holds only a bound is written, "< 1e-6".

        Parameters
        ----------
        format : {"text", "markdown", "latex", "csv", "html"}, default "text"
            Only CSV has all digits, and by default all columns. LaTeX needs the package booktabs.
        columns : str or sequence of str, optional
            The names of the columns: fields and settings of the networks; layer, threshold and n;
            the probabilities vanishing, exploding, healthy and dead; mean and std of R; its
            quantiles q05, median and q95; and probabilities and moments with the ending _theory,
            where a theory applies. "all": every statistic.
        index : str or sequence of str, optional
            The fields whose values are the rows. By default those in which the networks differ;
            with `pivot` those of them that are among `columns`, if there are any.
        pivot : str, optional
            The field for each of whose values there is a group of columns. A combination of fields
            without a network is "-".
        layer : int, optional
            The one tallied layer to show. By default all.
        threshold : float, optional
            The one counted threshold of vanishing, exploding and healthy to show. By default all.
        confidence_level : float, default 0.95
        intervals : bool, default True
            Whether to write the intervals of probabilities.
        caption : str, optional
            A caption, of which LaTeX commands are kept with format "latex". Not with "csv".
        label : str, optional
            With format "latex", the name for references by ``\ref``.

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, if a layer or threshold was not counted, or if `index` and
            `pivot` do not tell all results apart; the message names the fields that differ.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.sweep(
        ...     vgsim.MLP, width=32, activation=["sigmoid", "relu"], depth=[5, 9, 50]
        ... )
        >>> study = vgsim.collect(networks, max_samples=2000)
        >>> text = study.table(columns=["vanishing", "median"], index="depth", pivot="activation")
        >>> for line in text.splitlines()[-3:]:
        ...     print(line)
            5      0 (< 0.002)        -3.23   0 (< 0.002)   -0.09
            9  0.099 [0.087, 0.113]   -5.78   0 (< 0.002)   -0.16
           50      1 (> 0.998)       -31.82   0 (< 0.002)   -0.89
        >>> text = study.table("latex", columns="median", index="depth", pivot="activation")
        >>> print(text.partition(r"\begin")[2])
        {tabular}{rrr}
        \toprule
         & \multicolumn{2}{c}{median} \\
        \cmidrule(lr){2-3}
        depth & sigmoid & relu \\
        \midrule
        $5$ & $-3.23$ & $-0.09$ \\
        $9$ & $-5.78$ & $-0.16$ \\
        $50$ & $-31.82$ & $-0.89$ \\
        \bottomrule
        \end{tabular}
        >>> print(study[1:2].table("csv", columns="n"))
        depth,n
        9,2000
        """
        return tables.table(
            self,
            self.provenance,
            format,
            columns=columns,
            index=index,
            pivot=pivot,
            layer=layer,
            threshold=threshold,
            confidence_level=confidence_level,
            intervals=intervals,
            caption=caption,
            label=label,
        )

    def plot(
        self,
        x: str = "depth",
        hue: str | None = None,
        *,
        y: str | None = None,
        value: str = "vanishing",
        layer: int | None = None,
        threshold: float | None = None,
        theory: bool = True,
        ax: Axes | None = None,
    ) -> Artists:
        """Draw a value against a field, one curve per value of another, or a heat map over two.

        Parameters
        ----------
        x : str, default "depth"
            A field of the networks or a setting, as in :meth:`find` and the columns of
            :meth:`to_dataframe`, or "layer" or "threshold". Numbers give curves; other values give
            points with error bars.
        hue : str, optional
            The field that distinguishes the curves; not together with `y`.
        y : str, optional
            A second field: draw a heat map of `value` over x and y. If one of them is the gain and
            mean-field theory applies, the critical line χ₁ = 1 is drawn over it, unless `theory` is
            False.
        value : str, default "vanishing"
            "vanishing", "exploding", "healthy" or "dead": probabilities. "mean", "std", "q05",
            "median" or "q95": statistics of R_l in decades; mean and std exclude dead samples.
        layer : int, optional
            A tallied layer; by default the only one, or 0.
        threshold : float, optional
            A counted threshold; by default the only one.
        theory : bool, default True
            Whether to draw the theory, dashed, where it is known.
        ax : matplotlib.axes.Axes, optional
            By default those of a new figure.

        Returns
        -------
        vgsim.plotting.Artists

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If an argument is unknown or was not counted, or several results have the same place in
            the plot; the message names the fields in which they differ.

        Notes
        -----
        Bands and bars are 95 % intervals: those of :meth:`Result.probability`, normal ones for the
        mean, and order statistics for quantiles; the standard deviation has none.

        Examples
        --------
        >>> import vgsim
        >>> networks = vgsim.sweep(
        ...     vgsim.MLP, width=32, activation=["sigmoid", "relu"], depth=[5, 20]
        ... )
        >>> study = vgsim.collect(networks, max_samples=1000)
        >>> drawn = study.plot(hue="activation")
        >>> drawn.axes.get_xlabel()
        'depth'
        """
        from vgsim._studies import plots

        return plots.draw_study(self, x, hue, y, value, layer, threshold, theory, ax)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the study to an .npz file, which :func:`load` and ``numpy.load`` read.

        Parameters and errors are those of :meth:`Samples.save`.

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
        """Return the header of a file, as JSON types."""
        header = {"results": archive.described(self), "provenance": self.provenance}
        return header | encoded_tables(*(result.task.json for result in self))

    def __add__(self, other: Study) -> Study:
        if not isinstance(other, Study):
            return NotImplemented
        theirs = other._by_key()
        mine = self._by_key()
        added = [result + theirs[key] if key in theirs else result for key, result in mine.items()]
        new = [result for key, result in theirs.items() if key not in mine]
        return Study((*added, *new), merged_provenance(self.provenance, other.provenance))

    def __radd__(self, other: object) -> Study:
        """Support ``sum(studies)``, which begins at 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same results in the same order; provenance may differ."""
        if not isinstance(other, Study):
            return NotImplemented
        return self._results == other._results

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        networks = f"{len(self)} network{'s' if len(self) != 1 else ''}"
        return f"<Study: {networks}, {sum(result.n for result in self)} samples>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        drawn = [result for result in self if result.n]
        axes = suggested_axes(drawn) if len(drawn) > 1 else None
        if axes is None or axes.others:
            return study_html(self, None, None)
        return study_html(self, axes.x, axes.hue)


def _of_setting(name: str, value: Any) -> Any:
    """Return the normal form of a setting of samples; None if there is none of that name."""
    if name in ("batch_size", "loss", "engine", "dtype"):
        return getattr(Settings.checked(**{name: value}), name)
    return None


def _key(result: Result) -> object:
    """Return the network and settings of a result, which identify it in a study."""
    return (result.network, *result.task.setting.values())
