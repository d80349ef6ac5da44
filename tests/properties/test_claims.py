"""examples/claims.py: the rule of the verdicts, the stored results and the page made from them."""

import copy
import json
import re
from pathlib import Path

import pytest

import vgsim

ROOT = Path(__file__).parents[2]
STORED = json.loads((ROOT / "docs/results/claims.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def claims():
    """The script, as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "examples")
        import claims

        yield claims


def case(claims, low, high, at_least=None, at_most=None, typical=True):
    from claims_measured.claim import Case

    middle = None if low is None or high is None else (low + high) / 2
    return Case("setting", "number", middle, low, high, at_least, at_most, typical)


@pytest.mark.parametrize(
    ("interval", "region", "outcome"),
    [
        ((0.92, 0.99), (0.9, None), "holds"),
        ((0.88, 0.99), (0.9, None), "open"),
        ((0.50, 0.89), (0.9, None), "fails"),
        ((0.00, 0.05), (None, 0.1), "holds"),
        ((0.11, 0.15), (None, 0.1), "fails"),
        ((-0.2, 0.2), (-0.3, 0.3), "holds"),
        ((0.2, 0.4), (-0.3, 0.3), "open"),
        ((-0.9, -0.4), (-0.3, 0.3), "fails"),
        ((5.0, None), (3.0, None), "holds"),  # the upper limit is infinite
        ((5.0, None), (None, 9.0), "open"),
        ((None, 2.0), (3.0, None), "fails"),
    ],
)
def test_a_case_holds_if_its_whole_interval_agrees_with_the_claim(
    claims, interval, region, outcome
):
    assert case(claims, *interval, *region).outcome == outcome


HOLDS, FAILS, OPEN = (0.95, 1.0), (0.0, 0.1), (0.8, 1.0)


@pytest.mark.parametrize(
    ("typical", "beyond", "expected"),
    [
        ([HOLDS, HOLDS], [], "true"),
        ([HOLDS], [HOLDS], "true"),
        ([HOLDS], [HOLDS, FAILS], "true with conditions"),
        ([HOLDS], [OPEN], "true with conditions"),
        ([HOLDS, FAILS], [HOLDS], "depends"),
        ([FAILS, FAILS], [], "false"),
        ([FAILS], [HOLDS], "false"),
        ([HOLDS, OPEN], [], "undecided"),
        ([HOLDS, FAILS, OPEN], [], "depends"),
        ([FAILS, OPEN], [FAILS], "undecided"),
    ],
)
def test_the_verdict_is_a_function_of_the_outcomes(claims, typical, beyond, expected):
    cases = [case(claims, *interval, 0.9) for interval in typical]
    cases += [case(claims, *interval, 0.9, typical=False) for interval in beyond]
    assert claims.verdict(cases) == expected


def test_a_verdict_needs_a_typical_case(claims):
    with pytest.raises(ValueError, match="typical"):
        claims.verdict([case(claims, *HOLDS, 0.9, typical=False)])


def test_difference_of_two_probabilities_is_that_of_newcombe(claims):
    """Statistics in Medicine 17 (1998) 873, Table II: 56/70 − 48/80 by method 10."""
    from claims_measured.measurement import difference

    from vgsim._statistics.binomial import binomial

    found = difference(binomial(56, 70), binomial(48, 80))
    assert found.estimate == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.1098, 0.1038, 0.1161), "0.110 (0.104 to 0.116)"),
        ((0.0, 0.0, 0.0033), "0.000 (0.000 to 0.003)"),
        ((-314.52, -314.71, -314.23), "−314.5 (−314.7 to −314.2)"),
        ((12_345.0, 11_000.0, None), "12,345 (11,000 to ∞)"),
        ((1e-7, 0.5e-7, 2e-7), "0.0000 (0.0000 to 0.0000)"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_supports(claims, numbers, text):
    from claims_measured.claim import Case

    assert claims.number(Case("", "", *numbers, None, None)) == text


def test_all_claims_are_stored_and_no_other(claims):
    assert list(STORED) == list(claims.CLAIMS)
    assert len(STORED) >= 20


def test_the_page_is_made_from_the_stored_results(claims):
    assert claims.page(STORED) == (ROOT / "docs/claims.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STORED)
def test_another_measurement_would_give_another_page_and_verdict(claims, name):
    changed = copy.deepcopy(STORED)
    for measured in changed[name]["cases"]:
        least, most = measured["at_least"], measured["at_most"]
        holds = claims.read({**STORED[name], "cases": [measured]})[0][0].outcome == "holds"
        edge = least if most is None else most
        inside = edge + (0.01 if most is None else -0.01)
        beyond = edge + (-0.01 if most is None else 0.01)
        value = beyond if holds else inside
        measured.update(estimate=value, low=value, high=value)
    old, new = (claims.verdict(claims.read(each[name])[0]) for each in (STORED, changed))
    assert new != old or new == "depends"  # all outcomes are reversed
    assert f"**{new.capitalize()}**" in claims.page({name: changed[name]})


@pytest.mark.parametrize("name", STORED)
def test_each_claim_has_a_figure_with_its_series(claims, name):
    drawn = (ROOT / f"docs/figures/claims/{name}.svg").read_text(encoding="utf-8")
    for series in STORED[name]["figure"]["series"]:
        label = series.get("label", "critical line")
        assert re.sub(r"σ_(\w)", r"$\\sigma_\1$", label) in drawn


def test_there_is_no_figure_of_another_claim():
    assert {path.stem for path in (ROOT / "docs/figures/claims").iterdir()} == set(STORED)


@pytest.mark.parametrize("kind", ["curve", "probability", "qq", "heatmap", "points"])
def test_a_figure_has_the_same_bytes_again(claims, kind, tmp_path):
    pytest.importorskip("matplotlib")
    from claims_measured import figures

    figure = next(f for r in STORED.values() if (f := claims.read(r)[1]).kind == kind)
    for name in ("a.svg", "b.svg"):
        figures.save(figure, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_stored_probabilities_agree_with_the_exact_law_of_relu():
    inside = []
    for line, width in zip(STORED["relu"]["figure"]["series"], (16, 64, 128), strict=False):
        for x, low, high in zip(line["x"], line["low"], line["high"], strict=True):
            exact = vgsim.theory.relu_law(width, int(x)).cdf_log10(-6)
            inside.append(low <= exact <= high)
    assert len(inside) == 30
    assert sum(inside) >= 28  # of 99 % intervals


@pytest.mark.parametrize("name", ["gradient-clipping", "quarter-per-layer", "half-precision"])
def test_a_quick_measurement_gives_the_stored_verdict(claims, name):
    record = json.loads(json.dumps(claims.measured(name, quick=True), allow_nan=False))
    found, stored = (claims.read(each)[0] for each in (record, STORED[name]))
    assert claims.verdict(found) == claims.verdict(stored)
    for a, b in zip(found, stored, strict=True):
        assert (a.setting, a.quantity) == (b.setting, b.quantity)
        assert a.low <= b.high
        assert b.low <= a.high


def test_the_command_stores_nothing_after_a_quick_run_and_makes_the_page(
    claims, monkeypatch, tmp_path, capsys
):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(claims, "DOCS", tmp_path)
    monkeypatch.setattr("sys.argv", ["claims.py", "--quick", "--claim", "gradient-clipping"])
    claims.main()
    assert "gradient-clipping: depends" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    claims.store(tmp_path / "results/claims.json", {"sigmoid": STORED["sigmoid"]})
    assert claims.load(tmp_path / "results/claims.json") == {"sigmoid": STORED["sigmoid"]}
    monkeypatch.setattr("sys.argv", ["claims.py", "--page"])
    claims.main()
    assert "### Sigmoid" in (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert (tmp_path / "figures/claims/sigmoid.svg").exists()
