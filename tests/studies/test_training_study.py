"""TrainingStudy: what is found, tabulated, drawn, saved and joined, of trainings of known laws."""

import csv
import io

import numpy as np
import pytest
from scipy.stats import binomtest

import vgsim
from known_trainings import random_training, same, training

N = 40


def learning(network, learned, n=N, **setting):
    """Return a training of which the first `learned` of n samples reach a loss of 0 at step 5."""
    loss = np.full((n, 12), 2.0)
    loss[:learned, 5:] = 0.0
    return training(loss, network=network, setting=setting)


@pytest.fixture
def study():
    """Return a study in which the number that learn is known for each network and rate."""
    return vgsim.TrainingStudy(
        learning(vgsim.MLP(depth, 4, activation=activation), learned - shift, learning_rate=rate)
        for activation, shift in (("tanh", 0), ("relu", 2))
        for rate in (0.1, 0.01)
        for depth, learned in ((5, 40), (10, 30), (20, 4))
    )


def test_a_sequence(study):
    assert len(study) == 12
    assert study[0].network == vgsim.MLP(5, 4)
    assert study[-1].learning_rate == 0.01
    assert [one.network.depth for one in study[:3]] == [5, 10, 20]
    assert isinstance(study[2:4], vgsim.TrainingStudy)
    assert repr(study) == "<TrainingStudy: 12 trainings, 480 networks>"
    assert study.provenance == {"vgsim": "0"}
    for place, error in ((12, IndexError), ("0", TypeError), (0.5, TypeError)):
        with pytest.raises(error, match="place must be"):
            study[place]


def test_wrong_trainings(study):
    with pytest.raises(TypeError, match=r"trainings must be of vgsim\.Training, got 1"):
        vgsim.TrainingStudy([1])
    with pytest.raises(TypeError, match="trainings must be an iterable"):
        vgsim.TrainingStudy(1)
    with pytest.raises(ValueError, match="trained twice"):
        vgsim.TrainingStudy([study[0], study[0]])


def test_find(study):
    found = study.find(activation="relu", learning_rate=0.01)
    assert [one.network.depth for one in found] == [5, 10, 20]
    assert {one.network.activation.name for one in found} == {"relu"}
    assert len(study.find(depth=10)) == 4
    assert len(study.find(optimizer="sgd", batch_size=32, dtype="float32", seed=0)) == 12
    assert len(study.find(optimizer="adam")) == len(study.find(steps=3)) == 0
    assert len(study.find(activation=vgsim.Activation("tanh"), clip=None)) == 6


def test_find_among_settings_with_the_name_of_a_field():
    rng = np.random.default_rng(0)
    clip = vgsim.ClipNorm(2.0).to_dict()
    own = vgsim.RNN(3, 4, clip=vgsim.ClipNorm(1.0))
    study = vgsim.TrainingStudy(
        random_training(rng, network=network, record=("loss",), setting={"clip": value})
        for network in (own, vgsim.RNN(3, 4))
        for value in (None, clip)
    )
    assert [one.clip for one in study.find(clip="ClipNorm")] == [clip, clip]
    assert [one.network for one in study.find(network__clip="ClipNorm")] == [own, own]
    assert len(study.find(clip__max_norm=2.0)) == 2
    assert len(study.find(steps=41, depth=3)) == 4


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"learning_rat": 1}, ValueError, "did you mean 'learning_rate'"),
        ({"activation": "relo"}, ValueError, "activation 'relo' is unknown"),
        ({"batch_size": 0.5}, TypeError, "batch_size must be"),
        ({"dtype": "float16"}, ValueError, "dtype"),
        ({"optimizer": 1}, TypeError, "optimizer must be"),
        ({"seed": "a"}, TypeError, "seed must be a number"),
    ],
)
def test_find_refuses(study, fields, error, message):
    with pytest.raises(error, match=message):
        study.find(**fields)


def test_the_table(study):
    part = study.find(activation="tanh", learning_rate=0.1)
    lines = part.table().splitlines()
    heading = "depth P(learned) P(stuck) P(diverged) median steps final loss"
    assert lines[-4].split() == heading.split()
    first, second, third = (line.split() for line in lines[-3:])
    assert (first[0], second[0], third[0]) == ("5", "10", "20")
    assert (second[1], third[1]) == ("0.75", "0.100")
    assert (second[-2:], third[-2:]) == (["7", "0.000"], ["-", "2.000"])
    assert "learning_rate 0.1" in " ".join(lines)
    header, *rows = csv.reader(io.StringIO(study.table("csv")))
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert len(table) == 12
    expected = binomtest(30, N).proportion_ci(0.95, "wilson")
    assert float(table[1]["learned"]) == 0.75
    assert float(table[1]["learned_low"]) == pytest.approx(expected.low, rel=1e-9)
    assert float(table[1]["learned_high"]) == pytest.approx(expected.high, rel=1e-9)
    narrow = study.table("csv", columns="learned", confidence_level=0.5).splitlines()
    assert narrow[0] == "depth,activation,learning_rate,learned,learned_low,learned_high"
    for format in ("latex", "markdown", "html"):
        assert "0.75" in study.table(format)
    with pytest.raises(ValueError, match="columns"):
        study.table(columns="lerned")
    assert vgsim.TrainingStudy([]).table().strip() == "no trainings"


def test_pandas(study):
    pytest.importorskip("pandas")
    frame = study.to_dataframe()
    assert len(frame) == 12
    assert frame.learned.tolist()[:3] == [1.0, 0.75, 0.1]
    assert frame.time_to_loss.tolist()[:3] == [7.0, 7.0, np.inf]
    assert frame.final_loss.tolist()[:3] == [0.0, 0.0, 2.0]
    assert frame.attrs == study.provenance
    by_depth = frame.groupby("depth").learned.mean()
    assert by_depth.tolist() == pytest.approx([0.975, 0.725, 0.075])


def test_join(study):
    other = learning(vgsim.MLP(5, 4), 40, learning_rate=0.5)
    more = training(np.full((7, 12), 2.0), network=vgsim.MLP(5, 4), first=N)
    joined = study + vgsim.TrainingStudy([other, more])
    assert len(joined) == 13
    assert len(joined[0]) == N + 7
    assert joined[0].probability("learned").estimate == N / (N + 7)
    assert same(sum([study])[3], study[3])
    with pytest.raises(ValueError, match="samples are in both"):
        study + study


def test_save_and_load(study, tmp_path):
    rng = np.random.default_rng(0)
    absolute = vgsim.Activation("custom", function=np.abs, derivative=np.sign)
    whole = study + vgsim.TrainingStudy(
        [random_training(rng, diverged=2, network=vgsim.MLP(3, 4, activation=absolute))]
    )
    path = tmp_path / "study.npz"
    whole.save(path)
    found = vgsim.load(path, "training_study")
    assert len(found) == 13
    assert all(map(same, found, whole))
    assert found.provenance == whole.provenance
    with pytest.raises(ValueError, match=r"holds vgsim\.TrainingStudy, not vgsim\.Training"):
        vgsim.load(path, "training")
    vgsim.TrainingStudy([]).save(path)
    assert len(vgsim.load(path)) == 0
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        vgsim.load(path)


def test_curves(study):
    pytest.importorskip("matplotlib")
    drawn = study.find(learning_rate=0.1).plot(hue="activation")
    ax = drawn.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("depth", "P(learned)")
    assert study[:1].plot(level=0.75, step=2).axes.get_ylabel() == "P(loss < 0.75) by step 2"
    curves = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert [line.get_xdata().tolist() for line in curves] == [[5, 10, 20]] * 2
    assert curves[0].get_ydata().tolist() == [1.0, 0.75, 0.1]
    assert curves[1].get_ydata().tolist() == [0.95, 0.7, 0.05]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["tanh", "relu"]
    early = study.find(learning_rate=0.1, activation="tanh").plot(step=4, event="stuck")
    assert early.axes.lines[0].get_ydata().tolist() == [1.0, 1.0, 1.0]


def test_words_on_the_axis(study):
    pytest.importorskip("matplotlib")
    ax = study.find(learning_rate=0.1).plot("activation", "depth").axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["tanh", "relu"]


def test_the_map(study):
    pytest.importorskip("matplotlib")
    mesh, line = study.find(activation="tanh").plot(
        "learning_rate", y="depth", line=([0.01, 0.1], [5, 20]), line_label="6 ξ"
    )
    assert mesh.get_array().reshape(3, 2).tolist() == [[1.0, 1.0], [0.75, 0.75], [0.1, 0.1]]
    assert line.get_ydata().tolist() == [5, 20]
    assert [text.get_text() for text in mesh.axes.get_legend().get_texts()] == ["6 ξ"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "they differ in activation, init, learning_rate"),
        ({"x": "deph"}, "did you mean 'depth'"),
        ({"hue": "depth"}, "x must be another field"),
        ({"hue": "activation", "y": "gain"}, "hue must be None with y"),
        ({"event": "learnt"}, "event"),
        ({"line": ([1], [1])}, "line is drawn over a heat map"),
    ],
)
def test_plots_refuse(study, arguments, message):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=message):
        study.plot(**arguments)
    part = study.find(activation="tanh", learning_rate=0.1)
    with pytest.raises(ValueError, match="step must be"):
        part.plot(step=12)
    with pytest.raises(ValueError, match="level is for the event 'learned' only"):
        part.plot(event="stuck", level=1.0)


def test_networks_with_a_last_linear_layer_are_told_apart_by_their_activation():
    pytest.importorskip("matplotlib")
    study = vgsim.TrainingStudy(
        learning(
            vgsim.Sequential(
                4, [*vgsim.MLP(depth, 4, activation=activation).layers, vgsim.Linear(10)]
            ),
            learned,
        )
        for activation, learned in (("tanh", 40), ("erf", 10))
        for depth in (2, 5, 7)
    )
    ax = study.plot(hue="layers__0__1").axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["tanh", "erf"]
    assert "<img" in study._repr_html_()
    assert "layers__0__1" in study.table()


def test_html(study):
    pytest.importorskip("matplotlib")
    text = study.find(learning_rate=0.1)._repr_html_()
    assert "<table" in text
    assert "<img" in text
    assert "0.75" in text
    assert "12 trainings" not in study._repr_html_()
    many = vgsim.TrainingStudy(learning(vgsim.MLP(depth, 4), 3) for depth in range(1, 16))
    assert "and 3 more trainings" in many._repr_html_()
    assert "0 trainings" in vgsim.TrainingStudy([])._repr_html_()
