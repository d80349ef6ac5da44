"""Comparison of simulated networks with theory: ``python -m verification``."""
