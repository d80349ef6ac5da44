"""Study files: their networks and arguments, and every error with the path of its key."""

import os
import random
import re
from pathlib import Path

import numpy as np
import pytest

import vgsim
from vgsim._cli import study_options
from vgsim._cli.study_file import read_study, study_from_toml
from vgsim._cli.toml_file import TomlError

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
    with pytest.raises(TomlError) as caught:
        study_from_toml(text, "study.toml")
    return str(caught.value).splitlines()


# The study of a file


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
        ("seeds = 1\n" + SWEEP, ["seeds is unknown, did you mean 'seed'?"]),
        (
            "colour = 1\n" + SWEEP,
            ["colour is unknown, the keys are seed, batch_size"],
        ),
        ("\nseed = -1\n" + SWEEP, ["seed must be an int >= 0, got -1"]),
        ("max_samples = 1.5\n" + SWEEP, ["max_samples must be an int from 1 to 2**56, g"]),
        ("max_seconds = -1\n" + SWEEP, ["max_seconds must be a positive number, got -1"]),
        ("max_seconds = true\n" + SWEEP, ["max_seconds must be a positive number, got Tr"]),
        ("layers = 0\n" + SWEEP, ["layers must be a list, got 0"]),
        (
            "layers = [0, 0]\n" + SWEEP,
            ["layers must be distinct ints, one or more of the"],
        ),
        ("thresholds = [\n2]\n" + SWEEP, ["thresholds must be 0 < threshold <= 1, got 2"]),
        ("batch_size = 0\n" + SWEEP, ["batch_size must be an int from 1 to 4294967295, got "]),
        (
            'loss = "l2"\n' + SWEEP,
            ["loss must be one of 'linear', 'mse', 'cross_en"],
        ),
        (
            'engine = "gpu"\n' + SWEEP,
            ["engine must be one of 'auto', 'scalar', 'matrix-"],
        ),
        ('dtype = "float16"\n' + SWEEP, ["dtype must be 'float32' or 'float64', got 'floa"]),
        ("inputs = 1\n" + SWEEP, ["inputs must be 'normal', 'zeros' or the name of an .npy f"]),
        (
            'inputs = "no.npy"\n' + SWEEP,
            ["inputs must be 'normal', 'zeros' or an .npy file: 'no.npy"],
        ),
        ("seed = 0\n", ["a study needs at least one [[sweep]]"]),
        ("seed = 0\nsweep = 3\n", ["sweep must be a table: [sweep] or [[sweep]], got 3"]),
        ("stop = 0.1\n" + SWEEP, ["stop must be a table: [stop] or [[stop]], got "]),
        # rules
        (
            "[stop]\nhalf_width = 0.5\n" + SWEEP,
            ["stop.half_width must be a number strictly betw"],
        ),
        (
            "[stop]\nhalfwidth = 0.1\n" + SWEEP,
            ["stop.halfwidth is unknown, did you mean 'half_"],
        ),
        ("[stop]\n\n" + SWEEP, ["stop.half_width or relative must be given, and"]),
        (
            "[stop]\nhalf_width = 0.1\nlayer = 3\n" + SWEEP,
            ["stop.layer must be one of layers, [0], got 3"],
        ),
        (
            "[stop]\nthreshold = 0.1\nhalf_width = 0.1\n" + SWEEP,
            ["stop.threshold must be one of thresholds, [1e-"],
        ),
        (
            "[[stop]]\nrelative=0.1\n[[stop]]\nrelative = 0\n" + SWEEP,
            ["stop[1].relative must be a positive number, go"],
        ),
        # sweeps
        (
            "[[sweep]]\nwidht = 8\n",
            [
                "sweep[0].widht is unknown, did you mean 'width'?",
                "sweep[0].depth must be given for kind 'MLP'",
                "sweep[0].width must be given for kind 'MLP'",
            ],
        ),
        (
            '[[sweep]]\nkind = "LSTM"\nsteps = 5\nwidth = 8\nchrono = [1, "none"]\nleak = 1\n',
            [
                "sweep[0].leak is unknown, the keys are kind, st",
                "sweep[0].chrono must be from 2 to 1e30, got 1",
            ],
        ),
        (
            '[[sweep]]\nkind = "gru"\n',
            ["sweep[0].kind must be one of 'MLP', 'GRU', 'LSTM', 'RNN', "],
        ),
        (
            '[[sweep]]\nkind = "RNN"\nwidth = 8\ndepth = 10\n',
            [
                "sweep[0].depth is unknown, the keys are kind, st",
                "sweep[0].steps must be given for kind 'RNN'",
            ],
        ),
        (
            "[[sweep]]\nwidth = []\ndepth = 10",
            ["sweep[0].width is an empty list, so the sweep has"],
        ),
        (
            "[[sweep]]\nwidth = 8\ndepth = [0, 10, -1]",
            [
                "sweep[0].depth must be an int from 1 to 42949672",
                "sweep[0].depth must be an int from 1 to 42949672",
            ],
        ),
        (
            SWEEP + 'activation = "thanh"',
            ["sweep[0].activation 'thanh' is unknown (did you "],
        ),
        (
            SWEEP + "activation = [{slope = 1}]",
            ["sweep[0].activation needs a name, got {'slope': "],
        ),
        (
            SWEEP + 'init = "identity"',
            ["sweep[0].init must not be 'identity' in an MLP: "],
        ),
        (
            SWEEP + "residual = 2",
            ["sweep[0].residual must be a table with every or "],
        ),
        (
            SWEEP + "residual = {evry = 2}",
            ["sweep[0].residual.evry is unknown, did you mean "],
        ),
        (
            SWEEP + "residual = [{evry = 2}]",
            ["sweep[0].residual.evry is unknown, did you mean "],
        ),
        (
            SWEEP + "[sweep.highway]\n\nbias = 2",
            ["sweep[0].highway.bias is unknown, the keys are g"],
        ),
        (SWEEP + "clip = 1", ["sweep[0].clip must be a table with max_norm or l"]),
        (SWEEP + "width_ = 1\ngain = 2", ["sweep[0].width_ is unknown, did you mean 'width'"]),
        (
            SWEEP + "norm = 'layer'\nnorm_eps = 2",
            ["sweep[0].norm_eps must be from 1e-12 to 1, got 2"],
        ),
        (
            SWEEP + "\nnorm_eps = 1e-3",
            ["sweep[0].norm_eps is for a norm, got 0.001 witho"],
        ),
        (
            SWEEP + 'kind = "RNN"\nnorm = "rms"',
            [
                "sweep[0].depth is unknown, the keys are kind, st",
                "sweep[0].norm is unknown, the keys are kind, ste",
                "sweep[0].steps must be given for kind 'RNN'",
            ],
        ),
        (
            SWEEP + "[sweep.residual]\nskip = 1\nevery = [1, 0]",
            ["sweep[0].residual.every must be an int from 1 to"],
        ),
        (
            SWEEP + "[sweep.residual]\nevery = [2, 3]",
            ["sweep[0].residual has blocks of 3 layers: the de"],
        ),
        (
            SWEEP + "[sweep.clip]\nlimit = 1\nmax_norm = 1",
            ["sweep[0].clip needs one of max_norm and limit, g"],
        ),
        (
            SWEEP + '[sweep.init]\nname = "normal"\nstd = [0.1, -1]',
            ["sweep[0].init.std must be from 1e-100 to 1e100, "],
        ),
        (SWEEP + "[sweep.init]\nstd = 0.1", ["sweep[0].init needs a name, got {'std': 0.1}"]),
        (
            SWEEP + "residual = {}\nhighway = {}",
            ["sweep[0].residual and highway exclude each other"],
        ),
        # together
        (
            "layers = [0, 20]\n" + SWEEP,
            ["layers[1] must be an int from 0 to depth = 10, g"],
        ),
        (
            SWEEP + 'norm = "batch"',
            ["batch_size must be at least 2 with norm 'batch', got"],
        ),
        (
            'engine = "matrix-free"\n' + SWEEP + 'init = ["he_normal", "he_uniform"]',
            ["engine 'matrix-free' needs Gaussian or orthogona"],
        ),
        # syntax
        ("seed = 0\nlayers = [0\n[[sweep]]\n", [" is not TOML: "]),
        ("seed = 0\nseed = 1\n", [" is not TOML: "]),
        ("seed = ", [" is not TOML: "]),
    ],
)
def test_an_error_and_the_path_of_its_key(text, expected):
    found = errors(text)
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.removeprefix("study.toml").removeprefix(": ").startswith(start)


def test_all_errors_are_listed():
    text = STUDY.replace("seed", "sede").replace("0.01", "1").replace("[8, 16]", "[8, 0, 16]")
    text = text.replace('"relu"', '"relo"').replace("every", "evry")
    places = [line.split()[1] for line in errors(text)]
    sweep = ["sweep[0].activation", "sweep[0].width", "sweep[0].residual.evry"]
    assert places == ["sede", "stop.half_width", *sweep]


def test_the_combination_is_named():
    (line,) = errors("[[sweep]]\nwidth = 8\ndepth = [10, 15]\nresidual.every = 2")
    assert line.endswith("got 15; width=8, depth=15, residual__every=2")


def test_a_file_that_is_no_text(tmp_path):
    file = tmp_path / "study.toml"
    file.write_bytes(b"seed = 1\n\xff")
    with pytest.raises(TomlError, match="study.toml: TOML must be UTF-8, line 2 is not"):
        read_study(file)


def test_a_whole_number_may_be_written_as_a_float():
    text = "max_samples = 1e6\n[[sweep]]\nwidth = 8\ndepth = 10\n"
    assert study_from_toml(text, "x.toml").arguments == {"max_samples": 1_000_000}
    with pytest.raises(TomlError, match=r"x.toml: max_samples must be an int .*, got 1500.5"):
        study_from_toml(text.replace("1e6", "1500.5"), "x.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed = " + "[" * 5000, "study.toml is not TOML: "),
        ("seed = " + "9" * 5000 + "\n" + SWEEP, "study.toml"),
        ("max_seconds = " + "9" * 400 + "\n" + SWEEP, "study.toml: max_seconds must be a positive"),
        (
            SWEEP + "gain = " + "9" * 400,
            "study.toml: sweep[0].gain must be a finite number > 0, got",
        ),
        (SWEEP + "residual = {every = []}", "study.toml: sweep[0].residual.every is an empty list"),
        (
            SWEEP + "[sweep.clip]\nmax_norm = []",
            "study.toml: sweep[0].clip.max_norm is an empty li",
        ),
        (
            SWEEP + "clip = [{max_norm = []}]",
            "study.toml: sweep[0].clip.max_norm must be from 1e-1",
        ),
        (SWEEP + "clip = {}", "study.toml: sweep[0].clip needs one of max_norm and limit, got []"),
        ("[[sweep]]\ndepth = 2\nwidth = [[4, 'a', 4]]", "study.toml: sweep[0].width[1] must be an"),
        ("seed = 1979-05-27\n" + SWEEP, "study.toml: seed must be an int >= 0, got datetime.date("),
        ('"a b\\n" = 1\n' + SWEEP, "study.toml: 'a b\\n' is unknown, the keys are seed"),
        ("x" * 5000 + " = 1\n" + SWEEP, "study.toml: 'xxxxxxxxxx"),
        (
            SWEEP + "deep = " + "[" * 90 + "]" * 90,
            "study.toml: sweep[0].deep is unknown, the keys a",
        ),
    ],
)
def test_odd_values_are_named_with_file_and_key(text, expected):
    (line,) = errors(text)
    assert line.startswith(expected)
    assert len(line) < 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_and_a_device_are_refused_and_not_read(tmp_path):
    os.mkfifo(pipe := tmp_path / "study.toml")
    for path in pipe, os.devnull:
        with pytest.raises(TomlError, match="must be a regular file, not a pipe or a dev"):
            read_study(path)
    file = tmp_path / "other.toml"
    file.write_text(f'inputs = "study.toml"\n{SWEEP}')
    with pytest.raises(TomlError, match=r"inputs must be .*study.toml' is not an .npy file"):
        read_study(file)


def test_a_large_file_is_refused(tmp_path):
    file = tmp_path / "study.toml"
    with open(file, "wb") as opened:
        opened.truncate(3 << 30)  # sparse
    with pytest.raises(TomlError, match=r"study.toml must have at most 16 MiB, and has more"):
        read_study(file)


def test_a_study_that_must_stop():
    with pytest.raises(TomlError, match=r"^x.toml: max_samples, max_seconds or \[stop\] must"):
        study_from_toml("seed = 1\n" + SWEEP, "x.toml", needs_stop=True)
    for stop in "max_samples = 1", "max_seconds = 1", "stop.relative = 0.1":
        study_from_toml(f"{stop}\n{SWEEP}", "x.toml", needs_stop=True)


def test_changed_files_are_read_or_refused_line_by_line():
    rng = random.Random(0)
    values = ["[]", "{}", "nan", "1e400", "1979-05-27", "true", '"a"', "[[]]", "{name = []}"]
    signs = "[]{}=\"'#\n., 01aeé\x00"
    for _ in range(400):
        text = STUDY
        for _ in range(rng.choice([1, 1, 2])):
            place = rng.randrange(len(text))
            text = text[:place] + rng.choice(signs) * rng.randrange(2) + text[place + 1 :]
            lines = text.split("\n")
            line = rng.randrange(len(lines))
            if "=" in lines[line] and rng.random() < 0.5:
                lines[line] = lines[line].partition("=")[0] + "=" + rng.choice(values)
            text = "\n".join(lines)
        try:
            study_from_toml(text, "study.toml")
        except TomlError as error:
            said = str(error).splitlines()
            assert all(x.startswith(("study.toml: ", "study.toml is not TOML: ")) for x in said)
