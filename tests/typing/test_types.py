"""The types that mypy infers for the public interface, and the types of the examples."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_mypy_accepts_the_examples_and_infers_the_stated_types(tmp_path, monkeypatch):
    api = pytest.importorskip("mypy.api")
    monkeypatch.chdir(ROOT)
    cache = f"--cache-dir={tmp_path}"
    run = ["--follow-imports=silent", cache, "tests/typing/public.py", "examples"]
    said, errors, status = api.run(run)
    assert (status, errors) == (0, ""), said
