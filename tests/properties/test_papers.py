"""Papers beside vgsim: the rule of the verdicts, the scripts, and the page of their results."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "papers"


def module(name):
    """Import a script of the papers, which imports its neighbours as a script does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        found = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, name, found)
        spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def comparison():
    return module("comparison")


@pytest.fixture(scope="module")
def page():
    return module("page")


@pytest.mark.parametrize(
    ("paper", "accuracy", "relation", "verdict"),
    [
        (2.05, 0.0, "=", "agrees"),
        (2.5, 0.0, "=", "differs by -20 %"),
        (2.5, 0.4, "=", "agrees"),
        (20.0, 0.0, "=", "differs by a factor of 0.1"),
        (0.0, 0.0, "=", "differs by +2"),
        (2.2, 0.0, "<", "holds"),
        (2.0, 0.0, "<", "undecided"),
        (1.8, 0.0, "<", "fails"),
        (1.8, 0.0, ">", "holds"),
        (2.2, 0.0, ">", "fails"),
        (2.2, 0.35, ">", "holds"),
        (2.5, 0.4, "~", "compared: -20 %"),
    ],
)
def test_a_verdict_compares_the_interval_with_the_paper(
    comparison, paper, accuracy, relation, verdict
):
    found = (2.0, 1.9, 2.1)
    one = comparison.number("", "", paper, found, accuracy=accuracy, relation=relation)
    assert one.verdict == verdict


def test_intervals_cover_the_mean_the_variance_and_a_function(comparison, rng):
    x = rng.normal(3.0, 2.0, size=(300, 400))
    truths = {
        3.0: comparison.mean,
        4.0: comparison.variance,
        9.0: lambda y: comparison.function(np.square, y),
    }
    for truth, interval in truths.items():
        low, high = np.array([interval(row)[1:] for row in x]).T
        missed = np.mean((low > truth) | (truth > high))
        assert missed < 0.04, truth  # 0.01 ± 0.006
        assert np.mean(high - low) < truth / 2, truth


def test_a_proportion_has_the_interval_of_wilson(comparison):
    share, low, high = comparison.proportion(943, 1000)
    z = stats.norm.ppf((1 + comparison.LEVEL) / 2)
    assert share == 0.943
    for limit in (low, high):  # solves (share − p)² = z² p (1 − p)/n
        assert abs(share - limit) == pytest.approx(z * np.sqrt(limit * (1 - limit) / 1000))
    assert low < share < high


def test_numbers_are_shown_with_the_digits_of_their_interval(comparison):
    shown = [comparison.shown(*pair) for pair in ((1.23456, 0.012), (-0.001, 0.03), (0.0, 0.1))]
    assert shown == ["1.235", "-0.001", "0"]
    assert comparison.shown(3.95123e-4, 8e-5) == "3.95e-04"


def test_the_page_is_that_of_the_stored_results(page):
    assert (ROOT / "docs" / "papers.md").read_text() == page.page()


def test_every_script_is_stored_and_on_the_page(page):
    scripts = {path.stem for path in FOLDER.glob("*.py")} - {"comparison", "page"}
    assert scripts == set(page.PAPERS)
    for name in page.PAPERS:
        stored = page.load(name)
        assert stored["paper"] == dataclasses.asdict(module(name).PAPER)
        assert stored["numbers"]
        figure = ROOT / "docs" / "figures" / "papers" / f"{name}.svg"
        assert figure.exists() == stored["figure"]


def test_exact_values_lie_in_their_intervals(page, comparison):
    numbers = [comparison.Number(**n) for name in page.PAPERS for n in page.load(name)["numbers"]]
    inside = [n.contains_exact for n in numbers if n.exact is not None]
    assert len(inside) > 30
    assert inside.count(False) <= 3  # 99 % intervals


@pytest.mark.parametrize("name", ["hanin_nica_2020", "sussillo_abbott_2014", "lu_2019"])
def test_a_script_prints_and_stores_its_numbers(name, tmp_path, comparison):
    pytest.importorskip("matplotlib")
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--quick", "--out", str(tmp_path)]
    environment = os.environ | {"MPLBACKEND": "Agg"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    stored = json.loads((tmp_path / "results" / "papers" / f"{name}.json").read_text())
    numbers = [comparison.Number(**n) for n in stored["numbers"]]
    for one in numbers:
        assert one.what in run.stdout
        assert one.exact is None or abs(one.ours - one.exact) < one.high - one.low  # 5 errors
    assert (tmp_path / "figures" / "papers" / f"{name}.svg").stat().st_size > 1000


def test_functions_of_narrow_networks_are_constant_if_a_layer_is_dead():
    pytest.importorskip("jax")
    lu = module("lu_2019_training")
    layers = range(2, 2 * (lu.LAYERS - 1), 2)
    absolute = {"0.weight": [[1.0], [-1.0]]}  # |x| is relu(x) + relu(−x)
    absolute |= {f"{place}.weight": np.eye(2) for place in layers}
    absolute |= {f"{2 * (lu.LAYERS - 1)}.weight": [[1.0, 1.0]]}
    dead = absolute | {f"{layers[3]}.weight": -np.eye(2)}
    both = {name: np.stack([absolute[name], dead[name]]) for name in absolute}
    found = lu.functions(both, biases=False)
    np.testing.assert_allclose(found[0], np.abs(lu.POINTS[:, 0]), rtol=1e-6)
    assert lu.constant(found).tolist() == [False, True]


def test_steps_of_mup_shrink_with_the_width_but_at_the_input():
    optax = pytest.importorskip("optax")
    yang = module("yang_2022")
    names = ("0.weight", "0.bias", "2.weight", "2.bias", "6.weight", "6.bias")
    parameters = {name: np.ones(3, dtype=np.float32) for name in names}
    for mup, shrinks in ((False, ()), (True, ("2.weight", "6.weight"))):
        adam = yang.optimizer(256, mup)
        steps, _ = adam.update(parameters, adam.init(parameters), parameters)
        after = optax.apply_updates(parameters, steps)
        for name in names:  # the first step of Adam is the learning rate
            step = yang.RATE / 4 if name in shrinks else yang.RATE
            np.testing.assert_allclose(1 - np.asarray(after[name]), step, rtol=1e-4)
