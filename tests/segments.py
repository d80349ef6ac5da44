"""Forward passes that are not stored as a whole, whatever the size of a lane group."""

from vgsim._engine import plan
from vgsim._engine.settings import Settings


def plan_of(network, threads=1, **choice):
    """The plan by which `simulate` runs."""
    return plan.Plan(network, Settings.checked(**choice).of(network), threads)


def cut_into_segments(monkeypatch, whole, size, stored):
    """Let no more than these shares of the pass of a plan be stored: the end of it, a segment."""
    total = int(stored._layer_bytes.sum())
    monkeypatch.setattr(plan, "WHOLE_BYTES", int(whole * total))
    monkeypatch.setattr(plan, "SEGMENT_BYTES", max(1, int(size * total)))
