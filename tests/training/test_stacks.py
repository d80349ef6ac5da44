"""Stacks of samples: their sizes, their memory, and the precision of JAX between them."""

from types import SimpleNamespace

import numpy as np
import pytest

import vgsim

jax = pytest.importorskip("jax")
pytest.importorskip("optax")

from vgsim._networks.jax.backward import times_power  # noqa: E402
from vgsim._studies.training_store import TrainingStore  # noqa: E402
from vgsim._training.stacks import stack_sizes, working_bytes  # noqa: E402
from vgsim._training.step import Carry  # noqa: E402


def shapes(batch_size):
    """Return the parts of a training of 8 → 8 that matter to its memory."""
    kind = SimpleNamespace(
        structure=SimpleNamespace(widths=(8, 8)), columns=batch_size, dtype="float32"
    )
    W = {"0.weight": jax.ShapeDtypeStruct((8, 8), "float32")}
    return kind, Carry(W, {}, (), W, jax.eval_shape(jax.random.key, 0))


@pytest.mark.parametrize("batch_size", [32, 2**12, 2**22])
def test_a_stack_is_bounded_by_its_memory(batch_size):
    kind, carry = shapes(batch_size)
    sizes = stack_sizes(kind, carry, 10_000)
    assert sum(sizes) == 10_000
    assert max(sizes) * 64 <= 2**19
    assert max(sizes) * working_bytes(kind, carry) <= 2**29 or max(sizes) == 1


def test_double_precision_is_off_between_stacks(tmp_path, monkeypatch):
    """A store that fails must not leave JAX in its x64 mode."""
    seen, write = [], TrainingStore.write

    def watched(self, task, part):
        seen.append(jax.config.jax_enable_x64)
        return write(self, task, part)

    monkeypatch.setattr(TrainingStore, "write", watched)
    training = vgsim.train(
        vgsim.MLP(1, [3, 2]),
        2,
        data="teacher",
        loss="mse",
        steps=1,
        optimizer="sgd",
        learning_rate=0.1,
        batch_size=4,
        dtype="float64",
        store=tmp_path / "a.sqlite",
        record=("parameters",),
    )
    assert seen == [jax.config.jax_enable_x64] == [False]
    weights = training.parameters["0.weight"]
    assert (weights != weights.astype(np.float32)).any()


def test_powers_of_two_are_exact():
    """XLA's exp2 is not."""
    exponents = np.arange(-120, 121).astype(np.float32)
    a = np.float32(1.2345678)
    found = jax.vmap(times_power, (None, 0))(a, exponents)
    np.testing.assert_array_equal(found, np.ldexp(a, exponents.astype(int)))
    assert times_power(np.float32(0), np.float32(200)) == 0
