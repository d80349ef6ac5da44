"""Minibatches: distinct random rows, at a cost that does not grow with the number of rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["distinct_rows"]

FEW = 256  # rows of which all pairs are compared; more are sorted


def distinct_rows(key: jax.Array, rows: int, count: int) -> jax.Array:
    """Draw `count` distinct rows out of 0 … rows − 1, each ordered choice with equal probability.

    Rows are drawn independently, and those that repeat an earlier one are drawn again until all are
    distinct. The procedure treats all rows alike, so every choice has the same probability. If more
    than half of the rows are wanted, a random permutation costs less.

    Parameters
    ----------
    key : JAX key
    rows, count : int
        count ≤ rows.

    Returns
    -------
    int32 array, (count,)

    Examples
    --------
    >>> import jax
    >>> from vgsim._training.minibatches import distinct_rows
    >>> sorted(distinct_rows(jax.random.key(0), 5, 5).tolist())
    [0, 1, 2, 3, 4]
    """
    if 2 * count > rows:
        return jax.random.permutation(key, rows)[:count].astype(jnp.int32)
    repeated = repeated_of_few if count <= FEW else repeated_of_many

    def again(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        drawn, repeats, key = state
        key, own = jax.random.split(key)
        fresh = jax.random.randint(own, (count,), 0, rows, jnp.int32)
        drawn = jnp.where(repeats, fresh, drawn)
        return drawn, repeated(drawn), key

    key, own = jax.random.split(key)
    drawn = jax.random.randint(own, (count,), 0, rows, jnp.int32)
    state = drawn, repeated(drawn), key
    return jax.lax.while_loop(lambda state: jnp.any(state[1]), again, state)[0]


def repeated_of_few(drawn: jax.Array) -> jax.Array:
    """Return which numbers equal an earlier one, by all pairs."""
    earlier = jnp.tril(jnp.ones((drawn.size, drawn.size), bool), -1)
    return jnp.any((drawn[:, None] == drawn[None, :]) & earlier, axis=1)


def repeated_of_many(drawn: jax.Array) -> jax.Array:
    """Return which numbers equal an earlier one, by sorting.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from vgsim._training.minibatches import repeated_of_many
    >>> repeated_of_many(jnp.array([3, 1, 3, 2, 1, 3])).astype(int).tolist()
    [0, 0, 1, 0, 1, 1]
    """
    order = jnp.argsort(drawn, stable=True)
    equal = drawn[order][1:] == drawn[order][:-1]
    return jnp.zeros(drawn.size, bool).at[order[1:]].set(equal)
