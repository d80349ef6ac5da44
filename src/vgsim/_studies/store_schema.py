"""The tables of a store, and how rows are copied from damaged ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

__all__ = [
    "ACTIVATIONS",
    "APPLICATION",
    "FORMAT",
    "INDEXES",
    "MEASURED",
    "TABLES",
    "VIEW",
    "copy_readable",
]

APPLICATION = 0x7667736D  # "vgsm", in the header of the file
FORMAT = 1  # PRAGMA user_version
TABLES = {
    "tasks": """CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,  -- SHA-256 of task
  task TEXT NOT NULL,           -- JSON: the network, how it is sampled, what is counted
  labels TEXT NOT NULL,         -- JSON: the columns of the view "results"
  cost REAL NOT NULL,           -- relative cost of one sample
  checksum BLOB NOT NULL,       -- SHA-256 of the columns above
  max_samples INTEGER,          -- target of the last study
  rules TEXT NOT NULL,          -- JSON: stop rules of the last study
  finished INTEGER,             -- samples when the target was met; NULL before
  CHECK (id > 0 AND typeof(cost) = 'real')
)""",
    "runs": """CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,     -- random; identifies the run in merged stores
  provenance TEXT NOT NULL,     -- JSON: versions, compiler, instruction set, executor
  checksum BLOB NOT NULL,       -- SHA-256 of the columns above
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  began REAL NOT NULL,          -- time in seconds since 1970
  seen REAL NOT NULL,           -- time of its last transaction
  ended REAL,                   -- time of its end; NULL while it runs and if it was killed
  samples INTEGER NOT NULL,     -- samples that it added
  work REAL NOT NULL,           -- relative cost of these samples
  CHECK (id > 0 AND typeof(pid) = 'integer' AND typeof(began) = 'real' AND typeof(seen) = 'real'),
  CHECK (typeof(samples) = 'integer' AND typeof(work) = 'real')
)""",
    "blocks": """CREATE TABLE blocks (
  task INTEGER NOT NULL,
  first INTEGER NOT NULL,       -- index of the first sample
  count INTEGER NOT NULL,       -- number of samples
  run INTEGER NOT NULL,
  checksum BLOB NOT NULL,       -- SHA-256: digest of the task, first, count, counts, payload
  payload BLOB NOT NULL,        -- exact sums and histograms
  PRIMARY KEY (task, first),
  CHECK (typeof(task) = 'integer' AND typeof(first) = 'integer' AND first BETWEEN 0 AND 1 << 56),
  CHECK (typeof(count) = 'integer' AND count BETWEEN 1 AND 1000 AND typeof(payload) = 'blob')
)""",
    "counts": """CREATE TABLE counts (
  task INTEGER NOT NULL,
  first INTEGER NOT NULL,
  layer INTEGER NOT NULL,
  threshold REAL NOT NULL,
  n INTEGER NOT NULL,           -- number of samples
  vanishing INTEGER NOT NULL,   -- with ratio < threshold, dead ones included
  exploding INTEGER NOT NULL,   -- with ratio > 1/threshold
  dead INTEGER NOT NULL,        -- with a gradient of exactly 0
  PRIMARY KEY (task, first, layer, threshold),
  CHECK (typeof(first) = 'integer' AND typeof(layer) = 'integer' AND typeof(threshold) = 'real'),
  CHECK (typeof(n) = 'integer' AND typeof(vanishing) = 'integer'),
  CHECK (typeof(exploding) = 'integer' AND typeof(dead) = 'integer')
) WITHOUT ROWID""",
    "claims": """CREATE TABLE claims (
  task INTEGER NOT NULL,
  first INTEGER NOT NULL,       -- samples first … end - 1 are being drawn
  "end" INTEGER NOT NULL,
  run INTEGER NOT NULL,
  PRIMARY KEY (task, first)
) WITHOUT ROWID""",
}
INDEXES = {"samples": "CREATE INDEX samples ON blocks (task, count)"}
ACTIVATIONS = """CREATE TABLE IF NOT EXISTS activations (
  sha256 TEXT PRIMARY KEY,      -- of content; a task's description has it
  content BLOB NOT NULL         -- the table of a custom activation or law of weights
)"""  # made when the first task with one is entered
VIEW = """CREATE VIEW results AS SELECT
  {labels},
  layer, threshold, counted.n, vanishing, exploding, dead
FROM (
  SELECT task AS id, layer, threshold, sum(n) AS n, sum(vanishing) AS vanishing,
    sum(exploding) AS exploding, sum(dead) AS dead
  FROM counts JOIN blocks USING (task, first) GROUP BY task, layer, threshold
) AS counted JOIN tasks USING (id)"""
MEASURED = ("layer", "threshold", "n", "vanishing", "exploding", "dead")
LAST_ID = 2**62


def copy_readable(damaged: sqlite3.Connection, sound: sqlite3.Connection) -> None:
    """Copy all readable rows of a damaged store to empty tables; checksums are not checked.

    Rows that violate a constraint are left out.
    """
    sound.execute("BEGIN")
    for table in ("tasks", "runs"):
        for row in _readable(damaged, table):
            _insert(sound, table, row[1:])
    for row in _readable(damaged, "blocks"):
        try:
            counts = damaged.execute("SELECT * FROM counts WHERE (task, first) = (?, ?)", row[1:3])
            rows = counts.fetchall()
        except sqlite3.DatabaseError:
            continue
        _insert(sound, "blocks", row[1:])
        for counted in rows:
            _insert(sound, "counts", counted)
    held = damaged.execute("SELECT 1 FROM sqlite_master WHERE name = 'activations'").fetchall()
    if rows := [row[1:] for row in _readable(damaged, "activations")] if held else []:
        sound.execute(ACTIVATIONS)
        for row in rows:
            _insert(sound, "activations", row)
    sound.execute("COMMIT")


def _insert(connection: sqlite3.Connection, table: str, row: tuple[Any, ...]) -> None:
    places = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)


def _readable(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table with their ids first; skip pages that cannot be read."""
    start, step = 0, 1
    while start < LAST_ID:
        try:
            for row in connection.execute(
                f"SELECT rowid, * FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid",
                (start,),
            ):
                start, step = max(start, row[0] + 1), 1
                yield row
            return
        except sqlite3.DatabaseError:
            start, step = start + step, 2 * step
