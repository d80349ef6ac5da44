"""Plots of probabilities, distributions and profiles of gradients, with matplotlib."""

from vgsim.plotting.artists import Artists

__all__ = ["Artists"]
