"""Simulated networks beside the exact and asymptotic laws of theory: ``python -m verification``."""
