"""Benchmarks of vgsim, against peers and against limits of the processor: ``python -m bench``."""
