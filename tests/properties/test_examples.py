"""The scripts of examples/ run, from a checkout as it is."""

import runpy
import sys
from pathlib import Path

import pytest

import vgsim
from vgsim._cli.study_file import read_study

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
ARGUMENTS = {"study.py": ("runs/study", "100")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), *ARGUMENTS.get(path.name, ())])
    runpy.run_path(str(path), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_cures_say_what_the_techniques_do(capsys):
    runpy.run_path(str(EXAMPLES[0].with_name("cures.py")), run_name="__main__")
    rows = {line[:30].strip(): line[30:].split() for line in capsys.readouterr().out.splitlines()}
    vanish, explode = ({name: row[i] for name, row in rows.items()} for i in (-2, -1))
    assert vanish["sigmoid"] == vanish["sigmoid, clipped"] == "1.00"
    assert explode["tanh, gain 3"] == explode["ReLU, batch norm, 8 examples"] == "1.00"
    assert explode["tanh, gain 3, clipped"] == explode["ReLU, residual, 1/√blocks"] == "0.00"


def test_the_study_of_the_command_line_is_that_of_the_script(capsys, tmp_path):
    script = runpy.run_path(str(EXAMPLES[0].with_name("study.py")))
    script["main"](tmp_path / "study", "100")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:-1]]
    assert {row[-1] for row in rows if row[0] == "sigmoid"} == {"1.0000"}  # at depth 1000
    in_store = {result.network for result in vgsim.load(tmp_path / "study")}
    in_file = read_study(EXAMPLES[0].with_name("study.toml"))
    assert in_store == set(in_file.networks)
    assert len(in_store) * in_file.arguments["max_samples"] == 1_000_000
