"""Trainings as HTML for notebooks: a short table and a picture of the loss."""

from __future__ import annotations

from typing import Any

from vgsim._display import block
from vgsim.plotting.embedded import embedded

__all__ = ["training_html"]


def training_html(training: Any) -> str:
    """Return a Training as HTML: its summary at up to nine steps, and a fan of the loss.

    A training with one recorded step has no picture.
    """
    summary = training.summary()._repr_html_()
    if training.steps.size == 1:
        return block(summary)
    words = "quantiles of the loss against the step"
    return block(summary, embedded(lambda ax: training.plot(ax=ax), words))
