"""Result: the statistics of one network of a study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from numpy.typing import ArrayLike, DTypeLike

from vgsim._checks import INDICES
from vgsim._networks.description import Network
from vgsim._statistics.binomial import Probability, binomial
from vgsim._statistics.estimate import Scalar
from vgsim._studies.html import result_html
from vgsim._studies.precision import Precision
from vgsim._studies.tally import Floats, Tally
from vgsim._studies.task import Task
from vgsim.typing import Event, Method, NumberFormat

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vgsim.plotting import Artists

__all__ = ["Result"]

Range = tuple[int, int, int]


@dataclass(frozen=True)
class Result:
    """The counts of one network of a study, and the statistics that follow from them.

    The default `layer` of all methods is the tallied layer if there is only one, else 0.

    Attributes
    ----------
    task : Task
        The network, how it was sampled, and what was counted. Its seed is one of those in `ranges`.
    network : MLP, RNN, LSTM, GRU or Sequential
    n : int
        Number of samples.
    tally : Tally
    ranges : tuple of (seed, first, end)
        The counted samples: those with first <= index < end under each seed, sorted and disjoint.
    watched : tuple of Precision
        The stop rules.

    Raises
    ------
    ValueError
        If `ranges` overlap, or task, tally and ranges differ in layers, thresholds or number of
        samples.

    Notes
    -----
    ``a + b`` is the result of the samples of both. Networks, settings, layers and thresholds must
    be equal, and no sample may be in both, else ValueError.

    Examples
    --------
    >>> import vgsim
    >>> net = vgsim.MLP(50, 32, activation="sigmoid")
    >>> (a,), (b,) = (vgsim.collect([net], max_samples=1000, seed=seed) for seed in (0, 1))
    >>> (a + b).n, (a + b).ranges
    (2000, ((0, 0, 1000), (1, 0, 1000)))
    >>> print((a + b).probability("vanishing"))
    1 (95 % interval 0.998 to 1, 2000 of 2000)
    >>> a + a
    Traceback (most recent call last):
    ValueError: MLP(depth=50, ...): samples 0 to 999 of seed 0 are in both
    """

    task: Task
    tally: Tally
    ranges: Sequence[Range]  # stored as tuples
    watched: Sequence[Precision] = ()

    def __post_init__(self) -> None:
        ranges = _united(self.task.network, self.ranges)
        counted = sum(end - first for _, first, end in ranges)
        if self.tally.n != counted:
            raise ValueError(
                f"ranges must hold the samples of the tally: got {counted} in {list(ranges)} and "
                f"{self.tally.n} in the tally"
            )
        for name, asked, tallied in (
            ("layers", self.task.layers, tuple(self.tally.layers.tolist())),
            ("thresholds", self.task.thresholds, self.tally.thresholds),
        ):
            if asked != tallied:
                raise ValueError(f"task and tally differ in {name}: {asked} and {tallied}")
        if ranges and not any(seed == self.task.seed for seed, _, _ in ranges):
            raise ValueError(f"ranges must be of seed {self.task.seed}, got {list(ranges)}")
        object.__setattr__(self, "ranges", ranges)
        object.__setattr__(self, "watched", tuple(dict.fromkeys(self.watched)))

    @property
    def network(self) -> Network:
        """The network."""
        return self.task.network

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.tally.n

    def probability(
        self,
        event: Event,
        layer: int | None = None,
        threshold: float | None = None,
        dtype: NumberFormat | DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: Method | None = None,
    ) -> Probability:
        """Estimate the probability of an event over random networks.

        Parameters
        ----------
        event, dtype, confidence_level
            As for :meth:`Samples.probability`.
        layer : int, optional
            One of the tallied layers.
        threshold : float, optional
            One of the counted thresholds; by default the only one.
        method : {"wilson", "exact", "anytime"}, optional
            The interval. By default "anytime", which is valid under a stop rule, for the events of
            the stop rules, and "wilson" for all others.

        Returns
        -------
        Probability

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, was not counted or does not belong to the event.

        Examples
        --------
        >>> import vgsim
        >>> study = vgsim.collect([vgsim.MLP(50, 32, activation="sigmoid")], max_samples=2000)
        >>> print(study[0].probability("vanishing"))
        1 (95 % interval 0.998 to 1, 2000 of 2000)
        """
        layer = self._layer(layer)
        if method is None:
            events = self.tally.events(event, layer, threshold, dtype)
            method = "anytime" if self._watches(event, layer, threshold) else "wilson"
            return binomial(events, self.n, confidence_level, method)
        return self.tally.probability(event, layer, threshold, dtype, confidence_level, method)

    def _watches(self, event: Event, layer: int, threshold: float | None) -> bool:
        """Return whether one of the stop rules is for this event."""
        return any(
            (rule.event, rule.layer) == (event, layer)
            and (event == "dead" or rule.threshold == self.tally.threshold(threshold))
            for rule in self.watched
        )

    @overload
    def quantile(self, q: Scalar, layer: int | None = None) -> float: ...
    @overload
    def quantile(self, q: ArrayLike, layer: int | None = None) -> Floats: ...
    def quantile(self, q: ArrayLike, layer: int | None = None) -> float | Floats:
        """Return quantiles of R_l = log10(‖G_l‖ / ‖G_D‖), within 1/64 of those of the samples.

        Arguments and errors are those of :meth:`Samples.quantile`; dead samples count as −inf.

        Examples
        --------
        >>> import vgsim
        >>> study = vgsim.collect([vgsim.MLP(50, 32, activation="sigmoid")], max_samples=2000)
        >>> bool(study[0].quantile(0.05) < study[0].mean() < study[0].quantile(0.95))
        True
        """
        return self.tally.quantile(q, self._layer(layer))

    def mean(self, layer: int | None = None) -> float:
        """Return the mean of R_l over the samples that are not dead at layer l, within 1e-9.

        Raises
        ------
        ValueError
            If all samples are dead there, or the layer was not tallied.

        Examples
        --------
        >>> import vgsim
        >>> study = vgsim.collect([vgsim.MLP(10, 32, activation="linear")], max_samples=2000)
        >>> abs(study[0].mean()) < 0.1
        True
        """
        return self.tally.mean(self._layer(layer))

    def std(self, layer: int | None = None) -> float:
        """Return the standard deviation of R_l over the samples that are not dead at layer l.

        Raises
        ------
        ValueError
            If fewer than two samples are alive there, or the layer was not tallied.

        Examples
        --------
        >>> import vgsim
        >>> study = vgsim.collect([vgsim.MLP(10, 32)], max_samples=2000, layers=(0, 5))
        >>> study[0].std(layer=5) < study[0].std(layer=0)
        True
        """
        return self.tally.std(self._layer(layer))

    @overload
    def cdf(self, x: Scalar, layer: int | None = None) -> float: ...
    @overload
    def cdf(self, x: ArrayLike, layer: int | None = None) -> Floats: ...
    def cdf(self, x: ArrayLike, layer: int | None = None) -> float | Floats:
        """Return the fraction of samples with R_l <= x; R_l of dead samples is −inf.

        The fraction is interpolated linearly within a bin, 1/64 of a decade. Arguments and errors
        are those of :meth:`Samples.cdf`.

        Examples
        --------
        >>> import vgsim
        >>> study = vgsim.collect([vgsim.MLP(10, 32, activation="sigmoid")], max_samples=2000)
        >>> study[0].cdf([-20, 0])
        array([0., 1.])
        """
        return self.tally.cdf(x, self._layer(layer))

    def plot(
        self, *, layer: int | None = None, theory: bool = True, ax: Axes | None = None
    ) -> Artists:
        """Draw the density of R_l, from the histogram of the tally, with its law in theory.

        Parameters
        ----------
        layer : int, optional
        theory : bool, default True
            Whether to draw, dashed, the exact law or, where only mean and standard deviation are
            known in theory, the normal law that has them.
        ax : matplotlib.axes.Axes, optional
            By default those of a new figure.

        Returns
        -------
        vgsim.plotting.Artists
            The density, a StepPatch, whose integral is the fraction of samples that are not dead;
            and the line of the theory.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no samples, or the layer was not tallied.

        Examples
        --------
        >>> import vgsim
        >>> study = vgsim.collect([vgsim.MLP(50, 32, activation="relu")], max_samples=2000)
        >>> len(study[0].plot())
        2
        """
        from vgsim._studies.density import draw_result

        return draw_result(self.task, self.tally, self._layer(layer), theory, ax)

    def _layer(self, layer: int | None) -> int:
        if layer is not None:
            return layer
        return self.task.layers[0] if len(self.task.layers) == 1 else 0

    def __add__(self, other: Result) -> Result:
        if not isinstance(other, Result):
            return NotImplemented
        differences = "; ".join(
            f"{name} ({mine!r} and {theirs!r})"
            for name, mine in _identity(self.task).items()
            if mine != (theirs := _identity(other.task)[name])
        )
        if differences:
            raise ValueError(
                f"{self.network!r}: results cannot be added, they differ in {differences}"
            )
        ranges = _united(self.network, (*self.ranges, *other.ranges))
        seed = ranges[0][0] if ranges else min(self.task.seed, other.task.seed)
        return Result(
            task=self.task if self.task.seed == seed else other.task,
            tally=self.tally + other.tally,
            ranges=ranges,
            watched=(*self.watched, *other.watched),
        )

    def __hash__(self) -> int:
        return hash((self.task, self.ranges))

    def __repr__(self) -> str:
        return f"<Result: {self.n} of {self.network!r}>"

    def _repr_html_(self) -> str:
        return result_html(self)


def _identity(task: Task) -> dict[str, object]:
    """Return all fields of a task but its seed."""
    counted = {"layers": task.layers, "thresholds": task.thresholds}
    return {"network": task.network, **task.setting, **counted}


def _united(network: Network, ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return ranges sorted, adjacent ones united; raise ValueError if any overlap."""
    united: list[Range] = []
    for seed, first, end in sorted((int(s), int(f), int(e)) for s, f, e in ranges):
        if not 0 <= first < end <= INDICES or seed < 0:
            raise ValueError(
                f"ranges must have 0 <= first < end <= 2**56 and a seed >= 0, "
                f"got {(seed, first, end)}"
            )
        if not united or united[-1][0] != seed or united[-1][2] < first:
            united.append((seed, first, end))
            continue
        _, begun, past = united[-1]
        if first < past:
            raise ValueError(
                f"{network!r}: samples {first} to {min(end, past) - 1} of seed {seed} are in both"
            )
        united[-1] = (seed, begun, end)
    return tuple(united)
