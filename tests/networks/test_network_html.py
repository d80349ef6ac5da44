"""What notebooks show of networks: their fields, and lists of layers as a tree."""

import pytest

import vgsim
from shown_html import shown


def rows(network):
    return {row[0]: row[1] for row in shown(network).rows[1:]}


def test_the_fields_that_say_something():
    net = vgsim.MLP(10, 8, gain=1.5, residual=vgsim.Residual(2), clip=vgsim.ClipNorm(1))
    assert rows(net) == {
        "depth": "10",
        "width": "8",
        "activation": "tanh",
        "init": "glorot_normal",
        "gain": "1.5",
        "residual": "Residual(every=2)",
        "clip": "ClipNorm(max_norm=1.0)",
    }
    assert shown(net).rows[0][0] == "MLP"
    cell = vgsim.LSTM(10, 8, chrono=20)
    assert rows(cell)["chrono"] == "20.0"
    assert shown(cell).rows[0][0] == "LSTM"


@pytest.mark.parametrize(
    ("widths", "text"),
    [([3, 4, 5], "3,4,5"), (range(1, 102), "1, 2, …, 101 (101 widths)")],
)
def test_widths(widths, text):
    assert rows(vgsim.MLP(len(widths) - 1, widths))["width"] == text


def test_a_sequential_is_a_tree():
    attention = vgsim.Skip([vgsim.Norm("layer"), vgsim.Attention(4, causal=True)], branch=0.5)
    mlp = vgsim.Skip([vgsim.Norm("rms"), vgsim.Linear(32), ["gelu", vgsim.Linear(16)]])
    gate = vgsim.Gate([vgsim.Linear(), "tanh"])
    net = vgsim.Sequential(
        16, [attention, mlp] * 24 + [gate] * 3 + ["relu", vgsim.Linear(10)], tokens=4
    )
    found = shown(net)
    tree = found.html.split('monospace">')[1].split("</pre>")[0].replace("&#x27;", "'")
    assert tree == (
        "2 layers × 24\n"
        "  Skip(branch=0.5)\n"
        "    Norm(kind='layer')\n"
        "    Attention(heads=4, causal=True)\n"
        "  Skip\n"
        "    Norm(kind='rms')\n"
        "    Linear(width=32)\n"
        "    group\n"
        "      gelu\n"
        "      Linear(width=16)\n"
        "Gate × 3\n"
        "  Linear()\n"
        "  tanh\n"
        "relu\n"
        "Linear(width=10)"
    )
    assert rows(net) == {"width": "16", "tokens": "4"}
    assert "53 layers:" in found.text


def test_a_long_tree_is_cut():
    many = vgsim.Sequential(4, [vgsim.Linear(gain=1 + i) for i in range(100)])
    lines = shown(many).html.split('monospace">')[1].split("</pre>")[0].splitlines()
    assert len(lines) == 41
    assert lines[-1] == "…"
    assert len(shown(vgsim.Sequential(4, [vgsim.Linear()] * 100_000)).html) < 1000


def test_parameters_of_activations_and_labels():
    assert rows(vgsim.Measured(18, "<i>")) == {"depth": "18", "label": "<i>"}
    net = vgsim.MLP(5, 4, activation=vgsim.Activation("leaky_relu", slope=0.2))
    assert rows(net)["activation"] == "leaky_relu:slope=0.2"
