"""The scripts of examples/ run from a plain checkout."""

import contextlib
import functools
import io
import runpy
import sys
from pathlib import Path

import pytest

import vgsim
from vgsim._cli.study_file import read_study

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
ARGUMENTS = {
    "claims.py": ("--quick", "--claim", "sigmoid"),
    "deep_belief.py": ("--quick",),
    "r0_and_learning.py": ("--quick",),
    "study.py": ("study.sqlite", "100"),
    "transformer.py": ("--quick",),
}
TRAINING = ("jax", "optax")  # besides what the tests need
NEEDS = {"deep_belief.py": TRAINING, "r0_and_learning.py": TRAINING}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The output of each script, run once, and the folder it ran in."""

    @functools.cache
    def by(name):
        folder, text = tmp_path_factory.mktemp("example"), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
            patch.chdir(folder)
            patch.syspath_prepend(EXAMPLES[0].parent)
            patch.setattr(sys, "argv", [name, *ARGUMENTS.get(name, ())])
            runpy.run_path(str(EXAMPLES[0].with_name(name)), run_name="__main__")
        return text.getvalue().splitlines(), folder

    return by


@pytest.mark.parametrize("name", [path.name for path in EXAMPLES])
def test_example(name, printed):
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    assert len(printed(name)[0]) > 3


def test_cures_say_what_the_techniques_do(printed):
    rows = {line[:30].strip(): line[30:].split() for line in printed("cures.py")[0]}
    vanish, explode = ({name: row[i] for name, row in rows.items()} for i in (-2, -1))
    assert vanish["sigmoid"] == vanish["sigmoid, clipped"] == "1.00"
    assert explode["tanh, gain 3"] == explode["ReLU, batch norm, 8 examples"] == "1.00"
    assert explode["tanh, gain 3, clipped"] == explode["ReLU, residual, 1/√blocks"] == "0.00"


def test_transformers_differ_in_gradients_and_rank(printed):
    tables = "\n".join(printed("transformer.py")[0]).split("\n\n")
    gradients, tokens, theory = (
        {line[:16].strip(): line[16:].split() for line in table.splitlines()} for table in tables
    )
    assert float(gradients["no norm"][-1]) == 1  # P(exploding) at 24 blocks
    assert float(gradients["no norm, 1/√N"][-1]) == 0
    assert float(tokens["post-norm"][1]) > 0.99  # rank collapse
    assert abs(float(tokens["DeepNorm"][1])) < 0.02
    for name in ("pre-norm", "pre-norm, 1/√N", "post-norm", "DeepNorm"):
        simulated, limit = map(float, theory[name][2:])
        assert abs(simulated - limit) < 0.05, name


def test_six_laws_have_one_curve_and_heavy_tails_have_others(printed):
    lines = printed("universality.py")[0]
    rows = {line[:22].strip(): list(map(float, line[22:].split()[:3])) for line in lines[2:]}
    theory = rows["theory, normal"]
    six = list(rows)[1:7]
    assert six[0] == "normal"
    for name in six:
        for p, expected in zip(rows[name], theory, strict=True):
            assert abs(p - expected) < 5 * (expected * (1 - expected) / 300) ** 0.5 + 0.03, name
    for name in ("Student, df 2.1", "sparse, density 0.02"):
        assert min(rows[name]) > 0.9 > 3 * theory[-1], name


def test_the_study_of_the_command_line_is_that_of_the_script(printed):
    lines, folder = printed("study.py")
    rows = [line.split() for line in lines[2:-1]]
    assert {row[-1] for row in rows if row[0] == "sigmoid"} == {"1.0000"}  # at depth 1000
    in_store = {result.network for result in vgsim.load(folder / ARGUMENTS["study.py"][0])}
    in_file = read_study(EXAMPLES[0].with_name("study.toml"))
    assert in_store == set(in_file.networks)
    assert len(in_store) * in_file.arguments["max_samples"] == 1_000_000
