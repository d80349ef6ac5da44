"""Precision: how well a probability must be known before sampling stops."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from vgsim._checks import (
    COUNTERS,
    RELATIVE,
    THRESHOLD,
    Choice,
    Number,
    brief,
    checked_int,
    value_error,
)
from vgsim._results.events import checked_event
from vgsim._statistics.binomial import confidence_sequence
from vgsim._statistics.estimate import LEVEL

_HALF_WIDTH = Number("a number strictly between 0 and 0.5", lambda width: 0 < width < 0.5)
_RELATIVE = Number("a positive number", lambda relative: relative > 0)
_EVENT = Choice((*RELATIVE, "dead"))


@dataclass(frozen=True, repr=False)
class Precision:
    """A stopping rule: sample until the probability of an event is known well enough.

    It is, when half the width of its anytime-valid interval is at most `half_width`, or at most
    `relative` times the estimate. That interval belongs to a confidence sequence, all of whose
    members contain the true probability at once with probability `confidence_level` or more. So it
    covers where the rule stopped too, as a Wilson or an exact interval need not.

    Parameters
    ----------
    half_width : float, optional
        Strictly between 0 and 0.5.
    relative : float, optional
        Positive; it is never reached while no event was seen. Exactly one of `half_width` and
        `relative` is given.
    event : {"vanishing", "exploding", "healthy", "dead"}, default "vanishing"
        What is watched, as in :meth:`Samples.probability`.
    layer : int, default 0
        The layer l where it is watched.
    threshold : float, default 1e-6
        For vanishing, exploding and healthy; 0 < threshold <= 1.
    confidence_level : float, default 0.95
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of the above, both or none of the first two are given, or a threshold
        is given with "dead".

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
    event: str = field(default="vanishing", kw_only=True)
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
        """Return whether `events` of `n` samples are enough.

        Parameters
        ----------
        events, n : int
            The event happened in `events` of the first `n` samples; 0 <= events <= n.

        Raises
        ------
        TypeError, ValueError
            If not so.

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
