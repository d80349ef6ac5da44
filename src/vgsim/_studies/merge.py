"""Merging of several stores into one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from vgsim._checks import type_error, value_error
from vgsim._studies.store import Reader, Store
from vgsim._studies.store_file import checksum, local_path
from vgsim._studies.store_schema import CUSTOM_TABLES

__all__ = ["Merged", "merge"]

TASKS = 1000  # merged in one transaction
THEIRS = """CREATE TEMP VIEW theirs AS
SELECT ours.id AS task, b.first, b.count, coalesce(our_run.id, 0) AS run, b.checksum, b.payload,
  b.task AS theirs
FROM other.blocks AS b JOIN other.tasks AS t ON t.id = b.task
  JOIN main.tasks AS ours ON ours.digest = t.digest
  LEFT JOIN other.runs AS their_run ON their_run.id = b.run
  LEFT JOIN main.runs AS our_run ON our_run.key = their_run.key
WHERE NOT EXISTS (SELECT 1 FROM left_out AS l WHERE l.task = b.task AND l.first IN (b.first, -1))"""
SOME = "theirs >= ?1 AND theirs < ?2"
BOTH = f"FROM theirs AS t JOIN main.blocks AS b USING (task, first) WHERE {SOME}"
NEW = f"""FROM theirs AS t WHERE {SOME} AND NOT EXISTS
(SELECT 1 FROM main.blocks AS b WHERE (b.task, b.first) = (t.task, t.first))"""
OVERLAP = (
    f"SELECT count(*), coalesce(sum(t.count = b.count AND t.checksum != b.checksum), 0) {BOTH}"
)
STEPS = (  # longer blocks replace shorter ones; blocks of equal length stay
    *(
        f"DELETE FROM main.{table} WHERE (task, first) IN "
        f"(SELECT task, first {BOTH} AND t.count > b.count)"
        for table in ("counts", "blocks")
    ),
    f"DELETE FROM main.counts WHERE (task, first) IN (SELECT task, first {NEW})",
    "INSERT OR IGNORE INTO main.counts SELECT t.task, c.first, layer, threshold, n, vanishing, "
    f"exploding, dead FROM (SELECT * {NEW}) AS t "
    "JOIN other.counts AS c ON (c.task, c.first) = (t.theirs, t.first)",
    f"INSERT OR IGNORE INTO main.blocks SELECT task, first, count, run, checksum, payload {NEW}",
)


RUN = "key, provenance, checksum, host, pid, began, seen, ended, samples, work"
RUNS = f"INSERT OR IGNORE INTO main.runs ({RUN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
COLUMNS = "digest, task, labels, cost, checksum, max_samples, rules, finished"
SOUND = """tasks.id >= ?1 AND tasks.id < ?2
AND tasks.id NOT IN (SELECT task FROM left_out WHERE first = -1)"""
NEW_TASKS = f"""INSERT OR IGNORE INTO main.tasks ({COLUMNS})
SELECT {COLUMNS} FROM other.tasks WHERE {SOUND}"""
LABELS = f"SELECT DISTINCT key FROM other.tasks, json_each(tasks.labels) WHERE {SOUND}"
ADDED = f"SELECT count(*), coalesce(sum(count), 0) {NEW}"


class Merged(NamedTuple):
    """What merging one store added to the target.

    Attributes
    ----------
    path : str
        The merged store.
    blocks, samples : int
        Number of new blocks, and of their samples.
    overlapping : int
        Number of blocks that the target had already; the longer block is kept, or the target's.
    differing : int
        Number of overlapping blocks with different counts for the same samples, which means an
        error of one of the two machines.
    """

    path: str
    blocks: int
    samples: int
    overlapping: int
    differing: int


def merge(
    sources: Iterable[str | os.PathLike[str]], target: str | os.PathLike[str]
) -> list[Merged]:
    """Add the tasks and blocks of several stores to another.

    Every block is checked; damaged ones are left out with a warning.

    Parameters
    ----------
    sources : iterable of path-like
        Stores, which are only read.
    target : path-like
        A store; created if it does not exist.

    Returns
    -------
    list of Merged
        One for each source other than the target.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `Store` and `Reader`; the target keeps what was merged before the error.

    Examples
    --------
    >>> import tempfile
    >>> import vgsim
    >>> from vgsim._studies.merge import merge
    >>> networks = vgsim.MLP(5, 8), vgsim.MLP(9, 8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     a, b, both = (f"{folder}/{name}.sqlite" for name in ("a", "b", "both"))
    ...     one = vgsim.collect(networks[:1], max_samples=1000, store=a)
    ...     two = vgsim.collect(networks, max_samples=2000, store=b)
    ...     print([(merged.samples, merged.overlapping) for merged in merge([a, b], both)])
    ...     vgsim.load(both) == two
    [(1000, 0), (3000, 1)]
    True
    """
    if isinstance(sources, (str, bytes, os.PathLike)):
        raise type_error("sources", f"must be a sequence of paths, got one: {sources!r}")
    paths = [local_path(source, "sources") for source in sources]
    if not paths:
        raise value_error("sources", "must be one path or more, got none")
    goal = local_path(target)
    for path in paths:
        Reader(path, whole=False).close()  # refused before anything is merged
    with Store(goal) as store:
        with store.transaction():
            store.check_blocks()
            store.drop_damaged()
        others = [path for path in paths if not os.path.samefile(path, goal)]
        return [_merged(path, store) for path in others]


def _merged(path: Path, store: Store) -> Merged:
    """Merge the store at `path` into `store`."""
    file = store.file
    with Reader(path) as source:
        source.check_blocks()
        with source.file.attachable() as attached:
            file.all("ATTACH DATABASE ? AS other", f"{attached.absolute().as_uri()}?mode=ro")
            try:
                file.all("CREATE TEMP TABLE left_out (task, first, PRIMARY KEY (task, first))")
                file.many("INSERT INTO left_out VALUES (?, ?)", source.left_out)
                file.all(THEIRS)
                _copy_custom_tables(store)
                runs = file.all(f"SELECT {RUN} FROM other.runs")
                with store.transaction():  # unended runs end when last seen
                    file.many(RUNS, [(*r[:7], r[7] or r[6], *r[8:]) for r in runs if _is_run(r)])
                return Merged(str(path), *_copied(store))
            finally:
                file.all("DROP VIEW IF EXISTS temp.theirs")
                file.all("DROP TABLE IF EXISTS temp.left_out")
                file.all("DETACH DATABASE other")


def _copy_custom_tables(store: Store) -> None:
    """Copy the tables of custom activations and laws from the database attached as `other`."""
    if store.file.all("SELECT 1 FROM other.sqlite_master WHERE name = 'custom_tables'"):
        with store.transaction():
            store.file.all(CUSTOM_TABLES)
            store.file.all(
                "INSERT OR IGNORE INTO main.custom_tables SELECT * FROM other.custom_tables"
            )


def _copied(store: Store) -> tuple[int, int, int, int]:
    """Copy the database attached as `other`; return the counts of `Merged`."""
    file = store.file
    ids = [key for (key,) in file.all("SELECT id FROM other.tasks ORDER BY id")]
    found = [0, 0, 0, 0]
    for some in range(0, len(ids), TASKS):
        span = ids[some], ids[min(some + TASKS, len(ids)) - 1] + 1
        with store.transaction():
            file.all(NEW_TASKS, *span)
            numbers = [*file.all(ADDED, *span)[0], *file.all(OVERLAP, *span)[0]]
            for statement in STEPS:
                file.all(statement, *span)
            names = file.all(LABELS, *span)
            file.show_labels(name for (name,) in names)
        found = [a + b for a, b in zip(found, numbers, strict=True)]
    blocks, samples, overlapping, differing = found
    return blocks, samples, overlapping, differing


def _is_run(row: tuple[Any, ...]) -> bool:
    """Return whether the checksum of the provenance of a run matches."""
    key, made_by, seal = row[:3]
    return bool(seal == checksum(key, made_by))
