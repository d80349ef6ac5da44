"""Tallies that samples can have, and similar ones that no samples can have."""

from dataclasses import replace

import numpy as np
import pytest

import vgsim
from vgsim._studies.blocks import Blocks
from vgsim._studies.possible import UNIT, check_tally
from vgsim._studies.tally import Tally

FAR, MANY = 2**37, 2**60  # largest bin, and a very large number of samples


@pytest.fixture(scope="module")
def counted():
    network = vgsim.MLP(10, 2, activation="relu")
    return Blocks.of(vgsim.simulate(network, 2000, layers=(0, 10)), (1e-3, 1.0)).total()


@pytest.fixture(scope="module")
def extreme():
    """A tally with half of its samples at each end of the range of R."""
    half = np.array([[MANY]])
    return replace(
        Tally.empty((0,), (1.0,)),
        n=2 * MANY,
        vanishing=half,
        exploding=half,
        histogram=((np.array([-FAR, FAR - 1]), np.array([MANY, MANY])),),
        sums=(-MANY * UNIT,),
        squares=(2 * MANY * (FAR * UNIT) ** 2,),
    )


def test_what_was_counted_is_possible(counted, extreme):
    check_tally(counted)
    check_tally(extreme)
    check_tally(Tally.empty((0, 5), (1e-6, 0.5)))


@pytest.mark.parametrize("name", ["sums", "squares"])
@pytest.mark.parametrize("which", ["counted", "extreme"])
def test_moments_are_those_of_the_histogram(request, which, name):
    tally = request.getfixturevalue(which)
    (bins, counts), *_ = tally.histogram
    places = list(zip(bins.tolist(), counts.tolist(), strict=True))
    ends = [sorted(((b * UNIT) ** p, ((b + 1) * UNIT) ** p)) for p in (1, 2) for b, _ in places]
    ends = ends[: len(places)] if name == "sums" else ends[len(places) :]
    low, high = (sum(n * end[i] for end, (_, n) in zip(ends, places, strict=True)) for i in (0, 1))
    assert low <= getattr(tally, name)[0] <= high
    for value in (low - 1, high + 1):
        moments = (value, *getattr(tally, name)[1:])
        with pytest.raises(ValueError, match=f"{name} cannot come from samples"):
            check_tally(replace(tally, **{name: moments}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dead", -2000),
        ("vanishing", [[-1, 0], [0, 0]]),
        ("vanishing", [[0, 2**62], [0, 0]]),
        ("vanishing", [[1000, 0], [0, 0]]),
        ("exploding", [[0, 2**62], [0, 0]]),
        ("exploding", [[-1, 0], [0, 0]]),
        ("underflow", [[-2000, 0, 0], [0, 0, 0]]),
        ("underflow", [[0, 0, 2001], [0, 0, 0]]),
        ("overflow", [[0, 0, 1], [0, 0, 0]]),
        ("overflow", [[0, 0, -1], [0, 0, 0]]),
    ],
)
def test_events_out_of_range_are_refused(counted, name, change):
    with pytest.raises(ValueError, match="cannot come from samples"):
        check_tally(replace(counted, **{name: getattr(counted, name) + np.array(change)}))


@pytest.mark.parametrize(
    "change",
    [
        lambda bins, counts: (bins[::-1], counts),
        lambda bins, counts: (bins * 2**40, counts),
        lambda bins, counts: (bins, -counts),
        lambda bins, counts: (bins, counts + np.eye(counts.size, dtype=np.int64)[0]),
        lambda bins, counts: (bins[1:], counts[1:]),
    ],
)
def test_impossible_histograms_are_refused(counted, change):
    first, *rest = counted.histogram
    changed = tuple(np.ascontiguousarray(part) for part in change(*first))
    with pytest.raises(ValueError, match="cannot come from samples"):
        check_tally(replace(counted, histogram=(changed, *rest)))
