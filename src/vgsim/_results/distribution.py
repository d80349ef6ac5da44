"""What samples of the log10 gradient ratio say of its distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from vgsim._checks import THRESHOLD, checked_numbers
from vgsim._networks.description import Network
from vgsim._results.events import checked_event, column_of, condition, require_living
from vgsim._statistics import bootstrap, lognormal_fit
from vgsim._statistics.binomial import Probability, binomial, checked_interval
from vgsim._statistics.estimate import Estimate
from vgsim._statistics.quantiles import quantile, quantile_interval
from vgsim.theory import _prediction

__all__ = ["Distribution"]

Floats = NDArray[np.float64]


class Distribution:
    """The distribution of R_l = log10(‖G_l‖ / ‖G_D‖), of which a subclass has samples."""

    network: Network
    seed: int
    batch_size: int
    loss: str
    inputs: str
    layers: NDArray[np.int64]

    def __len__(self) -> int:
        """How many samples there are."""
        raise NotImplementedError

    def _quantity(self, event: str, name: str, layer: int) -> Floats:
        """Return the quantity of an event's condition at one layer, shape (n,)."""
        raise NotImplementedError

    def _ratio(self, layer: int) -> Floats:
        """R_l of one layer, shape (n,), −inf where dead; refuses a layer that was not recorded."""
        raise NotImplementedError

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
        return column_of(layer, self.layers, "recorded")

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
        confidence_level, method = checked_interval(confidence_level, method)
        event, threshold, format_ = checked_event(event, threshold, dtype)
        known = condition(event, threshold, format_)
        events = int(np.count_nonzero(known.holds(self._quantity(event, known.quantity, layer))))
        return binomial(events, len(self), confidence_level, method)

    def quantile(self, q: ArrayLike, layer: int = 0) -> float | Floats:
        """Return quantiles of R_l = log10(‖G_l‖ / ‖G_D‖); dead samples count as −inf.

        Linear interpolation between order statistics, NumPy's default; with any weight on a dead
        sample the quantile is −inf.

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
            If all samples are dead there, or the layer was not recorded.

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

        The sum of squares is divided by their number less one.

        Raises
        ------
        ValueError
            If fewer than two samples are alive there, or the layer was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000, layers=(0, 5))
        >>> s.std(layer=5) < s.std(layer=0)
        True
        """
        return float(self._living("std", layer, 2).std(ddof=1))

    def cdf(self, x: ArrayLike, layer: int = 0) -> float | Floats:
        """Return the fraction of samples with R_l <= x; the dead ones are at −inf.

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

    def quantile_interval(
        self, q: ArrayLike, layer: int = 0, confidence_level: float = 0.95
    ) -> Estimate:
        """Estimate quantiles of R_l, with intervals between order statistics.

        They hold whatever the law, and cover at least as often as `confidence_level` says. Dead
        samples count as −inf.

        Parameters
        ----------
        q : float or array_like
            Between 0 and 1.
        layer : int, default 0
        confidence_level : float, default 0.95
            Between 0 and 1; for each quantile by itself.

        Returns
        -------
        Estimate
            Of floats, or of arrays of the shape of `q`. A limit is infinite where the samples are
            too few for it.

        Raises
        ------
        TypeError, ValueError
            If `q` or the level is no number between 0 and 1, or the layer was not recorded.

        Examples
        --------
        >>> import vgsim
        >>> s = vgsim.simulate(vgsim.MLP(depth=10, width=32), 1000)
        >>> median = s.quantile_interval(0.5)
        >>> median.low < s.quantile(0.5) < median.high
        True
        """
        return quantile_interval(self._ratio(layer), q, confidence_level)

    def mean_interval(self, layer: int = 0, confidence_level: float = 0.95) -> Estimate:
        """Estimate the mean of R_l over the samples that are not dead, by the bootstrap.

        SciPy's bootstrap, bias-corrected and accelerated; from more than 200 samples it resamples
        200 groups of them. The same samples give the same interval.

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

    def variance_interval(self, layer: int = 0, confidence_level: float = 0.95) -> Estimate:
        """Estimate the variance of R_l over the samples that are not dead, by the bootstrap.

        As :meth:`mean_interval`; the estimate is the square of :meth:`std`.

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
        """Compare the law of ‖G_l‖/‖G_D‖ with a log-normal one, and with the exact one if known.

        Parameters
        ----------
        layer : int, default 0
        confidence_level : float, default 0.95
            Of the moments' intervals; between 0 and 1.

        Returns
        -------
        LogNormalFit
            Moments of ln(‖G_l‖²/‖G_D‖²) over the samples that are not dead, and the tests of
            Kolmogorov and Smirnov (in Lilliefors's form) and of Anderson and Darling.

        Raises
        ------
        TypeError, ValueError
            If fewer than eight samples are alive there or all are equal, the layer was not
            recorded, or the level is no number between 0 and 1.

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
        """R_l of the samples that are not dead, of which `name` needs some; shape (n_alive,)."""
        ratio = self._ratio(layer)
        living = ratio[ratio > -np.inf]
        require_living(name, needed, living.size, ratio.size, layer)
        return living
