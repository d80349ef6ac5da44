"""The figures of vgsim depth --plot and vgsim run --plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vgsim import plotting
from vgsim._cli.figures import SIZE, new_figure, save_figure
from vgsim._statistics.estimate import Estimate
from vgsim.plotting.style import once, show_legend

__all__ = ["CurveFigure"]


class CurveFigure:
    """Probabilities against depth, one panel per event, drawn one curve at a time."""

    def __init__(self, xlabel: str, *ylabels: str) -> None:
        width, height = SIZE
        self.figure = new_figure(width * len(ylabels), height)
        self.axes = list(np.atleast_1d(self.figure.subplots(1, len(ylabels))))
        self._labels = [{"xlabel": xlabel, "ylabel": ylabel} for ylabel in ylabels]

    def add(
        self,
        depths: Sequence[int],
        estimate: Estimate,
        theory: Sequence[float | None],
        label: str,
        panel: int = 0,
    ) -> plotting.Artists:
        """Draw one curve with its band and its theory."""
        known = theory if any(value is not None for value in theory) else None
        own = self._labels[panel]
        return plotting.probability(
            depths, estimate, theory=known, label=label, ax=self.axes[panel], **own
        )

    def mark(self, depth: Estimate, level: float, color: Any) -> None:
        """Mark a critical depth, with its interval, at the level of the probability."""
        ends = [depth.estimate - depth.low, depth.high - depth.estimate]
        reach = [[end if np.isfinite(end) else 0.0] for end in ends]
        ax, name = self.axes[0], "critical depth"
        ax.errorbar(
            [depth.estimate],
            [level],
            xerr=reach,
            color=color,
            linestyle="none",
            marker="|",
            markersize=14,
            markeredgewidth=2,
            capsize=3,
            label=once(ax, name),
        )
        show_legend(ax)

    def save(self, path: Path) -> None:
        """Write the figure."""
        save_figure(self.figure, path)
