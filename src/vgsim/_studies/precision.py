"""Precision: a stop rule, the precision of a probability at which sampling ends."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from vgsim._checks import COUNTED, COUNTERS, THRESHOLD, brief, value_error
from vgsim._domains import Choice, Number, checked_int
from vgsim._results.events import checked_event
from vgsim._statistics.binomial import confidence_sequence
from vgsim._statistics.estimate import LEVEL
from vgsim.typing import CountedEvent

_HALF_WIDTH = Number("a number strictly between 0 and 0.5", lambda width: 0 < width < 0.5)
_RELATIVE = Number("a positive number", lambda relative: relative > 0)
_EVENT = Choice(COUNTED)


@dataclass(frozen=True, repr=False)
class Precision:
    """A stop rule: sample until the probability of an event is known to a given precision.

    The rule is met when the half-width of the confidence interval of the probability is at most
    `half_width`, or at most `relative` times the estimate. The interval is a member of a confidence
    sequence: with probability `confidence_level` or more, the intervals of all sample sizes contain
    the true probability. The interval is therefore valid at the sample size at which the rule ends
    the sampling; a Wilson or an exact interval need not be.

    Parameters
    ----------
    half_width : float, optional
        Strictly between 0 and 0.5.
    relative : float, optional
        Positive; never met before an event was seen. Exactly one of `half_width` and `relative`
        must be given.
    event : {"vanishing", "exploding", "healthy", "dead"}, default "vanishing"
        The event, as in :meth:`Samples.probability`.
    layer : int, default 0
        The layer l of the event.
    threshold : float, default 1e-6
        For vanishing, exploding and healthy; 0 < threshold <= 1.
    confidence_level : float, default 0.95
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, both or neither of `half_width` and `relative` are given, or
        a threshold is given with "dead".

    Examples
    --------
    >>> import vgsim
    >>> rule = vgsim.Precision(0.01, event="exploding")
    >>> rule
    Precision(0.01, event='exploding')
    >>> rule.reached(500, 1000), rule.reached(50_000, 100_000)
    (False, True)
    """

    half_width: float | None = None
    relative: float | None = field(default=None, kw_only=True)
    event: CountedEvent = field(default="vanishing", kw_only=True)
    layer: int = field(default=0, kw_only=True)
    threshold: float = field(default=THRESHOLD, kw_only=True)
    confidence_level: float = field(default=0.95, kw_only=True)

    def __post_init__(self) -> None:
        if (self.half_width is None) == (self.relative is None):
            raise value_error(
                "half_width",
                "or relative must be given, and not both, got "
                f"half_width={brief(self.half_width)}, relative={brief(self.relative)}",
            )
        checked: dict[str, object] = {
            "event": _EVENT.check("event", self.event),
            "layer": checked_int("layer", self.layer, 0, COUNTERS - 1),
            "confidence_level": LEVEL.check("confidence_level", self.confidence_level),
        }
        if self.half_width is not None:
            checked["half_width"] = _HALF_WIDTH.check("half_width", self.half_width)
        if self.relative is not None:
            checked["relative"] = _RELATIVE.check("relative", self.relative)
        checked["threshold"] = checked_event(self.event, self.threshold)[1]
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def reached(self, events: int, n: int) -> bool:
        """Return whether the rule is met after n samples.

        Parameters
        ----------
        events : int
            Number of samples with the event; 0 <= events <= n.
        n : int
            Number of samples.

        Raises
        ------
        TypeError, ValueError
            If one of them is not such an int.

        Examples
        --------
        >>> import vgsim
        >>> rule = vgsim.Precision(relative=0.5, event="dead")
        >>> rule.reached(0, 10**9), rule.reached(1000, 10**9)
        (False, True)
        """
        low, high = confidence_sequence(events, n, self.confidence_level)
        if self.half_width is not None:
            enough = self.half_width
        else:
            assert self.relative is not None
            enough = self.relative * events / n if n else 0.0
        return (high - low) / 2 <= enough

    def __repr__(self) -> str:
        shown = [] if self.half_width is None else [repr(self.half_width)]
        shown += [
            f"{item.name}={getattr(self, item.name)!r}"
            for item in fields(self)[1:]
            if getattr(self, item.name) != item.default
        ]
        return f"Precision({', '.join(shown)})"
