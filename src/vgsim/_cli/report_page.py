"""The page of a report: its parts, and its HTML from a template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from vgsim._cli.report_figures import Picture
from vgsim._version import __version__

__all__ = ["Block", "Page", "Section", "Table", "check_jinja", "rendered", "table_of"]

MOST_ROWS = 1000
CELL = re.compile(r"(?<!\\)\|")  # a | that is not escaped
TEMPLATE = "report.html"


@dataclass(frozen=True)
class Table:
    """A table of texts; `words` tells which columns are not numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[bool]
    left_out: int  # rows


@dataclass(frozen=True)
class Block:
    """A sentence, and the code that follows it, if there is any."""

    text: str
    code: str = ""


@dataclass(frozen=True)
class Section:
    """The networks of a report with the same layers and thresholds."""

    heading: str
    sentences: Sequence[str]
    pictures: Sequence[Picture]
    note: str  # about figures that are left out
    table: Table
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    summary: str
    warnings: Sequence[str]
    sections: Sequence[Section]
    definitions: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]


def table_of(markdown: str) -> Table:
    r"""Return the table in a Markdown text, such as :meth:`Study.table` writes.

    Examples
    --------
    >>> from vgsim._cli.report_page import table_of
    >>> table_of("title\n\n| init | n |\n| ---: | ---: |\n| tanh | 10 |\n| relu | - |")
    Table(header=['init', 'n'], rows=[['tanh', '10'], ['relu', '-']], words=[True, False],
          left_out=0)
    """
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    header, _, *rows = (
        [cell.strip().replace("\\|", "|") for cell in CELL.split(line.strip().strip("|"))]
        for line in lines
    )
    columns = [[row[i] for row in rows] for i in range(len(header))]
    words = [any(cell[:1].isalpha() for cell in column) for column in columns]
    return Table(header, rows[:MOST_ROWS], words, max(0, len(rows) - MOST_ROWS))


def check_jinja() -> None:
    """Raise ImportError if Jinja is not installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise ImportError(
            "a report needs Jinja: pip install jinja2, or vgsim with the extra [plot]"
        ) from None


def rendered(page: Page) -> str:
    """Return the HTML of a page. All texts are escaped; the page refers to no other file.

    Examples
    --------
    >>> from vgsim._cli.report_page import Page, rendered
    >>> html = rendered(Page("a < b", "", [], [], [], []))
    >>> "<h1>a &lt; b</h1>" in html
    True
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("vgsim._cli").joinpath("templates", TEMPLATE).read_text(encoding="utf-8")
    given = {name: getattr(page, name) for name in page.__dataclass_fields__}
    return str(environment.from_string(source).render(**given, version=__version__))
