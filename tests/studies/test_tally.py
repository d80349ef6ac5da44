"""Tallies and blocks, compared with counts of the samples in Python integers."""

from __future__ import annotations

import copy
import math
import pickle
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import vgsim
from vgsim._studies.blocks import BLOCK, Blocks
from vgsim._studies.store_rows import joined, packed, unpacked
from vgsim._studies.tally import BINS, FRACTION_BITS, Tally, gathered
from vgsim._studies.task import Task

THRESHOLDS = (1e-6, 1e-3, 1.0)
EVENTS = ("vanishing", "exploding", "healthy")


def samples_of(ratio, first=0, output=None, rms=None):
    """Samples with a given log10 ratio, shape (n, k), at layers 1 … k; −inf where dead."""
    ratio = np.asarray(ratio, dtype=float)
    n, k = ratio.shape
    output = np.zeros(n) if output is None else output
    gradient = ratio + output[:, np.newaxis]
    rms_min, rms_max = (gradient, gradient) if rms is None else rms
    return vgsim.Samples(
        vgsim.MLP(k, 8),
        seed=0,
        index=np.arange(first, first + n),
        layers=np.arange(1, k + 1),
        engine="dense",
        dtype="float64",
        batch_size=1,
        loss="linear",
        inputs="normal",
        provenance={},
        elapsed=0.0,
        gradient=gradient,
        output_gradient=output,
        dead=np.zeros(n, dtype=bool),
        rms_min=rms_min,
        rms_max=rms_max,
    )


@st.composite
def some_samples(draw):
    """Samples of different numbers and ranges of R, with dead ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, k = draw(st.integers(1, 2600)), draw(st.integers(1, 3))
    scale = draw(st.sampled_from([0.0, 1e-9, 0.1, 3.0, 200.0, 1e8]))
    ratio = draw(st.sampled_from([-6.0, 0.0, 2e8])) + rng.normal(size=(n, k)) * scale
    ratio[rng.random((n, k)) < draw(st.sampled_from([0.0, 0.1, 1.0]))] = -np.inf
    rms = rng.uniform(-60, 45, (2, n, k))
    return samples_of(ratio, draw(st.integers(0, 3000)), rng.normal(size=n), (rms[0], rms[1]))


def part(samples, start, end):
    """Some rows of samples, as samples."""
    rows = slice(start, end)
    names = ("gradient", "output_gradient", "dead", "rms_min", "rms_max")
    kept = ("network", "seed", "engine", "dtype", "batch_size", "loss", "inputs")
    return vgsim.Samples(
        **{name: getattr(samples, name) for name in kept},
        index=samples.index[rows],
        layers=samples.layers,
        provenance={},
        elapsed=0.0,
        **{name: getattr(samples, name)[rows] for name in names},
    )


@given(some_samples())
@settings(max_examples=40)
def test_a_tally_is_what_python_counts_in_exact_numbers(samples):
    tally = Blocks.of(samples, THRESHOLDS).total()
    assert tally.n == len(samples)
    for j, layer in enumerate(samples.layers.tolist()):
        for event in EVENTS:
            for threshold in THRESHOLDS:
                expected = samples.probability(event, layer, threshold)
                assert tally.probability(event, layer, threshold) == expected
        for event in ("underflow", "overflow"):
            for dtype in ("float16", "bfloat16", np.float32):
                expected = samples.probability(event, layer, dtype=dtype)
                assert tally.probability(event, layer, dtype=dtype) == expected
        assert tally.events("dead", layer) == samples.probability("dead", layer).events
        living = [r for r in samples.log10_ratio[:, j].tolist() if r > -math.inf]
        q = [round(Fraction(r) * 2**FRACTION_BITS) for r in living]
        assert tally.sums[j] == sum(q)
        assert tally.squares[j] == sum(x * x for x in q)
        bins, counts = tally.histogram[j]
        expected = sorted(Counter(math.floor(Fraction(r) * BINS) for r in living).items())
        assert list(zip(bins.tolist(), counts.tolist(), strict=True)) == expected


@given(some_samples(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_cut_anywhere_and_added_in_any_order_tallies_are_equal(samples, random):
    whole = Blocks.of(samples, THRESHOLDS).total()
    n = len(samples)
    cuts = sorted({0, n, *(random.randrange(n) for _ in range(random.randrange(6)))})
    parts = [Blocks.of(part(samples, a, b), THRESHOLDS).total() for a, b in pairwise(cuts)]
    random.shuffle(parts)
    assert sum(parts) == whole
    half = len(parts) // 2
    if half:
        assert sum(parts[half:]) + sum(parts[:half]) == whole
    assert whole + Tally.empty(samples.layers, THRESHOLDS) == whole
    changed = Blocks.of(part(samples, 0, 1), THRESHOLDS).total() + whole
    assert changed != whole


@given(some_samples(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
@settings(max_examples=40)
def test_statistics_are_those_of_the_samples(samples, q):
    tally = Blocks.of(samples, THRESHOLDS).total()
    for j, layer in enumerate(samples.layers.tolist()):
        q = np.array([0.0, 0.5, 1.0, *q])
        expected, found = samples.quantile(q, layer), tally.quantile(q, layer)
        scale = np.abs(np.nan_to_num(expected, neginf=0.0))
        infinite = np.isneginf(expected)
        np.testing.assert_array_equal(np.isneginf(found), infinite)
        error = np.subtract(found, expected, where=~infinite, out=np.zeros(q.size))
        assert np.all(np.abs(error) <= 1 / BINS + 1e-12 * scale)
        ascending = tally.quantile(np.sort(q), layer)
        assert np.all(ascending[1:] >= ascending[:-1])
        living = samples.log10_ratio[:, j]
        living = living[living > -np.inf]
        for name, needed in (("mean", 1), ("std", 2)):
            if living.size < needed:
                with pytest.raises(ValueError, match=f"{name} needs {needed} or more samples"):
                    getattr(tally, name)(layer)
                continue
            exact = getattr(samples, name)(layer)
            tolerance = 1e-8 + 1e-12 * np.abs(living).max()
            assert getattr(tally, name)(layer) == pytest.approx(exact, rel=0, abs=tolerance)


def test_cdf_is_exact_between_bins_and_monotonic_within(rng):
    ratio = rng.normal(-2, 1.5, (5000, 1))
    ratio[:100] = -np.inf
    samples = samples_of(ratio)
    tally = Blocks.of(samples, THRESHOLDS).total()
    edges = np.arange(-8 * BINS, 6 * BINS) / BINS
    np.testing.assert_allclose(tally.cdf(edges, 1), samples.cdf(edges, 1), rtol=1e-12)
    x = rng.uniform(-9, 5, 1000)
    assert np.all(tally.cdf(x, 1) >= samples.cdf(np.floor(x * BINS) / BINS, 1) - 1e-12)
    assert np.all(tally.cdf(x, 1) <= samples.cdf(np.ceil(x * BINS) / BINS, 1) + 1e-12)
    assert tally.cdf(-np.inf, 1) == 0.02
    assert tally.cdf(np.inf, 1) == 1.0
    assert isinstance(tally.cdf(-2, 1), float)
    with pytest.raises(ValueError, match="x must not be NaN"):
        tally.cdf(np.nan, 1)


def test_sums_are_exact_at_the_ends_of_the_range():
    """Float sums would lose most of their digits here."""
    ends = [-3e8 + 2.0**-24, 3e8, -(2.0**31) + 2.0**-21, 2.0**31 - 2.0**-21, 2.0**-32, -0.0]
    ratio = np.resize(ends, (3000, 1))
    ratio[::7] = -np.inf
    tally = Blocks.of(samples_of(ratio), (1.0,)).total()
    q = [int(Fraction(r) * 2**32) for r in ratio[:, 0].tolist() if r > -math.inf]
    assert tally.sums == (sum(q),)
    assert tally.squares == (sum(x * x for x in q),)
    assert len(str(tally.squares[0])) > 39  # more than 128 bits
    assert tally.quantile(1.0, 1) == pytest.approx(2.0**31, abs=1 / BINS)


@pytest.mark.parametrize("beyond", [2.0**31, -(2.0**31), 1e300])
def test_a_ratio_beyond_the_range_is_refused(beyond):
    with pytest.raises(ValueError, match="log10 ratio must be within ±2\\*\\*31"):
        Blocks.of(samples_of([[0.0], [beyond]]), (1e-6,))


def test_an_event_at_its_threshold_is_none():
    level = math.log10(1e-3)
    just = [level, np.nextafter(level, -9), -level, np.nextafter(-level, 9)]
    tally = Blocks.of(samples_of(np.array(just)[:, np.newaxis]), (1e-3,)).total()
    assert [tally.events(event, 1) for event in EVENTS] == [1, 1, 2]


def test_blocks_are_cut_at_multiples_and_know_their_events(rng):
    samples = samples_of(rng.normal(-3, 2, (3700, 2)), first=1500)
    blocks = Blocks.of(samples, THRESHOLDS)
    assert blocks.first.tolist() == [1500, 2000, 3000, 4000, 5000]
    assert blocks.count.tolist() == [500, 1000, 1000, 1000, 200]
    assert (len(blocks), blocks.end) == (5, 5200)
    for event in EVENTS:
        expected = [
            part(samples, a - 1500, a - 1500 + n).probability(event, 2, 1e-3).events
            for a, n in zip(blocks.first, blocks.count, strict=True)
        ]
        assert blocks.events(event, 2, 1e-3).tolist() == expected
    for m in range(1, 6):
        up_to = int(blocks.first[m - 1] + blocks.count[m - 1]) - 1500
        assert blocks.total(m) == Blocks.of(part(samples, 0, up_to), THRESHOLDS).total()
        assert blocks.head(m).total() == blocks.total(m)
        if m < 5:
            assert Blocks.join([blocks.head(m), blocks.tail(5 - m)]) == blocks
    pieces = [blocks.tail(5 - i).head(1) for i in range(5)]
    assert Blocks.join(pieces) == blocks
    assert blocks.head(4) != blocks


def test_many_blocks_are_the_same_as_few_at_a_time(rng):
    """More blocks than `Blocks.of` tallies at once."""
    samples = samples_of(rng.normal(size=(150_300, 1)), first=700)
    blocks = Blocks.of(samples, THRESHOLDS)
    step = 20_000
    cuts = [0, *range(300, 150_300, step), 150_300]
    apart = [Blocks.of(part(samples, a, b), THRESHOLDS) for a, b in pairwise(cuts)]
    assert Blocks.join(apart) == blocks


def test_blocks_survive_rows_and_pickles(rng):
    samples = samples_of(rng.normal(-3, 50, (2500, 3)))
    blocks = Blocks.of(samples, THRESHOLDS)
    task = Task(vgsim.MLP(9, 4), layers=blocks.layers, thresholds=THRESHOLDS)
    rows = list(packed(task, blocks))
    counts = [
        [(layer, x) for layer in task.layers for x in task.thresholds] == [c[:2] for c in row[-1]]
        for row in rows
    ]
    assert all(counts)
    assert joined(task, [unpacked(task, row[:-1], row[-1]) for row in rows]) == blocks
    assert pickle.loads(pickle.dumps(blocks)) == blocks
    assert pickle.loads(pickle.dumps(blocks.total())) == blocks.total()


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e9])
def test_bins_of_any_size_survive_rows(rng, scale):
    samples = samples_of(scale * rng.uniform(-1, 1, (1500, 1)))
    blocks = Blocks.of(samples, (1e-6,))
    task = Task(vgsim.MLP(9, 4), layers=blocks.layers)
    rows = list(packed(task, blocks))
    assert joined(task, [unpacked(task, row[:-1], row[-1]) for row in rows]) == blocks


def changed(name, change):
    def spoil(arrays):
        arrays[name] = change(arrays[name])

    return spoil


def added(place, amount):
    def change(array):
        array[place] += amount
        return array

    return change


SPOILED = {
    "a threshold out of range": changed("thresholds", lambda t: (t[0], 2.0)),
    "thresholds out of order": changed("thresholds", lambda t: t[::-1]),
    "another shape": changed("vanishing", lambda a: a[:, :, :1]),
    "no blocks": lambda arrays: arrays.update(
        {name: a[:0] for name, a in arrays.items() if name not in ("layers", "thresholds")}
    ),
    "a gap": changed("first", added(1, 1)),
    "a block over a multiple": changed("first", lambda a: a + 1),
    "a negative index": changed("first", lambda a: a - 1000 * (a.size + 1)),
    "a negative layer": changed("layers", lambda a: -a),
    "an empty block": changed("count", added(-1, -500)),
    "a longer block": changed("count", added(0, 1)),
    "more dead than samples": changed("dead", added((0, 0), 2000)),
    "fewer vanishing than dead": changed("vanishing", lambda a: a * 0),
    "too many exploding": changed("exploding", added((0, 0, 0), 1001)),
    "negative underflow": changed("underflow", added((0, 0, 0), -1001)),
    "too much overflow": changed("overflow", added((0, 0, 0), 1001)),
    "impossible sums": changed("sums", added((0, 0, 0), 2**40)),
    "impossible squares": changed("squares", added((0, 0, 0), 2**50)),
    "one entry fewer": changed("entries", added((0, 0), -1)),
    "an entry of the neighbour": changed("entries", lambda a: a + np.array([[1], [-1], [0]])),
    "a count too many": changed("counts", added(3, 1)),
    "a count of none": changed("counts", lambda a: added(4, 1)(added(3, -1)(a)) * (a > 0)),
    "bins out of order": changed("bins", added(0, 10_000)),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_arrays_that_no_samples_give_are_refused(spoil, rng):
    ratio = rng.normal(-3, 0.5, (2500, 1))
    ratio[::2] = -np.inf
    blocks = Blocks.of(samples_of(ratio), (1e-6, 1e-3))
    assert blocks.checked() is blocks
    arrays = copy.deepcopy(vars(blocks))
    spoil(arrays)
    with pytest.raises(ValueError, match="blocks|thresholds? must"):
        Blocks(**arrays).checked()


def test_what_does_not_fit_is_refused(rng):
    ratio = rng.normal(size=(2000, 2))
    a, b = (Blocks.of(samples_of(ratio, first), THRESHOLDS) for first in (0, 3000))
    with pytest.raises(ValueError, match="consecutive, got 3000 as first index after 1999"):
        Blocks.join([a, b])
    with pytest.raises(ValueError, match="one or more, got none"):
        Blocks.join([])
    after = samples_of(ratio, 2000)
    with pytest.raises(ValueError, match="their thresholds differ"):
        Blocks.join([a, Blocks.of(after, (1e-6,))])
    with pytest.raises(ValueError, match="their layers differ"):
        Blocks.join([a, Blocks.of(samples_of(ratio[:, :1], 2000), THRESHOLDS)])
    with pytest.raises(ValueError, match="cannot be added, their thresholds differ"):
        a.total() + Blocks.of(after, (1e-6,)).total()
    with pytest.raises(TypeError):
        a.total() + 1
    for m in (0, 3):
        with pytest.raises(ValueError, match=f"m must be an int from 1 to 2, got {m}"):
            a.head(m)
    with_gap = samples_of(ratio) + samples_of(ratio, 3000)
    with pytest.raises(ValueError, match="consecutive indices, got 4000 of those from 0 to 4999"):
        Blocks.of(with_gap, THRESHOLDS)
    with pytest.raises(ValueError, match="0 < threshold <= 1, got 2"):
        Blocks.of(samples_of(ratio), (2,))
    unrecorded = vgsim.simulate(vgsim.MLP(3, 4), 5, record=("activation",))
    with pytest.raises(AttributeError, match="record"):
        Blocks.of(unrecorded, (1e-6,))


def test_a_question_that_was_not_counted_is_refused(rng):
    tally = Blocks.of(samples_of(rng.normal(size=(50, 2))), (1e-3, 1e-6)).total()
    with pytest.raises(ValueError, match="one of those counted: 1e-06, 0.001"):
        tally.probability("vanishing", 1)
    with pytest.raises(ValueError, match="one of those counted, 1e-06, 0.001, got 0.5"):
        tally.probability("vanishing", 1, 0.5)
    with pytest.raises(ValueError, match="one of the tallied layers, \\[1, 2\\], got 0"):
        tally.probability("vanishing", threshold=1e-3)
    with pytest.raises(TypeError, match="layer must be one of the tallied layers"):
        tally.mean(layer="last")
    with pytest.raises(ValueError, match="event must be one of"):
        tally.probability("melting", 1, 1e-3)
    with pytest.raises(ValueError, match="needs a dtype"):
        tally.probability("underflow", 1)
    with pytest.raises(ValueError, match="threshold is for vanishing"):
        tally.probability("dead", 1, 1e-3)
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        tally.quantile(1.5, 1)


def test_of_no_samples_nothing_is_known():
    empty = Tally.empty((0, 5), (1e-6,))
    assert (empty.n, empty.events("vanishing")) == (0, 0)
    assert empty + empty == empty
    for ask in (lambda: empty.quantile(0.5), lambda: empty.cdf(0), lambda: empty.mean()):
        with pytest.raises(ValueError, match="needs (one|1) or more samples"):
            ask()
    with pytest.raises(ValueError, match="probability needs one or more samples"):
        empty.probability("dead")


def test_tallied_samples_are_read_only(rng):
    tally = Blocks.of(samples_of(rng.normal(size=(50, 2))), (1e-3,)).total()
    for array in (tally.dead, tally.vanishing, *tally.histogram[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_gathered_bins_are_what_a_counter_has(rng):
    bins = rng.integers(-5, 5, 100)
    counts = rng.integers(1, 9, 100)
    counter = Counter()
    for b, c in zip(bins.tolist(), counts.tolist(), strict=True):
        counter[b] += c
    found = gathered(bins, counts)
    assert dict(zip(found[0].tolist(), found[1].tolist(), strict=True)) == counter
    assert np.all(np.diff(found[0]) > 0)


@pytest.mark.parametrize("network", [vgsim.MLP(40, 8, activation="relu"), vgsim.RNN(10, 8)])
def test_a_simulated_network(network):
    samples = vgsim.simulate(network, 2 * BLOCK + 10, layers=(0, network.depth))
    tally = Blocks.of(samples, (1e-6,)).total()
    for layer in (0, network.depth):
        for event in (*EVENTS, "dead"):
            expected = samples.probability(event, layer, confidence_level=0.9, method="exact")
            assert tally.probability(event, layer, None, None, 0.9, "exact") == expected
