"""Files that describe networks: the networks of ``vgsim run net.toml`` and of study files."""

import json
import re

import pytest

import vgsim
from vgsim import Activation, Attention, Gate, Linear, Norm, Sequential, Skip
from vgsim._cli import run
from vgsim._cli.network_file import networks_from_toml
from vgsim._cli.network_text import row, technique, title
from vgsim._cli.study_file import study_from_toml
from vgsim._cli.toml_file import TomlError

HEAD = 'kind = "Sequential"\nwidth = 8\n'
TRANSFORMER = """\
kind = "Sequential"
width = 8
tokens = 4

[[layers]]
repeat = 3

[[layers.layers]]
kind = "Skip"
layers = [{kind = "Norm", norm = "layer"}, {kind = "Attention", heads = 2, causal = true}]

[[layers.layers]]
kind = "Skip"
branch = 0.5
layers = [
  {kind = "Norm", norm = "layer"},
  {kind = "Linear", width = 32, init = "he_normal"},
  "gelu",
  {kind = "Linear", width = 8},
]

[[layers]]
kind = "Group"
layers = [{kind = "Linear", width = 2}, {kind = "activation", name = "elu", alpha = 2.0}]

[clip]
max_norm = 1.0
"""


def networks(text):
    return networks_from_toml(text, "net.toml")


def errors(text):
    with pytest.raises(TomlError) as caught:
        networks(text)
    return str(caught.value).splitlines()


def test_a_network():
    mlp = [Norm("layer"), Linear(32, init="he_normal"), "gelu", Linear(8)]
    blocks = [Skip([Norm("layer"), Attention(2, causal=True)]), Skip(mlp, branch=0.5)]
    out = [Linear(2), Activation("elu", alpha=2)]
    assert networks(TRANSFORMER) == [
        Sequential(8, [*blocks * 3, out], tokens=4, clip=vgsim.ClipNorm(1))
    ]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ('["tanh", {name = "elu", alpha = 2}]', [["tanh", Activation("elu", alpha=2)]]),
        ('[{kind = "Linear", repeat = 3}]', [[Linear()] * 3]),
        ('[{kind = "Gate", layers = ["tanh"], bias = -1}]', [[Gate(["tanh"], bias=-1)]]),
        ('["relu", ["tanh", "relu"]]', [["relu", ["tanh", "relu"]]]),
        ('[["tanh"], ["relu", "tanh"]]', [["tanh"], ["relu", "tanh"]]),
        ('[{kind = "Linear", gain = [1, 2]}]', [[Linear()], [Linear(gain=2)]]),
        (
            '[{kind = "Skip", branch = [1, 2], layers = [{kind = "Linear", gain = [3, 4]}]}]',
            [[Skip([Linear(gain=g)], branch=b)] for b in (1, 2) for g in (3, 4)],
        ),
        (
            '[{repeat = [2, 4], layers = [{kind = "Linear"}, "tanh"]}]',
            [[Linear(), "tanh"] * 2, [Linear(), "tanh"] * 4],
        ),
        (
            '[{kind = "Linear", init = {name = "normal", std = [1, 2]}}]',
            [[Linear(init=vgsim.Initializer("normal", std=std))] for std in (1, 2)],
        ),
    ],
)
def test_layers(layers, expected):
    assert networks(f"{HEAD}layers = {layers}") == [Sequential(8, one) for one in expected]


def test_other_kinds_and_lists_of_values():
    assert networks("depth = [3, 4]\nwidth = 8\nresidual.every = 1") == [
        vgsim.MLP(depth, 8, residual=vgsim.Residual()) for depth in (3, 4)
    ]
    found = networks(HEAD + 'layers = ["tanh"]\ntokens = [1, 4]')
    assert found == [Sequential(8, ["tanh"], tokens=tokens) for tokens in (1, 4)]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", "layers must be given for kind 'Sequential'"),
        ("layers = 3", "layers must be a list of layers, got 3"),
        ("layers = []", "layers must have at least one layer"),
        ("[layers]\nkind = 'Linear'", "layers must be a list of layers, got {'kind': 'Linear'}"),
        ('layers = ["than"]', "layers[0] 'than' is the name of no activation (did you mean 'tanh'"),
        ("[[layers]]\nkind = 'Linaer'", "layers[0].kind must be one of 'Linear',"),
        ("[[layers]]\nkind = 'Linear'\ngain = []", "layers[0].gain is an empty list"),
        ("[[layers]]\nkind = 'Linear'\ngain = -1", "layers[0].gain must be a finite number > 0"),
        ("[[layers]]\nkind = 'Linear'\nwidht = 1", "layers[0].widht is unknown, did you mean 'wid"),
        ("[[layers]]\nkind = 'Dropout'", "layers[0].rate must be given for kind 'Dropout'"),
        ("[[layers]]\nkind = 'Norm'\nnorm = 'lyer'", "layers[0].norm must be one of 'batch', 'lay"),
        ("[[layers]]\nrepeat = 0\nlayers = ['tanh']", "layers[0].repeat must be an int from 1"),
        ("[[layers]]\nheads = 2", "layers[0] must have the keys kind, one of"),
        (
            "layers = ['tanh', {kind = 'Skip', layers = ['tanh', {kind = 'Linear', width = 0}]}]",
            "layers[1].layers[1].width must be an int from 1 to 4294967295, got 0",
        ),
        (
            "layers = ['tanh', {kind = 'Skip', layers = [{kind = 'Attention', heads = 3}]}]",
            "layers[1].layers[0].heads must divide the width of what comes in, 8, got 3",
        ),
        ("layers = [['tanh'], ['relu', 'rleu']]", "layers[1][1] 'rleu' is the name of no activat"),
        ("layers = ['tanh']\ndepth = 3", "depth is unknown, the keys are kind, width, layers, tok"),
        ("layers = ['tanh']\ntokens = 0", "tokens must be an int from 1"),
    ],
)
def test_errors_name_the_path_of_the_key(text, start):
    (line,) = errors(HEAD + text)
    assert line.startswith(f"net.toml: {start}")


def test_every_wrong_value_of_a_list_is_reported_once():
    layers = '[{kind = "Linear", gain = [1, -1, -2]}, {kind = "Linear", bias_std = [0, 1]}]'
    found = errors(f"{HEAD}layers = {layers}")
    assert [line[-2:] for line in found] == ["-1", "-2"]


def test_deep_nesting_is_an_error():
    layers = "[{kind='Skip', layers=" * 60 + "['tanh']" + "}]" * 60
    assert errors(f"{HEAD}layers = {layers}")[0].endswith("at most 32 lists in each other")


# Study files


def test_a_study_of_composed_networks():
    text = "max_samples = 10\n" + re.sub(
        r"\[(layers|clip)", r"[sweep.\1", TRANSFORMER.replace("kind", "[[sweep]]\nkind", 1)
    )
    (net,) = study_from_toml(text, "study.toml").networks
    assert net == networks(TRANSFORMER)[0]
    with pytest.raises(
        TomlError, match=r"^study.toml: sweep\[0\].layers\[0\].layers\[1\].branch must"
    ):
        study_from_toml(text.replace("branch = 0.5", "branch = 0"), "study.toml")


# The command


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(f'{HEAD}layers = [{{kind = "Linear", gain = [1, 2]}}, "tanh"]\n')
    return path


def test_run_simulates_the_networks_of_a_file(command, file, monkeypatch):
    simulated = []

    def run_network(network, settings, first, n, layers, recorded, threads, report):
        simulated.append((network, settings.seed, n))
        twin = vgsim.MLP(network.depth, 8, gain=network.layers[0].gain)
        samples = vgsim.simulate(twin, n, seed=settings.seed)
        samples.network = network
        return samples

    monkeypatch.setattr(run, "run_network", run_network)
    monkeypatch.setattr(run, "relative_cost", lambda *_: 1.0)
    code, out, err = command("run", str(file), "--samples", "50", "--seed", "3")
    assert (code, err) == (0, "")
    nets = [Sequential(8, [Linear(gain=gain), "tanh"]) for gain in (1, 2)]
    assert simulated == [(net, 3, 50) for net in nets]
    assert "\n[Linear(), 'tanh'], " in out
    assert "\n[Linear(gain=2.0), 'tanh'], " in out
    code, out, err = command("run", str(file), "--samples", "50", "--csv")
    header, *rows = out.splitlines()
    assert header.startswith("network,depth,")
    assert len(rows) == 2


@pytest.mark.parametrize("options", [["--width", "3"], ["--rnn"], ["--norm", "layer"]])
def test_options_for_networks_are_refused_beside_a_file(command, file, options):
    code, _, err = command("run", str(file), *options)
    assert code == 2
    assert err == (
        f"vgsim run: error: {options[0]} is for networks without a file, and {file} describes "
        "them\n"
    )


def test_files_that_cannot_be_used(command, tmp_path):
    missing = tmp_path / "missing.toml"
    assert command("run", str(missing))[2].startswith("vgsim run: error: ")
    (broken := tmp_path / "broken.toml").write_text("width =")
    assert "broken.toml is not TOML" in command("run", str(broken))[2]
    (wrong := tmp_path / "wrong.toml").write_text(HEAD + 'layers = ["than"]')
    assert (
        "wrong.toml: layers[0] 'than' is the name of no activation" in command("run", str(wrong))[2]
    )


def test_the_network_of_the_help_text_is_one():
    from vgsim._cli.help_texts import NET

    assert [net.depth for net in networks(NET)] == [49, 49]


def test_words_for_a_composed_network():
    net = Sequential(8, [Linear(), "tanh"] * 5, tokens=4, clip=vgsim.ClipNorm(2))
    assert title(net) == "Sequential, depth 10"
    assert technique(net, 3) == "tokens 4, clip norm 2, batch size 3"
    found = row(net)
    assert json.loads(found["layers"]) == net.to_dict()["layers"]
    assert (found["network"], found["depth"], found["tokens"]) == ("Sequential", 10, 4)
    assert found["activation"] is None
