"""Tables of studies with chosen columns, compared with the results that they show."""

import csv
import io
import math
import re

import pytest

import vgsim

SWEEP = {"width": 16, "activation": ["sigmoid", "relu"], "depth": [20, 5, 100]}
THRESHOLDS = (1e-6, 1e-3)


@pytest.fixture(scope="module")
def study():
    return vgsim.collect(
        vgsim.sweep(vgsim.MLP, **SWEEP), max_samples=2000, layers=(0, 5), thresholds=THRESHOLDS
    )


@pytest.fixture(scope="module")
def one():
    """A study with one layer and one threshold."""
    return vgsim.collect(vgsim.sweep(vgsim.MLP, **SWEEP), max_samples=2000)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def body(text):
    """Return the lines of a text table without its title."""
    return text.partition("\n\n")[2].splitlines()


def test_every_column_is_that_of_the_results(one):
    names = ["activation", "n", "vanishing", "exploding", "healthy", "dead", "mean", "std", "q05",
             "median", "q95"]  # fmt: skip
    rows = rows_of(one.table("csv", columns=names))
    assert [row["depth"] for row in rows] == [str(r.network.depth) for r in one]
    for row, result in zip(rows, one, strict=True):
        for event in ("vanishing", "exploding", "healthy", "dead"):
            p = result.probability(event)
            limits = [float(row[f"{event}{end}"]) for end in ("", "_low", "_high")]
            assert limits == [p.estimate, p.low, p.high]
        assert (float(row["mean"]), float(row["std"])) == (result.mean(), result.std())
        quantiles = [float(row[name]) for name in ("q05", "median", "q95")]
        assert quantiles == result.quantile([0.05, 0.5, 0.95]).tolist()
        assert (row["activation"], int(row["n"])) == (result.network.activation.name, 2000)


def test_a_pivot_has_each_result_in_its_cell(study):
    names = ["vanishing", "median"]
    where = {"layer": 5, "threshold": 1e-3}
    rows = rows_of(study.table("csv", columns=names, index="depth", pivot="activation", **where))
    assert [row["depth"] for row in rows] == ["5", "20", "100"]
    for row in rows:
        for activation in ("sigmoid", "relu"):
            (found,) = study.find(depth=int(row["depth"]), activation=activation)
            p = found.probability("vanishing", 5, 1e-3)
            ends = ("", "_low", "_high")
            cells = [float(row[f"vanishing_{activation}{end}"]) for end in ends]
            assert cells == [p.estimate, p.low, p.high]
            assert float(row[f"median_{activation}"]) == found.quantile(0.5, 5)


def test_fields_among_the_columns_are_the_rows_of_a_pivot(one, study):
    given = {"columns": ["median", "vanishing"], "index": "depth", "pivot": "activation"}
    names = ["median", "depth", "activation", "vanishing"]
    assert one.table("csv", columns=names, pivot="activation") == one.table("csv", **given)
    constant = rows_of(one.table("csv", columns=["width", "median"], pivot="activation"))
    assert [(row["width"], row["depth"]) for row in constant] == [
        ("16", "5"), ("16", "20"), ("16", "100")
    ]  # fmt: skip
    layered = rows_of(study.table("csv", columns=["depth", "median"], pivot="activation"))
    assert [(row["depth"], row["layer"]) for row in layered] == [
        (depth, layer) for depth in ("5", "20", "100") for layer in ("0", "5")
    ]
    assert list(rows_of(one.table("csv", columns=["init", "median"], pivot="activation"))[0]) == [
        "depth", "init_sigmoid", "median_sigmoid", "init_relu", "median_relu"
    ]  # fmt: skip


def test_layers_and_thresholds_are_fields(study):
    frame = study.to_dataframe()
    rows = rows_of(
        study.table("csv", columns="exploding", index=["layer", "threshold", "depth"],
                    pivot="activation")
    )  # fmt: skip
    assert len(rows) == 2 * 2 * 3
    for row in rows:
        chosen = frame[
            (frame.layer == int(row["layer"]))
            & (frame.threshold == float(row["threshold"]))
            & (frame.depth == int(row["depth"]))
        ].set_index("activation")
        for activation in ("sigmoid", "relu"):
            assert float(row[f"exploding_{activation}"]) == chosen.exploding[activation]
    wide = rows_of(
        study.table("csv", columns="vanishing", index=["depth", "activation"], pivot="threshold",
                    layer=0)
    )  # fmt: skip
    names = {1e-6: "1e-6", 1e-3: "0.001"}
    for row in wide:
        (found,) = study.find(depth=int(row["depth"]), activation=row["activation"])
        for threshold in THRESHOLDS:
            p = found.probability("vanishing", 0, threshold).estimate
            assert float(row[f"vanishing_{names[threshold]}"]) == p


def test_a_combination_without_a_network_is_empty(one):
    some = vgsim.Study(
        [r for r in one if (r.network.depth, r.network.init.name) != (5, "he_normal")]
    )
    arguments = {"columns": ["vanishing", "n"], "index": "depth", "pivot": "activation"}
    first = body(some.table(**arguments))[3]
    assert re.split("  +", first.strip()) == ["5", "0 (< 0.002)", "2000", "-", "-"]
    latex = some.table("latex", **arguments)
    assert r"$5$ & $0$ & $({<}0.002)$ & $2000$ & -- & & --" in latex
    assert rows_of(some.table("csv", **arguments))[0]["vanishing_relu"] == ""


def test_theory_beside_measurement(one):
    names = ["vanishing", "vanishing_theory", "mean_theory", "std_theory", "dead_theory"]
    rows = rows_of(one.table("csv", columns=names))
    for row, result in zip(rows, one, strict=True):
        if result.network.activation.name != "relu":
            continue
        law = vgsim.theory.relu_law(16, result.network.depth)
        assert float(row["vanishing_theory"]) == pytest.approx(law.probability("vanishing", 1e-6))
        assert float(row["mean_theory"]) == pytest.approx(law.mean / math.log(100))
        assert float(row["std_theory"]) == pytest.approx(law.variance**0.5 / math.log(100))
        assert float(row["dead_theory"]) == pytest.approx(law.dead_probability)
    (sigmoid,) = one.find(activation="sigmoid", depth=100)
    (row,) = rows_of(vgsim.Study([sigmoid]).table("csv", columns="exploding_theory"))
    assert (row["exploding_theory"], row["exploding_theory_below"]) == ("", "1e-06")
    text = vgsim.Study([sigmoid]).table(columns=["exploding", "exploding_theory"])
    assert body(text)[-1].endswith("0 (< 0.002)  < 1e-6")


def test_the_usual_table_is_short(study, one):
    for each in (study, one):
        assert max(map(len, each.table().splitlines())) <= 100
    text = one.table()
    assert "2,000 random networks each" in text
    heading = re.split("  +", body(text)[0].strip())
    assert heading[:2] == ["depth", "activation"]
    assert not {"engine", "layer", "n", "mean", "std"} & set(heading)
    assert "P(dead)" in heading  # ReLU networks of width 16 die
    sigmoid = one.find(activation="sigmoid").table()
    assert "P(dead)" not in sigmoid
    assert "engine matrix-free" in sigmoid
    everything = one.table("markdown", columns="all")
    assert {"engine", "layer", "n", "mean", "std"} <= set(re.findall(r"\w+", everything))


def test_long_lines_lose_what_follows_from_the_rest():
    widths, norms = [16, 20], [None, "layer"]
    networks = vgsim.sweep(
        vgsim.MLP, width=widths, norm=norms, activation=["tanh", "relu"], depth=[5, 9],
        gain=[1.0, 1.5], bias_std=[0.0, 0.5],
    )  # fmt: skip
    text = vgsim.collect(networks, max_samples=10).table()
    assert max(map(len, text.splitlines())) <= 100
    heading = re.split("  +", body(text)[0].strip())
    fields = ["depth", "width", "activation", "gain", "bias_std", "norm"]
    assert [name for name in heading if name in fields] == fields
    assert "P(vanishing)" in heading
    assert "init" not in heading


def test_digits_and_intervals(one):
    (found,) = one.find(activation="relu", depth=100)
    p = found.probability("vanishing")
    alone = vgsim.Study([found])
    cell = re.split("  +", body(alone.table(columns="vanishing"))[-1].strip())[-1]
    number, low, high = map(float, re.findall(r"[\d.]+", cell))
    half = (p.high - p.low) / 2
    assert abs(number - p.estimate) < half / 10
    assert abs(low - p.low) < half / 3
    assert abs(high - p.high) < half / 3
    bare = body(alone.table(columns="vanishing", intervals=False))[-1]
    assert re.split("  +", bare.strip())[-1] == cell.split()[0]
    (row,) = rows_of(alone.table("csv", columns="vanishing", confidence_level=0.5))
    narrow = found.probability("vanishing", confidence_level=0.5)
    assert float(row["vanishing_low"]) == narrow.low
    assert "50 % intervals" in " ".join(alone.table(confidence_level=0.5).split())
    assert "intervals" not in alone.table(columns="median")


def test_latex_for_a_paper(one):
    lines = one.table(
        "latex", columns=["vanishing", "median"], index="depth", pivot="activation",
        caption="Probability of $R < -6$.", label="tab:p",
    ).splitlines()  # fmt: skip
    comments = [line for line in lines if line.startswith("%")]
    assert f"% vgsim {vgsim.__version__}, seed 0, stream version 2" in comments
    assert any("vanishing: R < -6" in line for line in comments)
    start = lines.index(r"\begin{table}")
    assert lines[start + 2 : start + 5] == [
        r"\caption{Probability of $R < -6$.}", r"\label{tab:p}",
        r"\begin{tabular}{rr@{\ }lrr@{\ }lr}",
    ]  # fmt: skip
    assert r" & \multicolumn{3}{c}{sigmoid} & \multicolumn{3}{c}{relu} \\" in lines
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-7}" in lines
    rows = [line for line in lines if line.startswith("$")]
    assert {line.count("&") for line in rows} == {6}
    assert lines[-1] == r"\end{table}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": "depth"}, r"index must tell all results apart, got \['depth'\]: depth=20 has "
         r"results that differ in activation \('sigmoid' and 'relu'\), init .* or select some, as "
         r"find\(activation='sigmoid'\) or --where activation=sigmoid does"),
        ({"columns": "medin"}, "columns must be names of columns .* did you mean 'median'?"),
        ({"columns": []}, "columns must be one or more names"),
        ({"columns": ["n", "n"]}, "columns must be different names"),
        ({"index": "vanishing"}, "index must be names of columns .*, got 'vanishing'"),
        ({"pivot": ["depth", "activation"]}, "pivot must be the name of one field"),
        ({"columns": ["depth", "activation"], "pivot": "activation"},
         r"columns must have a name besides .*, got \['depth', 'activation'\]"),
        ({"columns": 3}, "columns must be the name of a column or several, got 3"),
        ({"layer": 1}, r"layer must be one of the tallied layers, \[0\], got 1"),
        ({"threshold": 0.5}, r"threshold must be one of the counted ones, \[1e-06\], got 0.5"),
        ({"columns": "n", "threshold": 1e-6}, "threshold must be None: no column depends on it"),
        ({"confidence_level": 95}, "confidence_level must be"),
        ({"intervals": 1}, "intervals must be True or False"),
        ({"label": "tab:p"}, "label must be None, except with format 'latex'"),
    ],
)  # fmt: skip
def test_arguments_that_mean_nothing(one, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message) as error:
        one.table(**arguments)
    assert error.value.argument in arguments


def test_what_differs_in_layer_or_threshold_is_named(study):
    with pytest.raises(ValueError, match=r"differ in threshold \(1e-06 and 0.001\); .*threshold="):
        study.table(columns="vanishing", index=["depth", "activation"], layer=0)
    with pytest.raises(ValueError, match=r"differ in layer \(0 and 5\); .* give layer="):
        study.table(columns="median", index=["depth", "activation"])


def test_fields_that_some_networks_lack():
    networks = [vgsim.MLP(5, 8), vgsim.RNN(5, 8), vgsim.MLP(5, 8, norm="layer")]
    study = vgsim.collect(networks, max_samples=100)
    rows = rows_of(study.table("csv", columns="median", index=["kind", "norm"]))
    assert [(row["kind"], row["norm"]) for row in rows] == [
        ("MLP", ""), ("MLP", "layer"), ("RNN", "")
    ]  # fmt: skip
    across = rows_of(study[::2].table("csv", columns="median", index="depth", pivot="norm"))
    assert {"median_none", "median_layer"} <= set(across[0])


def test_studies_without_networks_and_without_samples():
    assert vgsim.Study([]).table(columns="vanishing").count("\n") >= 1
    assert vgsim.Study([]).table(columns="n", index="layer", pivot="threshold")


def test_the_title_says_how_many_samples_the_networks_have():
    study = vgsim.collect([vgsim.MLP(4, 8)], max_samples=1000)
    study += vgsim.collect([vgsim.MLP(5, 8)], max_samples=2000)
    assert "of 1,000 to 2,000 random networks each: " in study.table().splitlines()[0]


def test_truth_values_are_words():
    networks = [
        vgsim.Sequential(8, [vgsim.Attention(2, causal=c)], tokens=2) for c in (True, False)
    ]
    study = vgsim.collect(networks, max_samples=1000)
    table = study.table("latex", columns=["n"], index="layers__0__causal")
    assert "\\begin{tabular}{lr}" in table
    assert "\nTrue & $1000$ \\\\\nFalse & $1000$ \\\\\n" in table


def test_a_row_of_latex_does_not_begin_with_an_argument():
    inner = [vgsim.Linear(8), "tanh"]
    networks = [vgsim.Sequential(8, [inner, "relu", *more]) for more in ([], [vgsim.Dropout(0.1)])]
    table = vgsim.collect(networks, max_samples=1000).table("latex", index="layers", columns=["n"])
    rows = table.partition("\\midrule\n")[2].splitlines()
    assert rows[0] == "{}[[Linear(width=8), 'tanh'], 'relu'] & $1000$ \\\\"
    assert rows[1].startswith("{}[")


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "html"])
def test_a_table_without_networks_says_so(one, format):
    table = one.find(depth=7).table(format)
    assert "no networks" in table
    assert "R <" not in table
