"""Training of many networks side by side, in JAX, and layerwise pre-training."""
