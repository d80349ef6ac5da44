"""What tests of training share."""

import pytest


@pytest.fixture(scope="module")
def quickly_compiled():
    """Let JAX compile in less time to slower code, for networks that take few steps."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
