"""Parts of one run can be joined, other samples cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vgsim
from known_runs import RECORDS, changed, run, same


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.permutations(range(4)))
def test_joined_parts_are_the_whole(part_of, order):
    """Indices are split into up to four interleaved parts, which are joined in any order."""
    part_of = np.array(part_of)
    parts = [np.flatnonzero(part_of == part) for part in order]
    joined, *others = [run(part, record=RECORDS, dead=[3]) for part in parts if part.size]
    for other in others:
        joined = joined + other
    assert same(joined, run(range(len(part_of)), record=RECORDS, dead=[3]))


def test_join_commutes_and_associates():
    a, b, c = run(range(5)), run(range(9, 12)), run(range(5, 9))
    assert same((a + b) + c, a + (b + c))
    assert same(a + b, b + a)
    assert (a + b + c).elapsed == pytest.approx(1.5)


def test_join_leaves_its_operands_alone():
    a, b = run(range(4)), run(range(4, 6))
    assert len(a + b) == 6
    assert same(a, run(range(4)))
    assert same(b, run(range(4, 6)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"network": vgsim.MLP(6, 5)},
            "network (MLP(depth=6, width=4, init='glorot_normal') and "
            "MLP(depth=6, width=5, init='glorot_normal'))",
        ),
        ({"seed": 6}, "seed (5 and 6)"),
        ({"engine": "dense"}, "engine ('matrix-free' and 'dense')"),
        ({"dtype": "float64"}, "dtype ('float32' and 'float64')"),
        ({"batch_size": 2}, "batch_size (1 and 2)"),
        ({"loss": "mse"}, "loss ('linear' and 'mse')"),
        ({"inputs": "sha256:00"}, "inputs ('normal' and 'sha256:00')"),
        ({"layers": [3, 0, 6]}, "layers ([0, 3, 6] and [3, 0, 6])"),
        ({"provenance": {"stream_version": "2"}}, "stream version (None and '2')"),
        ({"activation": np.zeros((4, 3))}, "record (('gradient',) and ('gradient', 'activation'))"),
        ({"batch_size": 8, "loss": "mse"}, "batch_size (1 and 8); loss ('linear' and 'mse')"),
        ({"seed": 6, "dtype": "float64"}, "seed (5 and 6); dtype ('float32' and 'float64')"),
    ],
)
def test_mismatched_runs_are_refused(changes, reason):
    a, b = run(range(4)), changed(run(range(4, 8)), **changes)
    with pytest.raises(ValueError, match="cannot be joined") as caught:
        a + b
    assert str(caught.value) == f"these samples cannot be joined: they differ in {reason}"


def test_overlapping_runs_are_refused():
    with pytest.raises(ValueError, match=r"joined: 3 of them are in both, index 5 to 7$"):
        run(range(8)) + run(range(5, 20))


@pytest.mark.parametrize("other", [0, None, "run", np.zeros(3)])
def test_only_samples_can_be_joined(other):
    with pytest.raises(TypeError):
        run() + other


def test_provenances_are_merged():
    a = changed(run(range(2)), provenance={"vgsim": "1", "isa": "avx512"})
    b = changed(run(range(2, 4)), provenance={"vgsim": "1", "isa": "avx2", "host": "b"})
    c = changed(run(range(4, 6)), provenance={"vgsim": "1", "isa": "base"})
    merged = {"vgsim": "1", "isa": "avx2; avx512", "host": "b"}
    assert (a + b).provenance == (b + a).provenance == merged
    assert ((a + b) + c).provenance == (a + (b + c)).provenance


def test_sum_joins():
    parts = [run(range(5)), run(range(9, 12)), run(range(5, 9))]
    assert same(sum(parts), parts[0] + parts[1] + parts[2])
    with pytest.raises(TypeError):
        sum(parts, 1)


def test_recurrent_networks_join():
    network = vgsim.RNN(6, 4, clip=vgsim.ClipNorm(1.0))
    a, b = (run(index, network=network, record=RECORDS) for index in (range(4), range(4, 9)))
    assert same(a + b, run(range(9), network=network, record=RECORDS))
    with pytest.raises(ValueError, match="differ in network"):
        a + run(range(4, 9), network=vgsim.RNN(6, 4), record=RECORDS)
