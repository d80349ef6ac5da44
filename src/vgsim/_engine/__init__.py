"""Simulation: settings, plans and runs of the kernels."""
