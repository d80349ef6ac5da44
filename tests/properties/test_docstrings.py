"""The examples in the docstrings, README.md and docs/ run and print the output shown."""

import doctest
import importlib.util
import inspect
import operator
import pkgutil
import re
from functools import cached_property
from pathlib import Path

import pytest

import vgsim

ROOT = Path(__file__).parents[2]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NEEDS = {  # modules that import an optional package, or whose examples do
    "vgsim._twin.torch": "torch",
    "vgsim._twin.from_torch": "torch",
    "vgsim._studies.torch_samples": "torch",
    **{
        f"vgsim._networks.jax.{name}": "jax"
        for name in ("backward", "functions", "laws", "normalisation", "tables", "walk")
    },
    **{f"vgsim._training.{name}": "jax" for name in ("minibatches", "run", "stacks", "step")},
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


def examples():
    """Return the examples of all modules, of public classes and of cached properties.

    The finder leaves out classes that belong to another module, as public ones do to vgsim, and
    cached properties.
    """
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(name) for name in MODULES]
    found = [test for module in modules for test in finder.find(module)]
    public = {name: operator.attrgetter(name.removeprefix("vgsim."))(vgsim) for name in PUBLIC}
    others = {name: value for name, value in public.items() if inspect.isclass(value)}
    for kind in (kind for module in modules for kind in vars(module).values()):
        if inspect.isclass(kind):
            for name, value in vars(kind).items():
                if isinstance(value, cached_property):
                    others[f"{kind.__module__}.{kind.__name__}.{name}"] = value.func
    for name, value in others.items():
        found += finder.find(value, name, module=False, globs={})
    return {test.name: test for test in found if test.examples}


EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_docstring(example):
    source = "".join(one.source for one in example.examples)
    for package in ("jax", "optax", "torch"):
        if re.search(rf"\b(import|from) {package}\b", source):
            pytest.importorskip(package)
    if "vgsim.train(" in source:
        pytest.importorskip("jax")
        pytest.importorskip("optax")
    run(example)


def test_the_examples_of_all_docstrings_are_found():
    for package in ("jax", "torch"):  # without them some modules cannot be imported
        pytest.importorskip(package)
    files = {Path(importlib.import_module(name).__file__) for name in MODULES}
    sources = [file.read_text() for file in files if file.suffix == ".py"]
    prompts = sum(len(re.findall(r"^ *>>> ", source, re.M)) for source in sources)
    assert sum(len(test.examples) for test in EXAMPLES.values()) == prompts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages write files
    text = page.read_text(encoding="utf-8")
    for package in ("jax", "matplotlib", "optax", "torch"):
        if f">>> import {package}" in text or f">>> from {package} import" in text:
            pytest.importorskip(package)
    if "vgsim.train(" in text:
        pytest.importorskip("jax")
        pytest.importorskip("optax")
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
