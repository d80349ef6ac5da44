"""Attention at extremes, by closed forms and by 60-digit arithmetic, and dropout."""

import math

import mpmath
import numpy as np
import pytest

import vgsim
from vgsim._twin.attention import Attention
from vgsim._twin.scaled import normalised, scaled

QUERIES = ("query", "key", "value", "output")


def attention(n, tokens, heads=1, **fields):
    return vgsim.Sequential(n, [vgsim.Attention(heads, **fields)], tokens=tokens)


def matrices(rng, n, scale=1.0):
    """W_q, W_k, W_v and W_o by name; `scale` is that of W_q."""
    drawn = {f"0.{name}": rng.normal(size=(n, n)) / math.sqrt(n) for name in QUERIES}
    return drawn | {"0.query": scale * drawn["0.query"]}


def finite(result):
    return all(
        not np.isnan(getattr(result, name)).any()
        for name in ("gradient", "weight_gradient", "update_ratio", "activation")
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_one_token_is_the_value_path(heads, causal, rng):
    P, x, g = matrices(rng, 4), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    result = vgsim.evaluate(attention(4, 1, heads, causal=causal), P, x, g)
    linear = vgsim.Sequential(4, [[vgsim.Linear(), vgsim.Linear()]])
    value = {"0.0.weight": P["0.value"], "0.1.weight": P["0.output"]}
    expected = vgsim.evaluate(linear, value, x, g)
    for name in ("gradient", "activation", "weight_gradient", "gradient_correlation"):
        np.testing.assert_allclose(getattr(result, name), getattr(expected, name), rtol=1e-14)
    sizes = [np.linalg.norm(P[f"0.{name}"]) for name in QUERIES]
    ratio = expected.weight_gradient[0] - math.log10(np.linalg.norm(sizes))
    assert result.update_ratio[0] == pytest.approx(ratio, rel=1e-13)


@pytest.mark.parametrize("scale", [1.0, 1e20, 1e-20, 1e200])
def test_equal_tokens_are_the_value_path(scale, rng):
    """The scores of a query are equal, and so are the values: softmax changes nothing."""
    P, x = matrices(rng, 4, scale), np.repeat(rng.normal(size=(4, 2)), 5, axis=1)
    g = rng.normal(size=(4, 10))
    result = vgsim.evaluate(attention(4, 5, 2), P, x, g)
    path = P["0.output"] @ P["0.value"]
    mean = np.repeat(g.reshape(4, 2, 5).mean(axis=2), 5, axis=1)
    assert 10 ** result.gradient[0] == pytest.approx(np.linalg.norm(path.T @ mean), rel=1e-12)
    rms = np.sqrt(np.mean((path @ x) ** 2))
    assert 10 ** result.activation[1] == pytest.approx(rms, rel=1e-12)


def dominant(P, x, tokens, causal):
    """P of a saturated head: the one key of the largest score, as a matrix of zeros and ones."""
    scores = (P["0.key"] @ x).T @ (P["0.query"] @ x)
    if causal:
        scores = np.where(np.triu(np.ones((tokens, tokens), dtype=bool)), scores, -np.inf)
    return np.eye(tokens)[np.argmax(scores, axis=0)].T


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [1e20, 1e100, 1e300])
def test_saturated_heads_take_one_value(scale, causal, rng):
    P, x, g = matrices(rng, 4, scale), rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    result = vgsim.evaluate(attention(4, 6, causal=causal), P, x, g)
    one_hot = dominant(P, x, 6, causal)
    assert finite(result)
    path = P["0.output"] @ P["0.value"]
    assert 10 ** result.activation[1] == pytest.approx(
        np.sqrt(np.mean((path @ x @ one_hot) ** 2)), rel=1e-12
    )
    assert 10 ** result.gradient[0] == pytest.approx(
        np.linalg.norm(path.T @ g @ one_hot.T), rel=1e-12
    )


def test_scores_beyond_the_range_of_float64(rng):
    """Forty layers multiply the tokens by 1e20 each, so that scores reach 10^1600."""
    n, T = 4, 3
    layers = [vgsim.Linear()] * 40 + [vgsim.Attention()]
    net = vgsim.Sequential(n, layers, tokens=T)
    P = {f"{i}.weight": 1e20 * np.eye(n) for i in range(40)}
    own = matrices(rng, n)
    P |= {name.replace("0.", "40."): W for name, W in own.items()}
    x, g = rng.normal(size=(n, T)), rng.normal(size=(n, T))
    result = vgsim.evaluate(net, P, x, g)
    assert finite(result)
    y = own["0.output"] @ own["0.value"] @ x @ dominant(own, x, T, causal=False)
    expected = 800 + math.log10(np.sqrt(np.mean(y**2)))
    assert result.activation[-1] == pytest.approx(expected, rel=1e-13)


def by_60_digits(q, k, v, c, causal):
    """Y, ∂L/∂Q, ∂L/∂K and ∂L/∂V of one head, all arithmetic with 60 digits."""
    Q, K, V, C = (mpmath.matrix(a.tolist()) for a in (q, k, v, c))
    n, T = q.shape
    S = K.T * Q / mpmath.sqrt(n)
    A, dA, dS = mpmath.matrix(T, T), V.T * C, mpmath.matrix(T, T)
    for u in range(T):
        seen = range(u + 1) if causal else range(T)
        total = mpmath.fsum(mpmath.exp(S[t, u]) for t in seen)
        for t in seen:
            A[t, u] = mpmath.exp(S[t, u]) / total
        mean = mpmath.fsum(A[t, u] * dA[t, u] for t in seen)
        for t in seen:
            dS[t, u] = A[t, u] * (dA[t, u] - mean) / mpmath.sqrt(n)
    return V * A, K * dS, Q * dS.T, C * A.T


SIZES = {
    "ordinary": np.ones((4, 4)),
    "tiny key": [[1, 1, 1, 1], [1, 1e-30, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]],
    "tiny query and value": [[1, 1e-40, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1e-20], [1, 1, 1, 1]],
    "tiny and huge": [[1e-9, 1, 1, 1], [1, 1e9, 1, 1], [1e60, 1, 1e-60, 1], [1, 1e30, 1, 1]],
    "long": [[1, 3, 1, 1], [1, 8, 5, 1], [1, 1, 1, 1], [1, 1, 1, 1]],
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", SIZES)
def test_every_column_by_60_digits(name, causal, rng):
    """Columns of very different sizes keep their digits; softmax weights below 1e-308 are zero."""
    arrays = [np.asarray(size) * rng.normal(size=(3, 4)) for size in SIZES[name]]
    head = Attention(1, causal, 4)
    y = head(*map(scaled, arrays[:3]))
    with mpmath.workdps(60):
        expected = by_60_digits(*arrays, causal)
        for result, exact in zip((y, *head.back(scaled(arrays[3]))), expected, strict=True):
            actual = result.by_column
            for b in range(4):
                column = [mpmath.ldexp(m, int(actual.exponent[b])) for m in actual.mantissa[:, b]]
                size = mpmath.norm(exact[:, b])
                assert mpmath.norm(mpmath.matrix(column) - exact[:, b]) <= 1e-12 * size + 1e-150


def test_equal_values_leave_scores_without_a_gradient(rng):
    q, k, c = (rng.normal(size=(4, 6)) for _ in range(3))
    v = np.repeat(rng.normal(size=(4, 1)), 6, axis=1)
    head = Attention(2, False, 3)
    y = head(*map(scaled, (q, k, v)))
    np.testing.assert_allclose(y.mantissa * 2.0**y.exponent, v, rtol=1e-15)
    by_query, by_key, by_value = head.back(scaled(c))
    assert not by_query.mantissa.any()
    assert not by_key.mantissa.any()
    assert by_value.mantissa.any()


def test_heads_and_sequences_are_separate(rng):
    """Two heads of two sequences are four attentions of one head and sequence."""
    arrays = [normalised(rng.normal(size=(4, 6))) for _ in range(4)]
    both = Attention(2, True, 3)
    joined = [both(*arrays[:3]), *both.back(arrays[3])]
    for rows in (slice(0, 2), slice(2, 4)):
        for columns in (slice(0, 3), slice(3, 6)):
            parts = [scaled(a.mantissa[rows, columns], a.exponent[columns]) for a in arrays]
            one = Attention(1, True, 3)
            for whole, part in zip(joined, (one(*parts[:3]), *one.back(parts[3])), strict=True):
                np.testing.assert_allclose(
                    (whole.mantissa * 2.0**whole.exponent)[rows, columns],
                    part.mantissa * 2.0**part.exponent,
                    rtol=1e-13,
                )


def test_three_hundred_tokens(rng):
    P, x = matrices(rng, 8, 1e20), rng.normal(size=(8, 300))
    result = vgsim.evaluate(attention(8, 300, 4, causal=True), P, x, rng.normal(size=(8, 300)))
    assert finite(result)
    assert not result.dead


# Dropout


def test_a_mask_that_keeps_nothing_kills_and_one_that_keeps_all_scales(rng):
    net = vgsim.Sequential(4, [vgsim.Linear(), vgsim.Dropout(0.99), vgsim.Linear()])
    P = {f"{i}.weight": rng.normal(size=(4, 4)) for i in (0, 2)}
    x, g = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    assert vgsim.evaluate(net, P | {"1.mask": np.zeros((4, 3))}, x, g).dead
    kept = vgsim.evaluate(net, P | {"1.mask": np.ones((4, 3))}, x, g)
    product = P["2.weight"] @ P["0.weight"]
    assert 10 ** kept.gradient[0] == pytest.approx(100 * np.linalg.norm(product.T @ g), rel=1e-12)
    column = np.zeros((4, 3))
    column[:, 1] = 1
    one = vgsim.evaluate(net, P | {"1.mask": column}, x, g)
    norm = 100 * np.linalg.norm(product.T @ g[:, 1])
    assert 10 ** one.gradient[0] == pytest.approx(norm, rel=1e-12)
    assert one.gradient_correlation[0] == 0.0
