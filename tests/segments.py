"""Forward passes in segments, whatever the size of a lane group."""

from vgsim._engine import plan
from vgsim._engine.settings import Settings


def plan_of(network, threads=1, **choice):
    """Return the plan of `simulate` for a network."""
    return plan.Plan(network, Settings.checked(**choice).of(network), threads)


def cut_into_segments(monkeypatch, whole, size, stored):
    """Limit the stored fractions of a pass of the plan `stored`: its end, and one segment."""
    total = int(stored._place_bytes.sum())
    monkeypatch.setattr(plan, "WHOLE_BYTES", int(whole * total))
    monkeypatch.setattr(plan, "SEGMENT_BYTES", max(1, int(size * total)))
