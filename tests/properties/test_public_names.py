"""Public classes and functions belong to vgsim and vgsim.theory, wherever they are defined."""

import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vgsim

MODULES = (vgsim, vgsim.plotting, vgsim.theory)
PUBLIC = [
    pytest.param(module, name, id=f"{module.__name__}.{name}")
    for module in MODULES
    for name in module.__all__
    if callable(getattr(module, name))
]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_a_public_name_belongs_to_the_public_module(module, name):
    value = getattr(module, name)
    assert (value.__module__, value.__qualname__) == (module.__name__, name)
    assert pickle.loads(pickle.dumps(value)) is value


@pytest.mark.parametrize("module", MODULES)
def test_dir_shows_public_names_only(module):
    shown = set(dir(module))
    assert shown - {"typing", "__version__"} == set(module.__all__) - {"__version__"}


def test_the_docstring_of_the_package_lists_every_public_name_on_one_page():
    lines = vgsim.__doc__.splitlines()
    assert len(lines) <= 60
    listed = {word.strip(",") for line in lines if line.startswith("    ") for word in line.split()}
    assert set(vgsim.__all__) - {"__version__"} <= listed


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_has_every_public_name(module):
    pages = (Path(__file__).parents[2] / "docs/reference").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    lists = re.findall(rf"currentmodule:: {module.__name__}\n(.*?)```", text, re.S)
    listed = set(re.findall(r"^    (\w+)$", "".join(lists), re.M))
    assert listed == set(module.__all__) - {"__version__", "plotting", "theory"}


def test_pickles_made_before_public_names_belonged_to_vgsim_are_read():
    net = vgsim.MLP(10, 8, residual=vgsim.Residual(2))
    new = pickle.dumps(net, protocol=0)
    old = new.replace(b"cvgsim\nMLP", b"cvgsim._networks.mlp\nMLP")
    old = old.replace(b"cvgsim\nResidual", b"cvgsim._networks.techniques\nResidual")
    assert old.count(b"vgsim._networks") == 2
    assert pickle.loads(old) == net


def test_a_pickle_is_read_in_a_new_process():
    net = vgsim.MLP(10, 8, residual=vgsim.Residual(2))
    script = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()))"
    run = [sys.executable, "-c", script]
    out = subprocess.run(run, input=pickle.dumps(net), capture_output=True, check=True).stdout
    assert out.decode().strip() == repr(net)


@pytest.mark.parametrize("kind", [vgsim.MLP, vgsim.LSTM, vgsim.Sequential, vgsim.Residual])
def test_a_signature_shows_the_fields_and_their_defaults(kind):
    shown = inspect.signature(kind)
    assert list(shown.parameters) == list(kind._fields)
    assert "Field" not in str(shown)
    for name, field in kind._fields.items():
        default = shown.parameters[name].default
        assert default is inspect.Parameter.empty if field.is_required else default == field.default
