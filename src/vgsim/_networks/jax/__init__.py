"""Networks as functions in JAX: their laws of parameters, and the pass over their operations."""
