"""Reports: every format is parsed by an independent reader."""

import csv
import dataclasses
import html.parser
import io
import math
import re

import numpy as np
import pytest

import vgsim
from vgsim._results.tables import (
    Column,
    check_frame,
    estimated,
    jsonable,
    records,
    report,
    theoretical,
)
from vgsim._statistics.estimate import Estimate

COLUMNS = [
    Column("depth", "depth", [10, 1000]),
    Column("name", "a_name & 5 % | more", ["x|y", "z_1"]),
    Column("mean", "mean", [-1.25, -math.inf], [-1.5, -math.inf], [-1.0, 1e3], [2, 1]),
    Column("p", "P", [None, 1.5e-38]),
]


def test_csv_is_read_back():
    rows = list(csv.DictReader(io.StringIO(report(COLUMNS, "csv", "a title\nof two lines"))))
    assert rows == [
        {"depth": "10", "name": "x|y", "mean": "-1.25", "mean_low": "-1.5", "mean_high": "-1.0",
         "p": ""},
        {"depth": "1000", "name": "z_1", "mean": "-inf", "mean_low": "-inf", "mean_high": "1000.0",
         "p": "1.5e-38"},
    ]  # fmt: skip


def test_markdown_is_a_table_as_github_wants_it():
    title, *lines = report(COLUMNS, "markdown", "title").splitlines()
    assert (title, lines[0]) == ("title  ", "")
    heading, rule, *rows = lines[1:]
    assert len({len(line) for line in lines[1:]}) == 1
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in (heading, rule, *rows)]
    assert {len(row) for row in cells} == {4}
    assert [cell.strip("- ") for cell in cells[1]] == [":"] * 4
    assert [cell.strip().startswith(":") for cell in cells[1]] == [False, True, False, False]
    assert [cell.strip() for cell in cells[2]] == ["10", "x\\|y", "-1.25 [-1.50, -1.00]", "-"]
    assert [cell.strip() for cell in cells[3]] == ["1000", "z_1", "-inf [-inf, 1000.0]", "1.5e-38"]


def test_latex_is_escaped_and_has_its_numbers_in_math_mode():
    lines = report(COLUMNS, "latex", "100 % of it\nand more").splitlines()
    assert lines[:3] == ["% 100 % of it", "% and more", r"\begin{tabular}{rlr@{\ }lr}"]
    assert lines[3:-1] == [
        r"\toprule",
        r"depth & a\_name \& 5 \% \textbar{} more & \multicolumn{2}{c}{mean} & P \\",
        r"\midrule",
        r"$10$ & x\textbar{}y & $-1.25$ & $[-1.50, -1.00]$ & -- \\",
        r"$1000$ & z\_1 & $-\infty$ & $[-\infty, 1000.0]$ & $1.5 \times 10^{-38}$ \\",
        r"\bottomrule",
    ]
    assert lines[-1] == r"\end{tabular}"


def test_titles_with_an_empty_line_have_no_spaces_at_ends_of_lines():
    assert report(COLUMNS, "markdown", "a\n\nb").splitlines()[:4] == ["a  ", "", "b  ", ""]
    assert report(COLUMNS, "latex", "a\n\nb").splitlines()[:3] == ["% a", "%", "% b"]
    assert report(COLUMNS, "text", "a\n\nb").splitlines()[:4] == ["a", "", "b", ""]


def test_text_is_aligned():
    lines = report(COLUMNS, title="title").splitlines()
    assert lines[:2] == ["title", ""]
    assert len({len(line) for line in lines[2:]}) == 1
    assert lines[3].split() == ["10", "x|y", "-1.25", "[-1.50,", "-1.00]", "-"]


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format must be one of 'text', .* got 'xml'"):
        report(COLUMNS, "xml")


def test_columns_without_rows():
    empty = [Column("depth", "depth", [])]
    assert report(empty) == "depth"
    assert len(report(empty, "markdown").splitlines()) == 2
    assert report(empty, "csv") == ""


def measured(*parts):
    """Return a column of one estimate and its limits."""
    return Column("p", "P", *([part] for part in parts))


@pytest.mark.parametrize(
    ("parts", "text", "latex"),
    [
        ((0.10984, 0.10382, 0.11607), "0.1098 [0.104, 0.116]", "$0.1098$ & $[0.104, 0.116]$"),
        ((0.0, 0.0, 0.000384), "0 (< 0.0004)", "$0$ & $({<}0.0004)$"),
        ((1.0, 0.99962, 1.0), "1 (> 0.9996)", "$1$ & $({>}0.9996)$"),
        ((-14.06, -14.89, -13.22), "-14.06 [-14.9, -13.2]", "$-14.06$ & $[-14.9, -13.2]$"),
        ((0.0, 0.0, 0.0), "0", "$0$"),
        ((1.23e-7, 1.02e-7, 1.41e-7), "1.23e-7 [1.02e-7, 1.41e-7]",
         r"$1.23 \times 10^{-7}$ & $[1.02 \times 10^{-7}, 1.41 \times 10^{-7}]$"),
    ],
)  # fmt: skip
def test_estimates_have_the_digits_that_their_interval_supports(parts, text, latex):
    column = measured(*parts)
    assert [str(cell) for cell in column.cells] == [text]
    assert report([column], "latex").splitlines()[-3] == rf"{latex} \\"
    plain = dataclasses.replace(column, intervals=False)
    assert report([plain]).split() == ["P", text.split()[0]]
    assert report([plain], "csv").splitlines()[0] == "p"


@pytest.mark.parametrize(
    ("theory", "below", "text", "latex"),
    [
        (0.11, None, "0.1100", "$0.1100$"),
        (1.5e-8, None, "1.5e-8", r"$1.5 \times 10^{-8}$"),
        (None, 1e-6, "< 1e-6", "${<}10^{-6}$"),
        (None, 1e-3, "< 0.001", "${<}0.001$"),
        (None, None, "-", "--"),
    ],
)
def test_theory_beside_an_estimate(theory, below, text, latex):
    column = theoretical(measured(0.10984, 0.10382, 0.11607), [theory], [below])
    assert [str(cell) for cell in column.cells] == [text]
    assert report([column], "latex").splitlines()[-3] == rf"{latex} \\"
    (record,) = records([column])
    assert record == {"p_theory": theory, "p_theory_below": below}


GROUPED = [
    Column("depth", "depth", [5, 300]),
    Column("p_a", "P", [0.5, None], [0.4, None], [0.6, None], group="a_1"),
    Column("m_a", "median", [-1.5, None], group="a_1"),
    Column("p_b", "P", [0.0, 1.0], [0.0, 0.9], [0.1, 1.0], group="b"),
    Column("m_b", "median", [-2.5, 3.0], group="b"),
]


def test_groups_of_columns():
    lines = report(GROUPED).splitlines()
    starts, ends = zip(*[match.span() for match in re.finditer("-+", lines[1])], strict=True)
    for line in lines[2:]:  # no cell crosses the gap between two groups
        assert line[ends[0] : starts[1]].strip() == ""
        assert line[starts[0] - 2 : starts[0]].strip() == ""
    assert lines[0].split() == ["a_1", "b"]
    assert lines[2].split() == ["depth", "P", "median", "P", "median"]
    assert lines[-1].split() == ["300", "-", "-", "1", "(>", "0.9)", "3"]
    latex = report(GROUPED, "latex").splitlines()
    assert latex[0] == r"\begin{tabular}{rr@{\ }lrr@{\ }lr}"
    assert latex[2] == r" & \multicolumn{3}{c}{a\_1} & \multicolumn{3}{c}{b} \\"
    assert latex[3] == r"\cmidrule(lr){2-4} \cmidrule(lr){5-7}"
    assert {line.count("&") for line in latex[6:8]} == {6}
    assert "| a_1, median |" in report(GROUPED, "markdown")


def test_a_table_that_floats():
    columns = [Column("depth", "depth", [5])]
    lines = report(columns, "latex", "seed 0", "A $5$ % caption.", "tab:a").splitlines()
    assert lines[:5] == [
        "% seed 0", r"\begin{table}", r"\centering", r"\caption{A $5$ % caption.}",
        r"\label{tab:a}",
    ]  # fmt: skip
    assert lines[-2:] == [r"\end{tabular}", r"\end{table}"]
    assert report(columns, "latex", label="tab:a").splitlines()[2] == r"\label{tab:a}"
    for format in ("text", "markdown"):
        assert (
            report(columns, format, "seed 0", "A caption.").splitlines()[0].strip() == "A caption."
        )


@pytest.mark.parametrize(
    ("format", "caption", "label", "message"),
    [
        ("csv", "a", None, "caption must be None with format 'csv'"),
        ("text", None, "a", "label must be None, except with format 'latex'"),
        ("latex", " ", None, "caption must not be empty"),
        ("latex", None, "a}b", "label must have no spaces and no special characters"),
        ("latex", 3, None, "caption must be a string or None"),
    ],
)
def test_captions_and_labels_that_a_format_cannot_have(format, caption, label, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_frame(format, caption, label)


def test_html_is_a_table_with_escaped_words():
    class Reader(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.cells = [], []

        def handle_starttag(self, tag, attributes):
            if tag != "br":
                self.open.append(tag)
            if tag in ("td", "th"):
                self.cells.append("")

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_data(self, data):
            if self.open and self.open[-1] in ("td", "th"):
                self.cells[-1] += data

    reader = Reader()
    words = Column("word", "<b>", ["a & b", None])
    reader.feed(report([*GROUPED, words], "html", "x < y\nz"))
    assert reader.open == []
    assert reader.cells[:4] == ["", "a_1", "b", ""]
    assert reader.cells[4:10] == ["depth", "P", "median", "P", "median", "<b>"]
    assert reader.cells[10:16] == ["5", "0.50 [0.40, 0.60]", "-1.5", "0 (< 0.1)", "-2.5", "a & b"]
    assert reader.cells[16:] == ["300", "-", "-", "1 (> 0.9)", "3", "-"]


def test_what_is_not_known_is_no_number():
    curve = Estimate(np.array([np.nan, 1.0]), np.array([np.nan, 0.9]), np.array([np.nan, 1.1]),
                     0.95, "bootstrap")  # fmt: skip
    (column,) = estimated("mean", "mean", curve)
    assert records([column]) == [
        {"mean": None, "mean_low": None, "mean_high": None},
        {"mean": 1.0, "mean_low": 0.9, "mean_high": 1.1},
    ]
    assert report([column]).split() == ["mean", "-", "1.00", "[0.90,", "1.10]"]
    assert jsonable({"a": -math.inf, "b": 1.5, "c": None}) == {"a": None, "b": 1.5, "c": None}


# The summary of a run as a report


def test_summary_has_theory_beside_measurement():
    net = vgsim.MLP(100, 32, activation="relu", init="he_normal")
    s = vgsim.simulate(net, 20_000, layers=(100, 0))
    text = s.summary(threshold=1e-3).table("csv")
    top, bottom = csv.DictReader(io.StringIO(text))
    assert (top["layer"], float(top["mean_theory"]), float(top["vanishing_theory"])) == (
        "100",
        0,
        0,
    )
    found = {name: float(value) for name, value in bottom.items() if value}
    # mean and variance per layer, and the tail, of the exact law in docs/law.md
    assert found["mean_theory"] == pytest.approx(-8.25402081 / math.log(100))
    assert found["std_theory"] == pytest.approx(math.sqrt(17.74977872) / math.log(100))
    assert found["vanishing_theory"] == pytest.approx(0.094492, abs=1e-6)
    assert found["vanishing_low"] - 0.005 < 0.094492 < found["vanishing_high"] + 0.005
    assert found["median"] == s.quantile(0.5)


def test_summary_without_theory():
    s = vgsim.simulate(vgsim.MLP(5, 8), 100, batch_size=3, layers=(0, 5))
    summary = s.summary()
    assert "theory" not in summary.table(theory=False)
    row = next(csv.DictReader(io.StringIO(summary.table("csv"))))
    assert row["mean_theory"] == row["vanishing_theory"] == ""
    assert float(row["mean"]) == s.mean()
    with pytest.raises(ValueError, match="format must be one of"):
        summary.table("xml")


def test_the_summary_has_chosen_columns():
    s = vgsim.simulate(vgsim.MLP(20, 8, activation="relu"), 500, layers=(0, 10))
    names = ["layer", "n", "dead", "dead_theory", "median"]
    rows = list(csv.DictReader(io.StringIO(s.summary().table("csv", columns=names))))
    for row in rows:
        layer = int(row["layer"])
        assert float(row["dead"]) == s.probability("dead", layer).estimate
        # any of the 20 layers of ReLU without biases kills all gradients but G_20
        assert float(row["dead_theory"]) == pytest.approx(1 - (1 - 2.0**-8) ** 20, rel=0.02)
        assert (row["n"], float(row["median"])) == ("500", s.quantile(0.5, layer))
    latex = s.summary().table("latex", columns="median", caption="A", label="tab:a")
    assert r"\caption{A}" in latex
    with pytest.raises(ValueError, match="columns must be names of columns .* did you mean 'dead'"):
        s.summary().table(columns="daed")


def test_curves_have_chosen_columns():
    curve = vgsim.depth_curve(vgsim.MLP(1, 16, activation="sigmoid"), (3, 5, 20), 400)
    names = ["depth", "n", "vanishing", "exploding_theory", "healthy", "q05", "mean"]
    rows = list(csv.DictReader(io.StringIO(curve.table("csv", columns=names, threshold=1e-3))))
    assert list(rows[0])[:2] == ["depth", "n"]
    for row, samples in zip(rows, curve.samples, strict=True):
        for event in ("vanishing", "healthy"):
            p = samples.probability(event, threshold=1e-3)
            limits = [float(row[f"{event}{end}"]) for end in ("", "_low", "_high")]
            assert limits == [p.estimate, p.low, p.high]
        assert float(row["q05"]) == samples.quantile(0.05)
        assert float(row["mean"]) == pytest.approx(samples.mean())
        assert (row["exploding_theory"], row["exploding_theory_below"]) == ("", "1e-06")
    text = curve.table(columns=["vanishing", "exploding", "median"], threshold=1e-3)
    assert "vanishing: R < -3; exploding: R > 3; 95 % intervals (wilson)\n" in text
    assert text.splitlines()[-1].split()[0] == "1"
    with pytest.raises(ValueError, match="columns must be names of columns .* got 'underflow'"):
        curve.table(columns="underflow")
    profile = vgsim.simulate(vgsim.MLP(9, 8), 100, layers=(0, 9)).profile()
    assert profile.table("markdown", columns=["layer", "n"]).splitlines()[-1] == "|     9 | 100 |"
