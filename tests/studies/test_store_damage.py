"""Damaged parts of a store are reported, not used, and replaced when a study continues."""

import os
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest

import vgsim
from stored_studies import NET, OTHER, TASK, held, make_store, sql, tally, write
from vgsim._studies.status import status
from vgsim._studies.store import Reader, Store
from vgsim._studies.store_rows import packed
from vgsim._studies.task import Task


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Path of a closed store with two tasks and several pages."""
    path = tmp_path_factory.mktemp("stores") / "whole"
    return make_store(path, (0, 12_000), (12_000, 15_000), tasks=(TASK, OTHER))


@pytest.fixture
def path(whole, tmp_path):
    """Path of a copy of that store, to be damaged."""
    return Path(shutil.copy(whole, tmp_path / "study"))


def check_and_redo(path, tasks=(TASK, OTHER)):
    """Check that a damaged store yields only blocks that were written, and can be continued.

    Returns the warnings, or the message of the error.
    """
    whole = {task: tally(0, 15_000, task) for task in tasks}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            with Store(path) as store:
                store.add(tasks)
                for task in tasks:
                    for blocks in store.blocks(task):
                        part = whole[task].head(int(blocks.end) // 1000).tail(len(blocks))
                        assert blocks == part
                    for first in range(0, 15_000, 1000):
                        if not any(True for _ in store.blocks(task, first)):
                            write(store, task, first, first + 1000)
        except (ValueError, OSError) as error:
            assert str(path) in str(error).splitlines()[-1]  # noqa: PT017
            return [str(error)]
        for task in tasks:
            assert held(path, task) == whole[task]
    return [str(warning.message) for warning in said]


@pytest.mark.parametrize("twentieth", range(20))
def test_cut_file(path, twentieth):
    os.truncate(path, path.stat().st_size * twentieth // 20)
    assert check_and_redo(path) or twentieth == 0  # an empty file is a new store


def rows(path):
    """Return the rows of a file, or the error."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return [
                connection.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("tasks", "runs", "counts", "blocks")
            ]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return str(error)


@pytest.mark.parametrize("bits", [1, 64])
@pytest.mark.parametrize("case", range(20))
def test_flipped_bits(path, whole, rng, bits, case):
    data = bytearray(whole.read_bytes())
    for place in rng.integers(0, 8 * len(data), bits):
        data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)
    same = rows(path) == rows(whole)  # only unused bytes were changed
    assert check_and_redo(path) or same


ALTERED = {
    "count of events": "UPDATE counts SET exploding = exploding + 1 WHERE first = 3000",
    "samples of a count": "UPDATE counts SET n = 999 WHERE first = 3000",
    "threshold": "UPDATE counts SET threshold = 0.25 WHERE first = 3000",
    "words as counts": "UPDATE counts SET dead = 'none' WHERE first = 3000",
    "missing counts": "DELETE FROM counts WHERE first = 3000",
    "more counts": "INSERT INTO counts VALUES (1, 3000, 7, 0.5, 1000, 0, 0, 0)",
    "payload": "UPDATE blocks SET payload = zeroblob(length(payload)) WHERE first = 3000",
    "longer payload": "UPDATE blocks SET payload = CAST(payload || x'00' AS BLOB) "
    "WHERE first = 3000",
    "words as payload": "UPDATE blocks SET payload = 'none' WHERE first = 3000",
    "no payload": "UPDATE blocks SET payload = x'' WHERE first = 3000",
    "length": "UPDATE blocks SET count = 500 WHERE first = 3000",
    "words as length": "UPDATE blocks SET count = 'none' WHERE first = 3000",
    "words as place": "UPDATE blocks SET first = 'none' WHERE first = 3000",
    "place": "UPDATE blocks SET first = 99000 WHERE first = 3000",
    "swapped payloads": "UPDATE blocks SET (payload, checksum) = (SELECT payload, checksum FROM "
    "blocks AS b WHERE b.task = blocks.task AND b.first = 7000 - blocks.first) "
    "WHERE first IN (3000, 4000)",
    "swapped tasks": "UPDATE blocks SET (payload, checksum) = (SELECT payload, checksum FROM "
    "blocks AS b WHERE b.task = 3 - blocks.task AND b.first = 3000) WHERE first = 3000",
}


@pytest.mark.parametrize("name", ALTERED)
def test_altered_rows(path, name):
    sql(path, ALTERED[name])
    with pytest.warns(UserWarning, match="left out") as said:
        found = held(path)
    assert found == tally(0, 3000)
    what = "samples 99000 to 99999" if name == "place" else "samples 3000 to "
    if name.startswith("words"):
        what = "damaged pages or rows: CHECK constraint failed in "
    assert str(said[0].message).startswith(f"{path}: left out {what}")
    assert check_and_redo(path)
    if name != "place":  # the block is lost
        with Reader(path) as store:
            store.check_blocks()
            assert store.damaged == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE tasks SET task = '{}' WHERE id = 1", "task 1"),
        ("UPDATE tasks SET labels = '[' WHERE id = 1", "task 1"),
        ("UPDATE tasks SET cost = cost + 1 WHERE id = 1", "task 1"),
        ("UPDATE tasks SET id = -1 WHERE id = 1", "damaged pages or rows: CHECK"),
        ("UPDATE tasks SET id = 1 << 62 WHERE id = 1", "the blocks of task 1"),
        ("DELETE FROM tasks WHERE id = 1", "the blocks of task 1"),
        ("UPDATE runs SET pid = 'none', seen = 'now'", "damaged pages or rows: CHECK"),
        ("UPDATE runs SET provenance = '{}'", "the provenance of run 1"),
        ("UPDATE runs SET provenance = replace(provenance, 'Linux', 'linux')", "the provenance"),
    ],
)
def test_altered_descriptions(path, statement, what):
    sql(path, statement)
    with pytest.warns(UserWarning, match="left out") as said:
        study = vgsim.load(path)
    assert str(said[0].message).startswith(f"{path}: left out {what}")
    assert len(study) == 1 + ("runs" in statement or "62" in statement)
    assert len(check_and_redo(path)) >= 1
    with warnings.catch_warnings():
        if "provenance" in what:  # provenance is not replaced
            warnings.simplefilter("ignore")
        status(path)
        assert len(vgsim.load(path)) == 2


def test_damage_is_said_once(path):
    sql(path, ALTERED["payload"])
    with Reader(path) as store:
        with pytest.warns(UserWarning, match="left out"):
            first = list(store.blocks(TASK))
        assert list(store.blocks(TASK)) == first  # a second warning would be an error
        assert len(store.damaged) == 1


def test_a_collected_study_mends_its_store(tmp_path):
    path = tmp_path / "x"
    networks = [vgsim.MLP(3, 4), vgsim.MLP(5, 4)]
    whole = vgsim.collect(networks, max_samples=6000, store=path)
    sql(path, "UPDATE counts SET n = n + 1 WHERE task = 2 AND first IN (2000, 4000)")
    with pytest.warns(UserWarning, match="left out samples [24]000"):
        assert vgsim.collect(networks, max_samples=6000, store=path) == whole
    assert vgsim.load(path) == whole


@pytest.mark.parametrize(
    ("column", "value"),
    [("dead", -1), ("bins", 2**50), ("counts", 0), ("sums", 2**60), ("underflow", 2000)],
)
def test_forged_blocks(path, column, value):
    """Blocks with counts that no samples can have, and matching checksums."""
    blocks = tally(3000, 4000)
    getattr(blocks, column).flat[0] = value
    if column == "bins":
        blocks.bins[1] = 0
    ((_, _, seal, payload, counts),) = packed(TASK, blocks)
    sql(path, "UPDATE blocks SET (checksum, payload) = (?, ?) WHERE (task, first) = (1, 3000)",
        seal, payload)  # fmt: skip
    sql(path, "UPDATE counts SET dead = ? WHERE (task, first) = (1, 3000)", counts[0][-1])
    with pytest.warns(UserWarning, match="left out samples .* cannot come from samples"):
        assert held(path) is None  # blocks read together with it are not used either
    with Store(path) as store:
        store.add([TASK])
        with pytest.warns(UserWarning, match="left out"):
            list(store.blocks(TASK))
        write(store, TASK, 0, 15_000)
    assert held(path) == tally(0, 15_000)


@pytest.mark.parametrize("altered", ["altered FROM nowhere", '1 AS "a b", 2 AS n'])
def test_an_altered_view_is_made_again(path, altered):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP VIEW results")
        connection.execute(f"CREATE VIEW results AS SELECT {altered}")
    with Store(path) as store:
        store.add([TASK])
    assert sql(path, "SELECT sum(n) FROM results") == [(30_000,)]


def test_tables_and_statistics_of_others_do_no_harm(path):
    for statement in ("CREATE TABLE mine (x)", "CREATE INDEX i ON counts (n)", "ANALYZE"):
        sql(path, statement)
    assert check_and_redo(path) == []
    assert sql(path, "SELECT * FROM mine") == []


def test_altered_tables_are_refused(path):
    sql(path, "ALTER TABLE counts ADD COLUMN more")
    for use in (Reader, Store):
        with pytest.raises(ValueError, match=f"{path} is damaged beyond reading: its tables"):
            use(path)


def test_a_long_seed_is_no_bomb(tmp_path):
    task = Task(NET, seed=10**300, thresholds=(0.5,))
    assert held(make_store(tmp_path / "x", (0, 1000), tasks=[task]), task) == tally(0, 1000, task)
