"""The pictures of vgsim run: block characters below its tables, and the figure of --plot."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vgsim import plotting
from vgsim._cli.curve_figure import CurveFigure
from vgsim._cli.figures import new_figure, save_figure
from vgsim._cli.network_text import distinct_labels
from vgsim._cli.terminal_curves import BlockRow, block_curves, can_show
from vgsim._networks.description import Network
from vgsim._results.curves import stacked
from vgsim._results.samples import Samples
from vgsim._statistics.binomial import Probability
from vgsim._studies.points import value_label
from vgsim.theory._prediction import predict
from vgsim.typing import RelativeEvent

__all__ = ["RunPictures"]

EVENTS: tuple[RelativeEvent, ...] = ("vanishing", "exploding")


class RunPictures:
    """What pictures show of each network, recorded run by run, as samples are not kept.

    Parameters
    ----------
    options : argparse.Namespace
        Those of ``vgsim run``.
    groups : sequence of sequence of Network
        Networks that differ in depth only: one curve per group.
    """

    def __init__(self, options: argparse.Namespace, groups: Sequence[Sequence[Network]]) -> None:
        self._options, self._groups = options, groups
        self._labels = distinct_labels(groups)
        self._is_curve = max(map(len, groups)) > 1
        self._sampling = {"batch_size": options.batch_size, "loss": options.loss}
        self._found: list[Mapping[str, Probability]] = []
        self._values: list[NDArray[np.float64]] = []  # of R, if the figure shows its densities

    def watching(
        self,
        results: Iterable[Samples],
        probabilities: Callable[[Samples], Mapping[str, Probability]],
    ) -> Iterator[Samples]:
        """Yield the results of all networks in order, and record of each what pictures show."""
        for samples in results:
            self._found.append(probabilities(samples))
            self._sampling["inputs"] = samples.inputs
            if self._options.plot is not None and not self._is_curve:
                self._values.append(samples.log10_ratio[:, samples.column(self._options.layer)])
            yield samples

    def in_blocks(self) -> str:
        """Return the probabilities against depth in block characters; "" if it is not the place."""
        if self._options.format != "text" or not self._is_curve or not can_show():
            return ""
        rows: dict[str, list[BlockRow]] = {f"P({event})": [] for event in EVENTS}
        for label, group, found in self._by_group():
            for event in EVENTS:
                values = [p[event].estimate for p in found]
                by_depth = dict(zip((network.depth for network in group), values, strict=True))
                rows[f"P({event})"].append(BlockRow(label, by_depth))
        return block_curves(rows, self._groups[0][0]._length())

    def save(self) -> None:
        """Draw and write the figure: probabilities against depth, or for one depth densities."""
        if self._is_curve:
            self._curves().save(self._options.plot)
            return
        figure = new_figure()
        ax = figure.subplots()
        for label, values in zip(self._labels, self._values, strict=True):
            plotting.histogram(values, label=label, threshold=self._options.threshold, ax=ax)
        save_figure(figure, self._options.plot)

    def _curves(self) -> CurveFigure:
        """Return the curves of vanishing and, if a gradient exploded, of exploding."""
        exploded = any(found["exploding"].events for found in self._found)
        events = EVENTS if exploded else EVENTS[:1]
        layer, threshold = self._options.layer, self._options.threshold
        labels = [value_label(event, layer, threshold) for event in events]
        figure = CurveFigure(self._groups[0][0]._length(), *labels)
        for label, group, found in self._by_group():
            theory = [predict(net, layer, **self._sampling) for net in group]
            for panel, event in enumerate(events):
                known = [one.probability(event, threshold) for one in theory]
                estimate = stacked([p[event] for p in found])
                figure.add([net.depth for net in group], estimate, known, label, panel)
        return figure

    def _by_group(
        self,
    ) -> Iterator[tuple[str, Sequence[Network], Sequence[Mapping[str, Probability]]]]:
        """Yield the label of each group, its networks and what was found of them."""
        first = 0
        for label, group in zip(self._labels, self._groups, strict=True):
            yield label, group, self._found[first : first + len(group)]
            first += len(group)
