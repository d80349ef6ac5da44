"""The examples in the docstrings, README.md and docs/ run and print the output shown."""

import doctest
import importlib.util
import operator
import pkgutil
import re
from pathlib import Path

import pytest

import vgsim

ROOT = Path(__file__).parents[2]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NEEDS = {  # modules that import an optional package, or whose examples do
    "vgsim._twin.torch": "torch",
    "vgsim._twin.from_torch": "torch",
    "vgsim._studies.torch_samples": "torch",
}
MODULES = ["vgsim"] + [
    module.name
    for module in pkgutil.walk_packages(vgsim.__path__, "vgsim.")
    if not module.name.endswith(".__main__")
    and importlib.util.find_spec(NEEDS.get(module.name, "vgsim"))
]
PUBLIC = [f"vgsim.{name}" for name in vgsim.__all__ if name not in ("plotting", "theory")]
PUBLIC += [f"vgsim.theory.{name}" for name in vgsim.theory.__all__]
PUBLIC += [f"vgsim.plotting.{name}" for name in vgsim.plotting.__all__]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]


def run(example):
    report = []
    failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=report.append)
    assert not failed, "".join(report)


def examples_of_module(name):
    module = importlib.import_module(name)
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


@pytest.mark.parametrize(
    "example",
    [test for name in MODULES for test in examples_of_module(name)],
    ids=lambda test: test.name,
)
def test_docstring(example):
    run(example)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page):
    text = page.read_text(encoding="utf-8")
    if ">>> import torch" in text:
        pytest.importorskip("torch")
    sessions = [
        block
        for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
        if ">>> " in block
    ]
    run(doctest.DocTestParser().get_doctest("\n".join(sessions), {}, page.name, str(page), 0))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_callable_has_an_example(name):
    value = operator.attrgetter(name.removeprefix("vgsim."))(vgsim)
    if callable(value):
        assert ">>> " in (value.__doc__ or ""), f"{name} has no example"
