"""Statistics of samples of the log10 gradient ratio."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import THRESHOLD, checked_numbers
from vgsim._networks.description import Network
from vgsim._results.events import checked_event, column_of, condition, require_living
from vgsim._statistics import bootstrap, lognormal_fit
from vgsim._statistics.binomial import Probability, binomial, checked_interval
from vgsim._statistics.estimate import Estimate, Floats, Scalar
from vgsim._statistics.quantiles import quantile, quantile_interval
from vgsim.theory import _prediction
from vgsim.typing import Event, Method, NumberFormat

__all__ = ["Distribution"]


class Distribution:
    """The distribution of R_l = log10(‖G_l‖ / ‖G_D‖); subclasses hold the samples."""

    network: Network
    seed: int
    batch_size: int
    loss: str
    inputs: str
    layers: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of samples."""
        raise NotImplementedError

    def _quantity(self, event: Event, name: str, layer: int) -> Floats:
        """Return the quantity that defines an event at one layer, shape (n,)."""
        raise NotImplementedError

    def _ratio(self, layer: int) -> Floats:
        """R_l of one layer, shape (n,), −inf where dead; ValueError if it was not recorded."""
        raise NotImplementedError

    @property
    def _batch(self) -> str:
        """Batch size and loss for titles, "" if they are the defaults."""
        size = f", batches of {self.batch_size}" if self.batch_size > 1 else ""
        return size + (f", loss {self.loss!r}" if self.loss != "linear" else "")

    def column(self, layer: int) -> int:
        """Return the column of a layer in the (n, k) arrays.

        Raises
        ------
        TypeError, ValueError
            If `layer` is not an int, or was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> vgsim.simulate(vgsim.MLP(depth=10, width=4), 3, layers=(10, 5)).column(5)
        1
        """
        return column_of(layer, self.layers, "recorded")

    def probability(
        self,
        event: Event,
        layer: int = 0,
        threshold: float = THRESHOLD,
        dtype: NumberFormat | DTypeLike | None = None,
        confidence_level: float = 0.95,
        method: Method = "wilson",
    ) -> Probability:
        """Estimate the probability of an event over random networks.

        Parameters
        ----------
        event : str
            "vanishing": ‖G_l‖/‖G_D‖ < threshold. "exploding": ‖G_l‖/‖G_D‖ > 1/threshold.
            "healthy": neither. "dead": G_l = 0 exactly; it counts as vanishing too.
            "underflow", "overflow": the RMS of the entries of one of G_l … G_D is below half the
            smallest subnormal number of `dtype`, or above its largest finite number.
        layer : int, default 0
            The layer l, which must have been recorded; 0 is the input.
        threshold : float, default 1e-6
            For vanishing, exploding and healthy; 0 < threshold <= 1.
        dtype : {"float16", "bfloat16", "float32"} or the NumPy dtype
            Required for underflow and overflow.
        confidence_level : float, default 0.95
        method : {"wilson", "exact", "anytime"}, default "wilson"
            The interval: Wilson, Clopper–Pearson ("exact"), or a wider interval ("anytime") that
            stays valid if the number of samples depends on the samples, as with a stop rule.

        Returns
        -------
        Probability
            ``.estimate``, ``.low``, ``.high``, ``.events``, ``.n``.

        Raises
        ------
        TypeError, ValueError
            If an argument is none of the above, or does not apply to the event.
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
        confidence_level, method = checked_interval(confidence_level, method)
        event, threshold, format_ = checked_event(event, threshold, dtype)
        known = condition(event, threshold, format_)
        events = int(np.count_nonzero(known.holds(self._quantity(event, known.quantity, layer))))
        return binomial(events, len(self), confidence_level, method)

    @overload
    def quantile(self, q: Scalar, layer: int = 0) -> float: ...
    @overload
    def quantile(self, q: ArrayLike, layer: int = 0) -> Floats: ...
    def quantile(self, q: ArrayLike, layer: int = 0) -> float | Floats:
        """Return quantiles of R_l = log10(‖G_l‖ / ‖G_D‖); dead samples count as −inf.

        Linear interpolation between order statistics, as NumPy's default; between a dead sample and
        another the quantile is −inf.

        Parameters
        ----------
        q : float or array_like
            Between 0 and 1.
        layer : int, default 0

        Returns
        -------
        float, or float64 array of the shape of `q`

        Raises
        ------
        TypeError
            If `q` is not a number or numbers.
        ValueError
            If a q lies outside [0, 1], or the layer was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000)
        >>> low, median, high = s.quantile([0.05, 0.5, 0.95])
        >>> bool(low < median < high)
        True
        """
        return quantile(self._ratio(layer), q)

    def mean(self, layer: int = 0) -> float:
        """Return the mean of R_l over the samples that are not dead at layer l.

        Raises
        ------
        ValueError
            If all samples are dead at layer l, or the layer was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32, activation="linear"), 1000)
        >>> abs(s.mean()) < 0.1
        True
        """
        return float(self._living("mean", layer, 1).mean())

    def std(self, layer: int = 0) -> float:
        """Return the standard deviation of R_l over the samples that are not dead at layer l.

        The sum of squares is divided by the number of these samples minus 1.

        Raises
        ------
        ValueError
            If fewer than two samples are not dead at layer l, or the layer was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000, layers=(0, 5))
        >>> s.std(layer=5) < s.std(layer=0)
        True
        """
        return float(self._living("std", layer, 2).std(ddof=1))

    @overload
    def cdf(self, x: Scalar, layer: int = 0) -> float: ...
    @overload
    def cdf(self, x: ArrayLike, layer: int = 0) -> Floats: ...
    def cdf(self, x: ArrayLike, layer: int = 0) -> float | Floats:
        """Return the fraction of samples with R_l <= x; dead samples count as −inf.

        Parameters
        ----------
        x : float or array_like
        layer : int, default 0

        Returns
        -------
        float, or float64 array of the shape of `x`

        Raises
        ------
        TypeError
            If `x` is not a number or numbers.
        ValueError
            If an x is NaN, or the layer was not recorded.

        Examples
        --------
        >>> import numpy as np
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000)
        >>> s.cdf([-np.inf, np.inf])
        array([0., 1.])
        """
        x = checked_numbers("x", x)
        ordered = np.sort(self._ratio(layer))
        at_most = np.searchsorted(ordered, x, side="right") / ordered.size
        return float(at_most) if x.ndim == 0 else np.asarray(at_most, dtype=np.float64)

    @overload
    def quantile_interval(
        self, q: Scalar, layer: int = 0, confidence_level: float = 0.95
    ) -> Estimate[float]: ...
    @overload
    def quantile_interval(
        self, q: ArrayLike, layer: int = 0, confidence_level: float = 0.95
    ) -> Estimate[Floats]: ...
    def quantile_interval(
        self, q: ArrayLike, layer: int = 0, confidence_level: float = 0.95
    ) -> Estimate:
        """Estimate quantiles of R_l, with order statistics as limits of the intervals.

        For every law of R_l the coverage is at least `confidence_level`. Dead samples count as
        −inf.

        Parameters
        ----------
        q : float or array_like
            Between 0 and 1.
        layer : int, default 0
        confidence_level : float, default 0.95
            Between 0 and 1; of each interval separately.

        Returns
        -------
        Estimate
            Its fields are floats, or arrays of the shape of `q`. A limit is infinite if there are
            too few samples.

        Raises
        ------
        TypeError, ValueError
            If `q` or the level is not a number between 0 and 1, or the layer was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000)
        >>> median = s.quantile_interval(0.5)
        >>> median.low < s.quantile(0.5) < median.high
        True
        """
        return quantile_interval(self._ratio(layer), q, confidence_level)

    def mean_interval(self, layer: int = 0, confidence_level: float = 0.95) -> Estimate[float]:
        """Estimate the mean of R_l over the samples that are not dead, by the bootstrap.

        SciPy's bootstrap with bias correction and acceleration (BCa), with a fixed seed. More than
        200 samples are resampled as 200 groups.

        Parameters
        ----------
        layer : int, default 0
        confidence_level : float, default 0.95
            Between 0 and 1.

        Returns
        -------
        Estimate

        Raises
        ------
        TypeError, ValueError
            If fewer than two samples are alive there, the layer was not recorded, or the level is
            no number between 0 and 1.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000)
        >>> mean = s.mean_interval()
        >>> mean.low < s.mean() < mean.high
        True
        """
        living = self._living("mean_interval", layer, 2)
        return bootstrap.bootstrap(lambda moments: moments.mean[..., 0], [living], confidence_level)

    def variance_interval(self, layer: int = 0, confidence_level: float = 0.95) -> Estimate[float]:
        """Estimate the variance of R_l over the samples that are not dead, by the bootstrap.

        The method is that of :meth:`mean_interval`; the estimate is the square of :meth:`std`.

        Parameters
        ----------
        layer : int, default 0
        confidence_level : float, default 0.95
            Between 0 and 1.

        Returns
        -------
        Estimate

        Raises
        ------
        TypeError, ValueError
            If fewer than two samples are alive there, the layer was not recorded, or the level is
            no number between 0 and 1.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000)
        >>> variance = s.variance_interval()
        >>> variance.low < s.std() ** 2 < variance.high
        True
        """
        living = self._living("variance_interval", layer, 2)
        return bootstrap.bootstrap(
            lambda moments: moments.variance[..., 0], [living], confidence_level
        )

    def lognormal_fit(
        self, layer: int = 0, confidence_level: float = 0.95
    ) -> lognormal_fit.LogNormalFit:
        """Compare the law of ‖G_l‖/‖G_D‖ with a log-normal law, and with the exact law if known.

        Parameters
        ----------
        layer : int, default 0
        confidence_level : float, default 0.95
            Between 0 and 1, of the intervals of the moments.

        Returns
        -------
        LogNormalFit
            Moments of ln(‖G_l‖²/‖G_D‖²) over the samples that are not dead, and the
            Kolmogorov–Smirnov (Lilliefors) and Anderson–Darling tests.

        Raises
        ------
        TypeError, ValueError
            If fewer than eight samples are not dead at layer l or all are equal, the layer was not
            recorded, or the level is not a number between 0 and 1.

        Examples
        --------
        >>> import vgsim
        >>> net = vgsim.MLP(depth=30, width=8, activation="relu", init="he_normal")
        >>> fit = vgsim.simulate(net, 5000).lognormal_fit()
        >>> fit.skewness.high < 0, fit.anderson_darling.p_value < 0.01
        (True, True)
        """
        ratio = self._ratio(layer)
        living = self._living("lognormal_fit", layer, 8)
        law = _prediction.law_above(self.network, layer, self.batch_size, self.loss)
        return lognormal_fit.fit(living, ratio.size - living.size, confidence_level, law)

    def _living(self, name: str, layer: int, needed: int) -> Floats:
        """R_l of the samples that are not dead, shape (m,); ValueError if m < `needed`."""
        ratio = self._ratio(layer)
        living = ratio[ratio > -np.inf]
        require_living(name, needed, living.size, ratio.size, layer)
        return living
