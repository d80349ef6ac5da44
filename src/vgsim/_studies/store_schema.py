"""The tables of stores, and how rows are copied from damaged ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CUSTOM_TABLES", "SCHEMAS", "STUDY", "TRAININGS", "Schema", "copy_readable"]

RUNS = """CREATE TABLE runs (
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
)"""
STUDY_TABLES = {
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
    "runs": RUNS,
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
TRAINING_TABLES = {
    "trainings": """CREATE TABLE trainings (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,  -- SHA-256 of task
  task TEXT NOT NULL,           -- JSON: the network, seed and setting, what is recorded and when
  labels TEXT NOT NULL,         -- JSON: the columns of the view "learned"
  checksum BLOB NOT NULL,       -- SHA-256 of the columns above
  target INTEGER,               -- samples that the last study asked for; NULL if unknown
  CHECK (id > 0)
)""",
    "runs": RUNS,
    "blocks": """CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  training INTEGER NOT NULL,
  first INTEGER NOT NULL,       -- index of the first sample
  count INTEGER NOT NULL,       -- number of samples; no sample is in two blocks
  learned INTEGER NOT NULL,     -- samples whose smoothed loss fell below half of the baseline
  stuck INTEGER NOT NULL,       -- samples whose smoothed loss never left its first plateau
  diverged INTEGER NOT NULL,    -- samples that were not finite, or ended above their first loss
  baseline REAL NOT NULL,       -- loss of the best constant prediction
  seconds REAL NOT NULL,        -- time that the training of the block took
  run INTEGER NOT NULL,
  checksum BLOB NOT NULL,       -- SHA-256: digest of the training and the other columns
  payload BLOB NOT NULL,        -- the recorded arrays
  UNIQUE (training, first),
  CHECK (typeof(training) = 'integer' AND typeof(first) = 'integer' AND first >= 0),
  CHECK (typeof(count) = 'integer' AND count > 0 AND typeof(payload) = 'blob'),
  CHECK (typeof(learned) = 'integer' AND typeof(stuck) = 'integer'),
  CHECK (typeof(diverged) = 'integer')
)""",
}
CUSTOM_TABLES = """CREATE TABLE IF NOT EXISTS custom_tables (
  sha256 TEXT PRIMARY KEY,      -- of content; a task's description has it
  content BLOB NOT NULL         -- the table of a custom activation or law of weights
)"""  # made when the first task with one is entered
RESULTS = """CREATE VIEW results AS SELECT
  {labels},
  layer, threshold, counted.n, vanishing, exploding, dead
FROM (
  SELECT task AS id, layer, threshold, sum(n) AS n, sum(vanishing) AS vanishing,
    sum(exploding) AS exploding, sum(dead) AS dead
  FROM counts JOIN blocks USING (task, first) GROUP BY task, layer, threshold
) AS counted JOIN tasks USING (id)"""
LEARNED = """CREATE VIEW learned AS SELECT
  {labels},
  n, learned, stuck, diverged
FROM (
  SELECT training AS id, sum(count) AS n, sum(learned) AS learned, sum(stuck) AS stuck,
    sum(diverged) AS diverged
  FROM blocks GROUP BY training
) JOIN trainings USING (id)"""


@dataclass(frozen=True)
class Schema:
    """The tables and the view of one kind of store.

    Attributes
    ----------
    what : str
        The kind of store, as messages name it.
    application : int
        PRAGMA application_id, in the header of the file.
    tables, indexes : mapping of str to str
        Statements that create them, by name.
    tasks : str
        The table of the tasks, whose column `labels` has the first columns of the view.
    owner : str
        The column of the blocks that has the id of their task.
    view : str
        The name of the view.
    view_sql : str
        The statement that creates it, with a place for the labels.
    measured : tuple of str
        The columns of the view after the labels.
    first_labels : tuple of str
        Labels that the view always has, beside the fields of all networks.
    version : int
        PRAGMA user_version.
    """

    what: str
    application: int
    tables: Mapping[str, str]
    indexes: Mapping[str, str]
    tasks: str
    owner: str
    view: str
    view_sql: str
    measured: tuple[str, ...]
    first_labels: tuple[str, ...]
    version: int = 1


NETWORK = ("kind", "depth", "width", "widths")
STUDY = Schema(
    "the store of a study",
    0x7667736D,  # "vgsm"
    STUDY_TABLES,
    {"samples": "CREATE INDEX samples ON blocks (task, count)"},
    "tasks",
    "task",
    "results",
    RESULTS,
    ("layer", "threshold", "n", "vanishing", "exploding", "dead"),
    NETWORK,
)
TRAININGS = Schema(
    "a store of trainings",
    0x76677472,  # "vgtr"
    TRAINING_TABLES,
    {},
    "trainings",
    "training",
    "learned",
    LEARNED,
    ("n", "learned", "stuck", "diverged"),
    (*NETWORK, "optimizer", "learning_rate", "batch_size", "steps", "loss", "seed"),
)
SCHEMAS = (STUDY, TRAININGS)
LAST_ID = 2**62


def copy_readable(damaged: sqlite3.Connection, sound: sqlite3.Connection, schema: Schema) -> None:
    """Copy all readable rows of a damaged store to empty tables; checksums are not checked.

    Rows that violate a constraint are left out.
    """
    sound.execute("BEGIN")
    for table in (schema.tasks, "runs"):
        for row in _readable(damaged, table):
            _insert(sound, table, row[1:])
    for row in _readable(damaged, "blocks"):
        if "counts" not in schema.tables:
            _insert(sound, "blocks", row[1:])
            continue
        try:
            counts = damaged.execute("SELECT * FROM counts WHERE (task, first) = (?, ?)", row[1:3])
            rows = counts.fetchall()
        except sqlite3.DatabaseError:
            continue
        _insert(sound, "blocks", row[1:])
        for counted in rows:
            _insert(sound, "counts", counted)
    held = damaged.execute("SELECT 1 FROM sqlite_master WHERE name = 'custom_tables'").fetchall()
    if rows := [row[1:] for row in _readable(damaged, "custom_tables")] if held else []:
        sound.execute(CUSTOM_TABLES)
        for row in rows:
            _insert(sound, "custom_tables", row)
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
