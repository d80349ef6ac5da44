"""Reports: every format is parsed by an independent reader."""

import csv
import io
import math
import re

import numpy as np
import pytest

import vgsim
from vgsim._results.tables import Column, decimals_for, estimated, jsonable, records, report
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
    assert all(re.fullmatch(r" -{2,}: ", cell) for cell in cells[1])
    assert [cell.strip() for cell in cells[2]] == ["10", "x\\|y", "-1.25 [-1.50, -1.00]", "-"]
    assert [cell.strip() for cell in cells[3]] == ["1000", "z_1", "-inf [-inf, 1000.0]", "1.5e-38"]


def test_latex_is_escaped_and_has_its_numbers_in_math_mode():
    lines = report(COLUMNS, "latex", "100 % of it\nand more").splitlines()
    assert lines[:3] == ["% 100 % of it", "% and more", r"\begin{tabular}{rrrr}"]
    assert lines[3:-1] == [
        r"\toprule",
        r"depth & a\_name \& 5 \% \textbar{} more & mean & P \\",
        r"\midrule",
        r"$10$ & x\textbar{}y & $-1.25$ $[-1.50, -1.00]$ & -- \\",
        r"$1000$ & z\_1 & $-\infty$ $[-\infty, 1000.0]$ & $1.5 \times 10^{-38}$ \\",
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
    with pytest.raises(ValueError, match="format must be one of 'text', .* got 'html'"):
        report(COLUMNS, "html")


def test_columns_without_rows():
    empty = [Column("depth", "depth", [])]
    assert report(empty) == "depth"
    assert len(report(empty, "markdown").splitlines()) == 2
    assert report(empty, "csv") == ""


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [(0.1, 0.15, 3), (-0.137, -0.132, 4), (0, 1e-12, 6), (-9000, 9000, 0), (0, math.inf, 2)],
)
def test_decimals(low, high, decimals):
    assert decimals_for(low, high) == decimals


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
    found = {name: float(value) for name, value in bottom.items()}
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
        summary.table("html")
