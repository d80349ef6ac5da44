"""What notebooks show of studies and results."""

import pytest

import vgsim
from shown_html import shown


@pytest.fixture(scope="module")
def study():
    networks = vgsim.sweep(vgsim.MLP, width=8, activation=["relu", "sigmoid"], depth=[5, 10, 40])
    return vgsim.collect(networks, max_samples=1000, thresholds=(1e-3,))


def test_a_study_shows_a_row_per_network_and_a_curve_per_activation(study):
    pytest.importorskip("matplotlib")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    found = shown(study)
    assert [row[0] for row in found.rows[1:]] == ["5", "10", "40"] * 2
    column = found.rows[0].index("P(vanishing)")
    for row, result in zip(found.rows[1:], study, strict=True):
        p = result.probability("vanishing")
        assert float(row[column].split()[0]) == pytest.approx(p.estimate, abs=0.005)
    assert [one["alt"] for one in found.images] == ["vanishing against depth"]
    assert pyplot.get_fignums() == before


def test_a_picture_only_where_one_says_more(study):
    assert shown(study[:1]).pictures == []
    assert shown(study[:0]).rows == []
    three = vgsim.sweep(vgsim.MLP, width=[4, 8], gain=[1, 2], bias_std=[0.0, 0.1], depth=3)
    assert shown(vgsim.collect(three, max_samples=1000)).pictures == []
    assert len(shown(study[:2]).pictures) == 1


def test_a_long_study_shows_the_first_networks():
    networks = vgsim.sweep(vgsim.MLP, width=4, depth=range(2, 22))
    found = shown(vgsim.collect(networks, max_samples=1000))
    assert len(found.rows) == 13
    assert "8 more networks" in found.text
    assert len(found.pictures) == 1


def test_a_result_shows_its_probabilities_and_density(study):
    result = study[3]
    found = shown(result)
    assert found.rows[0][:3] == ["layer", "threshold", "P(vanishing)"]
    assert found.rows[1][:2] == ["0", "0.001"]
    p = result.probability("vanishing")
    assert float(found.rows[1][2].split()[0]) == pytest.approx(p.estimate, abs=0.005)
    assert f"1,000 networks {result.network!r}, seed 0" in found.text
    assert len(found.pictures) == 1
