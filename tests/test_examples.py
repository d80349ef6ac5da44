"""The scripts of examples/ run, from a checkout as it is."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path, capsys):
    runpy.run_path(str(path), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_cures_say_what_the_techniques_do(capsys):
    runpy.run_path(str(EXAMPLES[0].with_name("cures.py")), run_name="__main__")
    rows = {line[:30].strip(): line[30:].split() for line in capsys.readouterr().out.splitlines()}
    vanish, explode = ({name: row[i] for name, row in rows.items()} for i in (-2, -1))
    assert vanish["sigmoid"] == vanish["sigmoid, clipped"] == "1.00"
    assert explode["tanh, gain 3"] == explode["ReLU, batch norm, 8 examples"] == "1.00"
    assert explode["tanh, gain 3, clipped"] == explode["ReLU, residual, 1/√blocks"] == "0.00"
