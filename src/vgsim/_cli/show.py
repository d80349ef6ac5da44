"""The command vgsim show, and the choice of studies for vgsim export."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from typing import Any, Literal

from vgsim._cli.conditions import check_names, in_order, meets
from vgsim._cli.json_rows import is_json, read_json, row_columns, row_title
from vgsim._cli.pager import print_text
from vgsim._cli.schema import with_schema
from vgsim._cli.table_options import checked_table
from vgsim._cli.trainings import show_trainings
from vgsim._results.column import chosen as column_choice
from vgsim._results.joined import merged_provenance
from vgsim._results.tables import jsonable, report
from vgsim._studies.columns import label_columns, statistics
from vgsim._studies.contents import Contents, contents, kinds, trainings_in
from vgsim._studies.status import Status
from vgsim._studies.study import Study
from vgsim._studies.table import table
from vgsim.typing import Format

__all__ = ["chosen", "print_study", "show"]

Row = dict[str, Any]


def show(options: argparse.Namespace) -> None:
    """Print the results in stores and files: chosen rows, sorted."""
    arguments = checked_table(options)
    if any(map(is_json, options.files)):
        _check_json(options)
    elif (trained := trainings_in(options.files)) is not None:
        show_trainings(options, trained)
        return
    files = [file for file in options.files if not is_json(file)]
    written = [read_json(file) for file in options.files if is_json(file)]
    found = contents(files, options.layers, options.thresholds, options.method == "anytime")
    studies = [(study, _rows(study)) for study in found.studies]
    every = [row for _, rows in studies for _, row in rows]
    every += [row for one in written for row in one.rows]
    known = list(dict.fromkeys(name for row in every for name in row))
    if every:
        check_names("where", [condition.name for condition in options.where], known)
        check_names("sort", options.sort, known)
    shown = _Shown(options.format, found, arguments, [one.provenance for one in written])
    if written:
        shown.print_rows(*_chosen_rows(options, every))
    else:
        shown.print_studies([_chosen_study(options, study, rows) for study, rows in studies])


def print_study(options: argparse.Namespace, study: Study) -> None:
    """Print a whole study in the format of the options."""
    rows = _rows(study)
    whole = argparse.Namespace(where=[], sort=[], reverse=False, head=None)
    shown = _Shown(options.format, Contents([study], [], {}), checked_table(options))
    shown.print_studies([_chosen_study(whole, study, rows)])


def chosen(options: argparse.Namespace) -> Study:
    """Return the only study in a store with the layers and thresholds of the options."""
    found = contents(
        [options.store], options.layers, options.thresholds, options.method == "anytime"
    )
    if len(found.studies) != 1:
        several = "; ".join(kinds(found.studies))
        what = f"has several studies: choose one of {several}" if several else "holds no networks"
        raise ValueError(f"{options.store} {what}")
    return found.studies[0]


def _check_json(options: argparse.Namespace) -> None:
    """Refuse the options that do not apply to the rows of JSON."""
    for name in ("layers", "thresholds", "method", "index", "pivot"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} is for stores and studies, not for JSON")


def _rows(study: Study) -> list[tuple[tuple[int, int], Row]]:
    """Return a row per network, layer and threshold, each after its result and layer."""
    labels = label_columns(study)
    rows = []
    for i, result in enumerate(study):
        own = {name: column[i] for name, column in labels.items()}
        for layer in result.task.layers:
            for threshold in result.task.thresholds:
                where = {"layer": layer, "threshold": threshold}
                rows.append(((i, layer), {**own, **where, **statistics(result, layer, threshold)}))
    return rows


class _Part:
    """The chosen rows of a study."""

    def __init__(self, study: Study, places: Sequence[tuple[int, int]], rows: list[Row]) -> None:
        results = list(dict.fromkeys(i for i, _ in places))
        self.study = Study([study[i] for i in results], study.provenance)
        number = {i: k for k, i in enumerate(results)}
        self.places = [(number[i], layer) for i, layer in places]
        self.rows = rows


def _chosen_study(
    options: argparse.Namespace, study: Study, rows: Sequence[tuple[tuple[int, int], Row]]
) -> tuple[_Part, int]:
    """Return the chosen rows of a study in their order, and the number of those left out."""
    kept = [(place, row) for place, row in rows if meets(row, options.where)]
    kept = [kept[i] for i in in_order([row for _, row in kept], options.sort, options.reverse)]
    places = list(dict.fromkeys(place for place, _ in kept))
    head = places[: options.head]
    shown = set(head)
    part = _Part(study, head, [row for place, row in kept if place in shown])
    return part, len(places) - len(head)


def _chosen_rows(options: argparse.Namespace, rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Return the chosen rows in their order, and the number of those left out."""
    kept = [row for row in rows if meets(row, options.where)]
    kept = [kept[i] for i in in_order(kept, options.sort, options.reverse)]
    head = kept[: options.head]
    return head, len(kept) - len(head)


class _Shown:
    """What is printed beside the rows, and in which format."""

    def __init__(
        self,
        format: Format | Literal["json"],
        found: Contents,
        arguments: Mapping[str, Any],
        provenance: Sequence[dict[str, str]] = (),
    ) -> None:
        self.found, self.arguments = found, arguments
        self.as_json = format == "json"
        self.format: Format = "text" if format == "json" else format
        made = [*(study.provenance for study in found.studies), *provenance]
        self.provenance: dict[str, str] = reduce(merged_provenance, made, {})

    def print_studies(self, parts: list[tuple[_Part, int]]) -> None:
        """Print a table of each part of a study, or all rows as JSON."""
        if self.as_json:
            self._print_json([row for part, _ in parts for row in part.rows])
            return
        tables = [
            table(
                part.study,
                part.study.provenance,
                self.format,
                places=part.places,
                **self.arguments,
            )
            + self._more(left)
            for part, left in parts
            if part.places
        ]
        nothing = "no rows meet the conditions" if parts else "no networks yet"
        self._print_tables(tables or [nothing])

    def print_rows(self, rows: Sequence[Row], left: int) -> None:
        """Print rows as one table, or as JSON."""
        if self.as_json:
            self._print_json(rows)
        elif rows:
            text = self._row_table(rows)
            self._print_tables([text + self._more(left)])
        else:
            self._print_tables(["no rows meet the conditions"])

    def _row_table(self, rows: Sequence[Row]) -> str:
        """Return a table of rows; of the chosen columns, if any are chosen."""
        asked = dict(self.arguments)
        columns, names = row_columns(rows), asked.pop("columns", "all")
        if names != "all":
            columns = column_choice(columns, names)
        return report(columns, self.format, row_title(rows), **asked)

    def _print_tables(self, tables: list[str]) -> None:
        is_text = self.format == "text"
        stores = self.found.progress.items() if is_text else ()
        lines = [_progress(store, status) for store, status in stores if status.networks]
        tables = [*tables, "\n".join(lines)] if lines else tables
        print_text("\n\n".join(tables), tables=is_text, paged=is_text)

    def _more(self, left: int) -> str:
        if self.format != "text" or not left:
            return ""
        return f"\n... {left:,} more row{'s' if left != 1 else ''}"

    def _print_json(self, rows: Sequence[Mapping[str, Any]]) -> None:
        stores = self.found.progress.items()
        content = {
            "provenance": self.provenance,
            "progress": [{"store": store, **asdict(status)} for store, status in stores],
            "damaged": [{"what": what, "why": why} for what, why in self.found.damaged],
            "rows": [jsonable(row) for row in rows],
        }
        print(with_schema("study", content))


def _progress(store: str, status: Status) -> str:
    """Return how far the study in a store is, as a line."""
    done = status.samples if status.done is None else status.done
    target = "" if status.target is None else f" of {status.target:,}"
    work = "" if status.fraction is None else f", {100 * status.fraction:.1f} % of the work"
    networks = f"{status.finished:,} of {status.networks:,} networks finished"
    return f"{store}: {done:,}{target} samples{work}, {networks}"
