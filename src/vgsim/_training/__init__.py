"""Learning: training of many networks in JAX, and pre-training."""
