"""Study files: what they stand for, and every error with its line."""

import re
from pathlib import Path

import numpy as np
import pytest

import vgsim
from vgsim._cli import study_options
from vgsim._cli.study_file import StudyFileError, read_study, study_from_toml
from vgsim._cli.toml_lines import line_of, lines_of

try:
    import tomllib
except ImportError:
    import tomli as tomllib

STUDY = """\
# a study
seed = 3
max_samples = 1_000_000
layers = [0, 5]
thresholds = [
  1e-6,  # ]
  1e-3,
]
[stop]
half_width = 0.01
event = "exploding"
threshold = 1e-3

[[sweep]]
activation = ["sigmoid", "relu"]
width = [8, 16]
depth = [10, 30]

[sweep.residual]
every = [1, 2]
"""
SWEEP = "[[sweep]]\nwidth = 8\ndepth = 10\n"


def networks(text):
    return list(study_from_toml(text, "study.toml").networks)


def errors(text):
    with pytest.raises(StudyFileError) as caught:
        study_from_toml(text, "study.toml")
    return str(caught.value).splitlines()


# What a file stands for


def test_a_study():
    spec = study_from_toml(STUDY, "study.toml")
    assert spec.arguments == {
        "seed": 3,
        "max_samples": 1_000_000,
        "layers": (0, 5),
        "thresholds": (1e-6, 1e-3),
        "stop": [vgsim.Precision(0.01, event="exploding", threshold=1e-3)],
    }
    assert list(spec.networks) == [
        vgsim.MLP(depth, width, activation=activation, residual=vgsim.Residual(every))
        for activation in ("sigmoid", "relu")
        for width in (8, 16)
        for depth in (10, 30)
        for every in (1, 2)
    ]


def test_the_arguments_are_those_of_collect():
    text = (
        'max_samples = 20\nmax_seconds = 60\nbatch_size = 4\nloss = "mse"\nengine = "dense"\n'
        'dtype = "float64"\ninputs = "normal"\n[[stop]]\nrelative = 0.5\n[[stop]]\nhalf_width=0.4\n'
        'event = "dead"\n' + SWEEP
    )
    spec = study_from_toml(text, "study.toml")
    study = vgsim.collect(spec.networks, **spec.arguments)
    task = study[0].task
    assert (task.batch_size, task.loss, task.engine, task.dtype) == (4, "mse", "dense", "float64")
    assert study[0].n == 20
    rules = vgsim.Precision(relative=0.5), vgsim.Precision(0.4, event="dead")
    assert study[0].watched == rules


@pytest.mark.parametrize("init", ["", 'init = "textbook"\n', 'init = ["textbook"]\n'])
def test_the_textbooks_initialisers_are_the_default_and_have_a_name(init):
    named = '["tanh", "relu", "selu", {name = "leaky_relu", slope = 0.1}]'
    text = f"[[sweep]]\nwidth = 8\ndepth = 10\nactivation = {named}\n{init}"
    leaky = vgsim.Activation("leaky_relu", slope=0.1)
    assert networks(text) == [
        vgsim.MLP(10, 8, activation=activation, init=init)
        for activation, init in (
            ("tanh", "glorot_normal"), ("relu", "he_normal"), ("selu", "lecun_normal"),
            (leaky, "he_normal"),
        )
    ]  # fmt: skip


def test_textbook_beside_others():
    text = SWEEP + 'activation = "relu"\ninit = ["textbook", "he_normal", "orthogonal"]\n'
    assert [network.init.name for network in networks(text)] == ["he_normal", "orthogonal"]


def test_recurrent_networks():
    text = (
        '[[sweep]]\nkind = "RNN"\nsteps = [5, 10]\nwidth = 8\ninput_std = [0, 1]\n'
        "clip = {limit = 2}\n"
    )
    assert networks(text) == [
        vgsim.RNN(steps, 8, input_std=std, clip=vgsim.ClipValue(2))
        for steps in (5, 10)
        for std in (0, 1)
    ]
    text = '[[sweep]]\nkind = "RNN"\nsteps = 5\nwidth = 8\nactivation = "relu"\n'
    for init in ("", 'init = "textbook"\n'):
        assert networks(text + init) == [vgsim.RNN(5, 8, activation="relu", init="orthogonal")]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('norm = ["none", "layer"]', [{}, {"norm": "layer"}]),
        ('norm = "rms"\nnorm_eps = 1e-3', [{"norm": "rms", "norm_eps": 1e-3}]),
        ('residual = ["none", {every = 2, style = "pre"}]',
         [{}, {"residual": vgsim.Residual(2, style="pre")}]),
        ("[sweep.residual]", [{"residual": vgsim.Residual()}]),
        ("residual.every = [1, 5]", [{"residual": vgsim.Residual(n)} for n in (1, 5)]),
        ("highway = [{}, {gate_bias = -1}]",
         [{"highway": vgsim.Highway(bias)} for bias in (-2, -1)]),
        ("[sweep.highway]\ngate_bias = [-1, -3]",
         [{"highway": vgsim.Highway(bias)} for bias in (-1, -3)]),
        ('clip = ["none", {max_norm = 1}]', [{}, {"clip": vgsim.ClipNorm(1)}]),
        ("[sweep.clip]\nlimit = [1, 2]", [{"clip": vgsim.ClipValue(x)} for x in (1, 2)]),
        ('[sweep.activation]\nname = "leaky_relu"\nslope = [0.1, 0.2]',
         [{"activation": vgsim.Activation("leaky_relu", slope=x)} for x in (0.1, 0.2)]),
        ('init = {name = "normal", std = [0.1, 0.2]}',
         [{"init": vgsim.Initializer("normal", std=x)} for x in (0.1, 0.2)]),
        ("gain = [1, 1.5]\nbias_std = 0.1", [{"gain": g, "bias_std": 0.1} for g in (1, 1.5)]),
    ],
)  # fmt: skip
def test_fields(said, expected):
    assert networks(SWEEP + said) == [vgsim.MLP(10, 8, **fields) for fields in expected]


def test_widths_are_a_list_in_a_list():
    assert networks("[[sweep]]\nwidth = [4, [3, 8, 2]]\ndepth = 2\n") == [
        vgsim.MLP(2, 4),
        vgsim.MLP(2, (3, 8, 2)),
    ]


def test_sweeps_add_up_and_a_network_counts_once():
    text = "[[sweep]]\nwidth = 8\ndepth = [10, 20]\n[[sweep]]\nwidth = [4, 8]\ndepth = 10\n"
    assert networks(text) == [vgsim.MLP(10, 8), vgsim.MLP(20, 8), vgsim.MLP(10, 4)]


def test_inputs_are_beside_the_file(tmp_path, rng):
    data = rng.normal(size=(5, 8))
    np.save(tmp_path / "data.npy", data)
    file = tmp_path / "study.toml"
    file.write_bytes(b"\xef\xbb\xbf" + ('inputs = "data.npy"\r\n' + SWEEP).encode())
    np.testing.assert_array_equal(read_study(file).arguments["inputs"], data)


def test_the_studies_of_the_manual():
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    spec = study_from_toml(text, "studies.md")
    assert len(spec.networks) == 3 * 2 * 3 * 2 * 2
    assert spec.arguments["stop"] == [vgsim.Precision(0.01, event="vanishing")]
    help_text = study_options.COLLECT_MORE.partition("A study file:\n")[2].partition("\nAlso:")[0]
    assert len(networks(help_text)) == 3 * 2 * 3 * 2


# Errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seeds = 1\n" + SWEEP, ["1: unknown key 'seeds', did you mean 'seed'?"]),
        ("colour = 1\n" + SWEEP, ["1: unknown key 'colour', the keys are seed, batch_size, l"]),
        ("\nseed = -1\n" + SWEEP, ["2: seed must be an int >= 0, got -1"]),
        ("max_samples = 1.5\n" + SWEEP, ["1: max_samples must be an int from 1 to 2**56, got "]),
        ("max_seconds = -1\n" + SWEEP, ["1: max_seconds must be a positive number, got -1"]),
        ("max_seconds = true\n" + SWEEP, ["1: max_seconds must be a positive number, got True"]),
        ("layers = 0\n" + SWEEP, ["1: layers must be a list, got 0"]),
        ("layers = [0, 0]\n" + SWEEP, ["1: layers must be distinct"]),
        ("thresholds = [\n2]\n" + SWEEP, ["1: thresholds must be 0 < threshold <= 1, got 2"]),
        ("batch_size = 0\n" + SWEEP, ["1: batch_size must be an int from 1"]),
        ('loss = "l2"\n' + SWEEP, ["1: loss must be one of 'linear', 'mse', 'cross_entropy'"]),
        ('engine = "gpu"\n' + SWEEP, ["1: engine must be one of 'auto', "]),
        ('dtype = "float16"\n' + SWEEP, ["1: dtype must be 'float32' or 'float64', got 'float16'"]),
        ("inputs = 1\n" + SWEEP, ["1: inputs must be 'normal' or the name of an .npy file, got 1"]),
        ('inputs = "no.npy"\n' + SWEEP, ["1: inputs: 'no.npy' cannot be read: No such file"]),
        ("seed = 0\n", ": a study needs one [[sweep]] or more"),
        ("seed = 0\nsweep = 3\n", ["2: sweep must be a table: [sweep] or [[sweep]], got 3"]),
        ("stop = 0.1\n" + SWEEP, ["1: stop must be a table: [stop] or [[stop]], got 0.1"]),
        # rules
        ("[stop]\nhalf_width = 0.5\n" + SWEEP, ["2: half_width must be a number strictly between"]),
        ("[stop]\nhalfwidth = 0.1\n" + SWEEP, ["2: unknown key 'halfwidth', did you mean 'half_"]),
        ("[stop]\n\n" + SWEEP, ["1: half_width or relative must be given, and not both"]),
        ("[stop]\nhalf_width = 0.1\nlayer = 3\n" + SWEEP, ["3: layer 3 is watched, it must be in"]),
        ("[stop]\nthreshold = 0.1\nhalf_width = 0.1\n" + SWEEP, ["2: threshold 0.1 is watched, i"]),
        ("[[stop]]\nrelative=0.1\n[[stop]]\nrelative = 0\n" + SWEEP, ["4: relative must be a pos"]),
        # sweeps
        ("[[sweep]]\nwidht = 8\n", ["1: a sweep of MLP needs depth", "1: a sweep of MLP needs widt",
                                    "2: unknown key 'widht', did you mean 'width'?"]),
        ('[[sweep]]\nkind = "GRU"\n', ["2: kind must be one of 'MLP', 'RNN', got 'GRU'"]),
        ('[[sweep]]\nkind = "RNN"\nwidth = 8\ndepth = 10\n',
         ["1: a sweep of RNN needs steps", "4: unknown key 'depth', the keys are kind, steps, "]),
        ("[[sweep]]\nwidth = []\ndepth = 10", ["2: width is an empty list"]),
        ("[[sweep]]\nwidth = 8\ndepth = [0, 10, -1]", ["3: depth must be an int from 1",
                                                       "3: depth must be an int from 1"]),
        (SWEEP + 'activation = "thanh"', ["4: activation 'thanh' is unknown (did you mean 'tanh'"]),
        (SWEEP + 'activation = [{slope = 1}]', ["4: activation needs a name, got {'slope': 1}"]),
        (SWEEP + 'init = "identity"', ["4: init must not be 'identity' in an MLP"]),
        (SWEEP + "residual = 2", ["4: residual must be a table with every or skip or branch or s"]),
        (SWEEP + "residual = {evry = 2}", ["4: unknown key 'evry', did you mean 'every'?"]),
        (SWEEP + "residual = [{evry = 2}]", ["4: unknown key 'evry', did you mean 'every'?"]),
        (SWEEP + "[sweep.highway]\n\nbias = 2", ["6: unknown key 'bias', the keys are gate_bias"]),
        (SWEEP + "clip = 1", ["4: clip must be a table with max_norm or limit, or 'none', got 1"]),
        (SWEEP + "width_ = 1\ngain = 2", ["4: unknown key 'width_', did you mean 'width'?"]),
        (SWEEP + "norm = 'layer'\nnorm_eps = 2", ["5: norm_eps must be from 1e-12 to 1, got 2"]),
        (SWEEP + "\nnorm_eps = 1e-3", ["5: norm_eps is for a norm, got 0.001 without one; wid"]),
        (SWEEP + 'kind = "RNN"\nnorm = "rms"',
         ["1: a sweep of RNN needs steps", "3: unknown key 'depth', ", "5: unknown key 'norm', "]),
        (SWEEP + "[sweep.residual]\nskip = 1\nevery = [1, 0]", ["6: every of Residual must be an"]),
        (SWEEP + "[sweep.residual]\nevery = [2, 3]", ["4: residual has blocks of 3 layers: the d"]),
        (SWEEP + "[sweep.clip]\nlimit = 1\nmax_norm = 1", ["4: clip needs one of max_norm and li"]),
        (SWEEP + '[sweep.init]\nname = "normal"\nstd = [0.1, -1]', ["6: std of init 'normal' mus"]),
        (SWEEP + "[sweep.init]\nstd = 0.1", ["4: init needs a name"]),
        (SWEEP + "residual = {}\nhighway = {}", ["4: residual and highway exclude each other"]),
        # together
        ("layers = [0, 20]\n" + SWEEP, ["2: layers[1] must be an int from 0 to depth = 10"]),
        (SWEEP + 'norm = "batch"', ["1: batch_size must be at least 2 with norm 'batch', got 1"]),
        ('engine = "matrix-free"\n' + SWEEP + 'init = ["he_normal", "he_uniform"]',
         ["2: engine 'matrix-free' needs Gaussian or orthogonal weights"]),
        # syntax
        ("seed = 0\nlayers = [0\n[[sweep]]\n", ["3: this is not TOML: "]),
        ("seed = 0\nseed = 1\n", ["2: this is not TOML: "]),
        ("seed = ", ["1: this is not TOML: "]),
    ],
)  # fmt: skip
def test_an_error_and_its_line(text, expected):
    found = errors(text)
    if isinstance(expected, str):
        assert found == [f"study.toml{expected}"]
        return
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(f"study.toml:{start}")


def test_all_errors_are_listed_in_order():
    text = STUDY.replace("seed", "sede").replace("0.01", "1").replace("[8, 16]", "[8, 0, 16]")
    text = text.replace('"relu"', '"relo"').replace("every", "evry")
    assert [line.split(":")[1] for line in errors(text)] == ["2", "10", "15", "16", "20"]


def test_the_combination_is_named():
    (line,) = errors("[[sweep]]\nwidth = 8\ndepth = [10, 15]\nresidual.every = 2")
    assert line.endswith("got 15; width=8, depth=15, residual__every=2")


def test_a_file_that_is_no_text(tmp_path):
    file = tmp_path / "study.toml"
    file.write_bytes(b"seed = 1\n\xff")
    with pytest.raises(StudyFileError, match=r"study.toml:2: TOML must be UTF-8"):
        read_study(file)


# Lines

TRICKY = '''\
# [comment] a = 1
"quoted key" = "a # b" # c
text = """
key = 1
[table]
"""
raw = \'\'\'
[[x]]\'\'\'
list = [ # ]
  "]", [1, 2],
  { inner = "[" },
]
a.b.c = 1
[ table . "sub.table" ]
key = 1

  [[array]]
  key = 1979-05-27
  [[array.inner]]
  key = 2
  [[array.inner]]
  other.key = {x = 1}
[[array]]
key = 3
[array.more]
key = 4
'''


def value_at(values, path):
    for part in path:
        values = values[part]
    return values


def leaves(values, path=()):
    if isinstance(values, dict):
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    elif isinstance(values, list) and values and all(isinstance(v, dict) for v in values):
        for i, value in enumerate(values):
            yield from leaves(value, (*path, i))
    else:
        yield path


@pytest.mark.parametrize("text", [TRICKY, STUDY], ids=["tricky", "study"])
def test_lines_hold_their_keys(text):
    values, lines = tomllib.loads(text), lines_of(text)
    for path, line in lines.items():
        value_at(values, path)
        name = next(part for part in reversed(path) if isinstance(part, str))
        assert name in text.splitlines()[line - 1]
    for path in leaves(values):
        assert path in lines or path[-1] == "x"


def test_lines_of_what_has_none_of_its_own():
    lines = lines_of(TRICKY)
    assert line_of(("array", 0, "inner", 1, "other", "key", "x"), lines) == 22
    assert line_of(("array", 0, "key"), lines) == 18
    assert line_of(("nothing",), lines) is None


def test_a_whole_number_may_be_written_as_a_float():
    text = "max_samples = 1e6\n[[sweep]]\nwidth = 8\ndepth = 10\n"
    assert study_from_toml(text, "x.toml").arguments == {"max_samples": 1_000_000}
    with pytest.raises(
        StudyFileError, match=r"x.toml:1: max_samples must be an int .*, got 1500.5"
    ):
        study_from_toml(text.replace("1e6", "1500.5"), "x.toml")
