"""vgsim plot, --plot of vgsim run and vgsim depth, and the curves of vgsim run on a terminal."""

import re
import sys

import numpy as np
import pytest

import vgsim
from vgsim._cli import curve_figure, plot, run_pictures
from vgsim._cli.terminal_curves import BlockRow, block_curves

pytest.importorskip("matplotlib")

RUN = ("run", "--samples", 200, "--width", 8, "--threads", 1)
MAGIC = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8", "webp": b"RIFF"}


@pytest.fixture(scope="module")
def networks():
    return vgsim.sweep(vgsim.MLP, width=8, activation=["relu", "sigmoid"], depth=[5, 20])


@pytest.fixture(scope="module")
def store(tmp_path_factory, networks):
    path = tmp_path_factory.mktemp("stores") / "study.sqlite"
    vgsim.collect(networks, max_samples=1000, thresholds=(1e-3,), store=path)
    return path


@pytest.fixture
def figures(monkeypatch):
    """The figures that a command wrote, as matplotlib has them."""
    found = []
    for module in (plot, curve_figure, run_pictures):

        def save(figure, path, save=module.save_figure):
            found.append(figure)
            save(figure, path)

        monkeypatch.setattr(module, "save_figure", save)
    return found


def labels(ax):
    return ax.get_legend_handles_labels()[1]


# vgsim plot


@pytest.mark.parametrize("ending", sorted(MAGIC))
def test_plot_writes_the_format_of_the_ending(command, store, tmp_path, ending):
    out = tmp_path / f"figure.{ending}"
    assert command("plot", store, "-o", out) == (0, "", f"wrote {out}\n")
    assert out.read_bytes().startswith(MAGIC[ending])
    assert list(tmp_path.iterdir()) == [out]


def test_plot_chooses_the_fields_by_which_networks_differ(command, store, tmp_path, figures):
    code, *_ = command("plot", store, "--out", tmp_path / "a.png", "--width", 3, "--dpi", 50)
    assert code == 0
    (figure,) = figures
    (ax,) = figure.axes
    assert ax.get_xlabel() == "depth"
    assert labels(ax) == ["relu", "theory", "sigmoid"]
    assert figure.get_size_inches()[0] == 3
    study = vgsim.load(store)
    expected = [r.probability("vanishing").estimate for r in study.find(activation="sigmoid")]
    (line,) = [line for line in ax.lines if line.get_label() == "sigmoid"]
    assert line.get_ydata().tolist() == expected


def test_plot_takes_fields_and_values(command, store, tmp_path, figures):
    options = ("--x", "activation", "--y", "depth", "--value", "median", "--no-theory")
    assert command("plot", store, "-o", tmp_path / "a.png", *options)[0] == 0
    ax, bar = figures[0].axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["relu", "sigmoid"]
    assert bar.get_ylabel() == "median of $R_0$, decades"


def test_plot_reads_the_folder_of_run(command, tmp_path, figures):
    folder = tmp_path / "runs"
    run = (*RUN, "--activation", "relu", "tanh", "--depth", 3, 6, "--out", folder)
    assert command(*run)[0] == 0
    assert command("plot", folder, "-o", tmp_path / "a.png", "--threshold", 0.5)[0] == 0
    (ax,) = figures[0].axes
    assert ax.get_xlabel() == "depth"
    expected = [
        vgsim.simulate(vgsim.MLP(depth, 8, activation="tanh"), 200)
        .probability("vanishing", threshold=0.5)
        .estimate
        for depth in (3, 6)
    ]
    (line,) = [line for line in ax.lines if line.get_label() == "tanh"]
    assert np.allclose(line.get_ydata(), expected)


def test_plot_draws_samples_of_one_network(command, tmp_path, figures):
    samples = tmp_path / "relu.npz"
    vgsim.simulate(vgsim.MLP(10, 8, activation="relu"), 300).save(samples)
    assert command("plot", samples, "-o", tmp_path / "a.png", "--kind", "qq", "--layer", 5)[0] == 0
    assert "quantile of" in figures[0].axes[0].get_ylabel()
    code, _, error = command("plot", samples, "-o", tmp_path / "b.png", "--x", "depth")
    assert (code, "--x applies to studies only" in error) == (2, True)


def test_plot_of_samples_without_theory(command, tmp_path, figures):
    samples = tmp_path / "relu.npz"
    vgsim.simulate(vgsim.MLP(10, 8, activation="relu"), 300).save(samples)
    for name, options in (("a.png", ()), ("b.png", ("--no-theory",))):
        assert command("plot", samples, "-o", tmp_path / name, *options)[0] == 0
    found = ["exact law" in labels(figure.axes[0]) for figure in figures]
    assert found == [True, False]


@pytest.mark.parametrize(
    "make", [vgsim.simulate, lambda net, n: vgsim.collect([net], max_samples=n)]
)
def test_plot_ignores_no_threshold(command, tmp_path, make):
    make(vgsim.MLP(5, 8), 1000).save(tmp_path / "a.npz")
    code, _, error = command("plot", tmp_path / "a.npz", "-o", tmp_path / "a.png", "--threshold", 0)
    assert (code, "--threshold" in error) == (2, True)


def test_plot_of_one_result_is_its_density(command, tmp_path, figures):
    study = tmp_path / "one.npz"
    vgsim.collect([vgsim.MLP(10, 8)], max_samples=1000).save(study)
    assert command("plot", study, "-o", tmp_path / "a.png")[0] == 0
    assert figures[0].axes[0].get_ylabel() == "density"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "a.doc"], "--out must end in .eps, .jpg, .pdf, .png, .svg or .webp, got 'a.doc'"),
        (["-o", "a.png", "--x", "dpth"], "--x must be a field .* did you mean 'depth'"),
        (["-o", "a.png", "--hue", "init", "--x", "layer"], "--x and hue must tell .* depth"),
        (["-o", "a.png", "--kind", "qq"], "--kind applies to samples of one network only"),
        (["-o", "a.png", "--height", "0"], "--height must be positive and at most 100, got 0"),
        (["-o", "a.png", "--dpi", "nan"], "--dpi must be positive"),
        (["-o", "a.png", "--threshold", "0.5"], "--threshold must be one of those counted"),
        (["-o", "no such folder/a.png"], "No such file or directory"),
    ],
)
def test_plot_refuses(command, store, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    code, out, error = command("plot", store, *options)
    assert (code, out) == (2, "")
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["plot", "run", "depth"])
def test_a_figure_is_drawn_again(command, store, tmp_path, monkeypatch, name):
    words = {
        "plot": ("plot", store, "-o"),
        "run": (*RUN, "--depth", 3, "--plot"),
        "depth": ("depth", *RUN[1:], "--depth", 3, 6, "--plot"),
    }[name]
    (out := tmp_path / "a.png").write_text("old")
    assert command(*words, out)[0] == 0
    new = out.read_bytes()
    assert new.startswith(MAGIC["png"])

    def fails(self, path, **_):
        path.write_bytes(new[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fails)
    code, _, error = command(*words, out)
    assert (code, "No space left on device" in error) == (2, True)
    assert out.read_bytes() == new
    assert list(tmp_path.iterdir()) == [out]


def test_plot_does_not_replace_its_source(command, tmp_path):
    path = tmp_path / "store.png"
    vgsim.collect([vgsim.MLP(5, 8)], max_samples=100, store=path)
    before = path.read_bytes()
    code, _, error = command("plot", path, "-o", path)
    assert (code, "--out must not be a file that is read" in error) == (2, True)
    assert path.read_bytes() == before


def test_plot_chooses_networks_by_conditions(command, tmp_path, figures):
    path = tmp_path / "study.npz"
    networks = vgsim.sweep(vgsim.MLP, width=[4, 8], gain=[1, 2], depth=[5, 9])
    vgsim.collect(networks, max_samples=1000).save(path)
    words = ("plot", path, "-o", tmp_path / "a.png")
    code, _, error = command(*words)
    assert code == 2
    assert "choose some by --where, such as --where" in error
    assert command(*words, "--where", "width=8", "depth>5", "--value", "mean")[0] == 0
    (ax,) = figures[0].axes
    expected = [
        vgsim.simulate(vgsim.MLP(9, 8, gain=gain), 1000, layers=[0]).mean() for gain in (1, 2)
    ]
    assert ax.get_xlabel() == "gain"
    assert np.allclose(ax.lines[0].get_ydata(), expected, atol=1e-6)
    words = (*words[:-1], tmp_path / "b.png")
    assert "--where is met by no network" in command(*words, "--where", "width=9")[2]
    assert "--where has no column 'widht'" in command(*words, "--where", "widht=9")[2]


def test_plot_needs_samples(command, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, error = command("plot", tmp_path / "empty", "-o", tmp_path / "a.png")
    assert (code, "without .npz files" in error) == (2, True)


# --plot


def test_run_draws_probabilities_against_depth(command, tmp_path, figures):
    out = tmp_path / "run.svg"
    options = ("--activation", "relu", "sigmoid", "--depth", 5, 40, "--gain", 2)
    code, printed, error = command(*RUN, *options, "--plot", out)
    assert code == 0
    assert error == f"wrote {out}\n"
    assert "█" not in printed  # no terminal
    (figure,) = figures
    vanishing, exploding = figure.axes
    assert vanishing.get_ylabel() == "$P(R_0 < -6)$"
    assert exploding.get_ylabel() == "$P(R_0 > 6)$"
    expected = [
        vgsim.simulate(vgsim.MLP(depth, 8, activation="relu", gain=2), 200)
        .probability("exploding")
        .estimate
        for depth in (5, 40)
    ]
    assert expected[1] > 0.5
    (line,) = [line for line in exploding.lines if line.get_label() == "relu"]
    assert line.get_xdata().tolist() == [5, 40]
    assert np.allclose(line.get_ydata(), expected)


def test_run_draws_densities_of_one_depth(command, tmp_path, figures):
    out = tmp_path / "run.png"
    code, printed, _ = command(*RUN, "--depth", 10, "--csv", "--plot", out)
    assert code == 0
    assert printed.startswith("network,depth")
    (ax,) = figures[0].axes
    names = [label.split()[0] for label in labels(ax)]
    assert [name for name in names if name != "threshold"] == ["sigmoid", "tanh", "relu"]
    counts, edges, _ = ax.patches[1].get_data()
    r = vgsim.simulate(vgsim.MLP(10, 8), 200).log10_ratio[:, 0]
    assert np.allclose(counts, np.histogram(r, edges)[0] / (r.size * np.diff(edges)))


def test_depth_draws_curves_and_critical_depths(command, tmp_path, figures):
    out = tmp_path / "depth.pdf"
    options = ("--samples", 300, "--width", 8, "--activation", "sigmoid", "--depth", 5, 10, 20)
    code, _, error = command("depth", *options, "--plot", out, "--json")
    assert (code, error) == (0, f"wrote {out}\n")
    (ax,) = figures[0].axes
    curve = vgsim.depth_curve(vgsim.MLP(1, 8, activation="sigmoid"), (5, 10, 20), 300)
    line = ax.lines[0]
    assert np.allclose(line.get_ydata(), curve.probability().estimate)
    marks = [line.get_xdata() for line in ax.lines if line.get_marker() == "|"]
    assert np.allclose(marks[0], curve.critical_depth().estimate)
    assert "critical depth" in labels(ax)


@pytest.mark.parametrize("name", ["run", "depth"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a.txt", "--plot must end in .eps, .jpg, .pdf, .png, .svg or .webp"),
        ("folder.png", "--plot must name a regular file, got 'folder.png'"),
        ("nowhere/a.png", "No such file or directory"),
    ],
)
def test_the_figure_is_checked_before_the_simulation(
    command, tmp_path, monkeypatch, name, path, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    monkeypatch.setattr("vgsim._cli.run.run_network", None)  # a simulation would be a TypeError
    code, out, error = command(name, "--plot", path)
    assert (code, out) == (2, "")
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("words", [("run", "--plot"), ("depth", "--plot"), ("plot", "x.npz", "-o")])
def test_without_matplotlib_one_sentence_says_so(command, tmp_path, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("vgsim._cli.run.run_network", None)
    code, out, error = command(*words, tmp_path / "a.png")
    assert (code, out) == (2, "")
    assert "plots need matplotlib: pip install matplotlib" in error
    assert len(error.splitlines()) == 1


# on a terminal


def test_blocks_are_empty_and_full_for_exactly_0_and_1():
    values = {1: 0.0, 2: 1e-9, 3: 0.5, 4: 1 - 1e-9, 5: 1.0}
    text = block_curves({"P(vanishing)": [BlockRow("tanh", values)]})
    assert text.splitlines()[-1] == "tanh  · ▁ ▄ ▇ █"


def test_blocks_leave_a_gap_where_a_network_has_no_such_depth():
    rows = [BlockRow("a", {10: 1.0, 30: 1.0}), BlockRow("b", {30: 0.0})]
    assert block_curves({"P": rows}).splitlines()[-2:] == ["a  ██ ██", "b     ··"]


@pytest.mark.parametrize("count", [2, 5, 17, 40, 90])
@pytest.mark.parametrize("label", ["tanh", "x" * 80])
def test_blocks_fit_a_terminal(count, label):
    values = {10 * depth: 0.5 for depth in range(1, count + 1)}
    rows = {f"P({event})": [BlockRow(label, values)] for event in ("vanishing", "exploding")}
    text = block_curves(rows)
    assert max(map(len, text.splitlines()), default=0) <= 100
    assert ("▄" in text) == (count < 90 or label == "tanh")


def test_one_depth_is_no_curve():
    assert block_curves({"P": [BlockRow("tanh", {5: 0.5})]}) == ""


class Terminal:
    """Standard output that is a terminal with the given encoding."""

    def __init__(self, stream, encoding):
        self.stream, self.encoding = stream, encoding

    def isatty(self):
        return True

    def __getattr__(self, name):
        return getattr(self.stream, name)


@pytest.mark.parametrize(
    ("encoding", "options", "shown"),
    [
        ("utf-8", (), True),
        ("ascii", (), False),
        ("latin-1", (), False),
        ("utf-8", ("--csv",), False),
        ("utf-8", ("--json",), False),
        ("utf-8", ("--markdown",), False),
    ],
)
def test_run_shows_blocks_on_a_terminal_only(command, monkeypatch, encoding, options, shown):
    monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout, encoding))
    words = ("--depth", 5, 100, "--activation", "sigmoid", "relu")
    code, out, _ = command(*RUN, *words, *options)
    assert code == 0
    assert ("P(vanishing) and P(exploding) against depth" in out) == shown
    if shown:
        sigmoid = next(line for line in out.splitlines() if line.startswith("sigmoid  "))
        p = vgsim.simulate(vgsim.MLP(5, 8, activation="sigmoid"), 200).probability("vanishing")
        assert p.estimate == 0
        assert sigmoid == "sigmoid  ··· ███   ··· ···"


def test_samples_are_drawn_without_theory_if_it_is_not_wanted(command, tmp_path, figures):
    file = tmp_path / "s.npz"
    vgsim.simulate(vgsim.MLP(5, 8, activation="relu"), 100).save(file)
    for options, theory in (((), True), (("--no-theory",), False)):
        out = tmp_path / f"{theory}.png"
        assert command("plot", file, "-o", out, "--layer", 0, *options)[0] == 0
        assert ("exact law" in str(labels(figures[-1].axes[0]))) == theory


def test_a_figure_too_small_for_its_labels_is_refused(command, store, tmp_path):
    out = tmp_path / "small.png"
    code, _, error = command("plot", store, "-o", out, "--width", 0.3, "--height", 0.3)
    assert (code, out.exists()) == (2, False)
    assert "--width and --height leave no room for the axes" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("name", ["plot", "report", "show"])
def test_samples_without_gradients_are_refused(command, tmp_path, name):
    file = tmp_path / "activation.npz"
    vgsim.simulate(vgsim.MLP(5, 8), 10, record=("activation",)).save(file)
    out = () if name == "show" else ("-o", tmp_path / ("a.html" if name == "report" else "a.png"))
    code, _, error = command(name, file, *out)
    assert code == 2
    assert "activation.npz must have samples with recorded gradients, has activation" in error


def test_layers_that_were_not_recorded_are_named_by_their_option(command, tmp_path):
    for name in ("a", "b"):
        file = tmp_path / f"{name}.npz"
        vgsim.simulate(vgsim.MLP(5, 8), 10, first=len(name), layers=(0,), seed=ord(name)).save(file)
    code, _, error = command("plot", tmp_path, "-o", tmp_path / "a.png", "--layers", 0, 3)
    assert code == 2
    assert "--layers must be one of the recorded layers, [0], got 3" in error
