"""Stores: reading and writing, several processes, merging."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import Executor, Future
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import vgsim
from stored_studies import NET, OTHER, TASK, held, make_store, sql, tally, write
from vgsim._engine.settings import STREAM_VERSION
from vgsim._studies.merge import merge
from vgsim._studies.status import status
from vgsim._studies.store import Reader, Store
from vgsim._studies.store_file import checksum
from vgsim._studies.task import Task


@pytest.fixture
def path(tmp_path):
    """A closed store of samples 0 … 4999 of one task."""
    return make_store(tmp_path / "study.sqlite", (0, 2000), (2000, 3000), (3000, 5000))


def test_blocks_come_back(path):
    with Reader(path) as store:
        assert list(store.tasks()) == [TASK]
        assert [made["vgsim"] for made in store.provenance] == [vgsim.__version__]
        assert list(store.blocks(OTHER)) == []
        assert store.damaged == []
    assert held(path) == tally(0, 5000)


def test_many_layers_and_thresholds_come_back_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("vgsim._studies.store.CHUNK_COUNTS", 40)
    task = Task(vgsim.MLP(6, 2, activation="relu"), layers=(6, 0, 3), thresholds=(0.5, 1e-3))
    path = make_store(tmp_path / "x", (0, 1000), (1000, 20_300), tasks=[task])
    with Reader(path) as store:
        assert len(list(store.blocks(task))) > 3
    assert held(path, task) == tally(0, 20_300, task)
    assert np.any(tally(0, 20_300, task).dead)


def test_a_store_grows(path):
    with Store(str(path)) as store:
        store.add([OTHER, TASK])
        write(store, OTHER, 0, 1500)
        write(store, TASK, 5000, 6700)
    assert held(path) == tally(0, 6700)
    assert held(path, OTHER) == tally(0, 1500, OTHER)
    assert sql(path, "SELECT count(*) FROM tasks") == [(2,)]


def test_of_overlapping_blocks_the_longer_stays(tmp_path):
    spans = (0, 1500), (0, 1000), (1000, 3000), (1000, 1700), (2000, 4400), (6000, 7000)
    path = make_store(tmp_path / "x", *spans)
    assert held(path) == tally(0, 4400)
    assert sql(path, "SELECT sum(count) FROM blocks") == [(5400,)]
    with Reader(path) as store:
        assert list(store.blocks(TASK, 6000)) == [tally(6000, 7000)]
        assert list(store.blocks(TASK, 5000)) == []


def test_the_view_says_what_the_study_says(tmp_path):
    networks = [
        vgsim.MLP(30, 4, activation="relu"),
        vgsim.MLP(8, 4, residual=vgsim.Residual(every=2), activation=vgsim.Activation("elu")),
        vgsim.MLP(2, [4, 5, 4]),
        vgsim.RNN(10, 4),
    ]
    arguments = {"layers": (0, 1), "thresholds": (1e-3, 0.5), "max_samples": 2500}
    study = vgsim.collect(networks, **arguments, store=tmp_path / "x")
    with closing(sqlite3.connect(tmp_path / "x")) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM results").fetchall()
    assert len(rows) == 16
    for i, row in enumerate(rows):
        result = study[i // 4]
        place = row["layer"], row["threshold"]
        assert place == ((0, 1e-3), (0, 0.5), (1, 1e-3), (1, 0.5))[i % 4]
        for event in ("vanishing", "exploding"):
            assert row[event] == result.tally.events(event, *place)
        assert row["dead"] == result.tally.events("dead", row["layer"])
        assert (row["n"], row["seed"], row["dtype"]) == (2500, 0, "float32")
        assert row["depth"] == result.network.depth
        assert row["activation"] == result.network.activation.name
    assert [rows[i]["kind"] for i in (0, 4, 8, 12)] == ["MLP", "MLP", "MLP", "RNN"]
    assert [rows[i]["residual__every"] for i in (0, 4)] == [None, 2]
    assert (rows[8]["width"], rows[8]["widths"]) == (None, "[4, 5, 4]")
    assert rows[4]["activation__alpha"] == 1.0


def test_large_seeds(tmp_path):
    path = tmp_path / "x"
    vgsim.collect([NET], seed=2**80, max_samples=1000, store=path)
    assert sql(path, "SELECT seed FROM results") == [(str(2**80),)]
    assert vgsim.load(path)[0].ranges == ((2**80, 0, 1000),)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda: tally(500, 2000), "multiple of 1,000 samples, got 500"),
        (
            lambda: tally(0, 1000, Task(NET, thresholds=(0.1,))),
            r"\(0.5,\), got \(0,\) and \(0.1,\)",
        ),
        (lambda: tally(0, 1000, Task(NET, layers=(0, 1), thresholds=(0.5,))), r"got \(0, 1\) and"),
    ],
)
def test_write_refuses_blocks_that_do_not_fit(path, blocks, message):
    with Store(path) as store, store.transaction(), pytest.raises(ValueError, match=message):
        store.write(TASK, blocks())


def test_a_task_not_added_and_a_closed_store(path):
    with Store(path) as store, pytest.raises(ValueError, match="no such task, add it first"):
        write(store, OTHER, 0, 1000)
    store.close()
    for use in (lambda: store.add([OTHER]), lambda: list(store.tasks())):
        with pytest.raises(ValueError, match=f"{path} is closed"):
            use()


def test_a_transaction_is_all_or_nothing(path):
    with Store(path) as store:
        with pytest.raises(KeyboardInterrupt), store.transaction():  # noqa: PT012
            store.write(TASK, tally(5000, 6000))
            raise KeyboardInterrupt
        assert held(path) == tally(0, 5000)
        write(store, TASK, 5000, 6000)
    assert held(path) == tally(0, 6000)


# Files that are not stores.


@pytest.mark.parametrize("start", [Store, Reader])
@pytest.mark.parametrize("path", [None, 3, 0.5, ["a"]])
def test_path_of_a_wrong_type(start, path):
    with pytest.raises(TypeError, match="(store|path) must be a string or a path"):
        start(path)


@pytest.mark.parametrize("path", ["s3://bucket/study", "", "a\0b", "\ud800"])
def test_only_a_file_of_this_machine_is_written(path):
    with pytest.raises(ValueError, match="store must name a file of this machine, got"):
        Store(path)


def test_a_folder_is_refused_by_name(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "manifest.json").write_text('{"kind": "vgsim study", "format": 1}')
    for use in (Store, Reader, vgsim.load):
        with pytest.raises(ValueError, match=r"must name a file, got the folder .*cannot be read"):
            use(tmp_path / "study")


@pytest.mark.parametrize("content", [b"thesis", b"PK\x03\x04", b"SQLite format 3\0" + bytes(84)])
def test_other_files_are_left_alone(tmp_path, content):
    (tmp_path / "thesis").write_bytes(content)
    for use in (Store, Reader):
        with pytest.raises(ValueError, match=f"{tmp_path}/thesis is not the store of a study"):
            use(tmp_path / "thesis")
    assert (tmp_path / "thesis").read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path):
    sql(tmp_path / "x", "CREATE TABLE tasks (id)")
    before = (tmp_path / "x").read_bytes()
    for use in (Store, Reader, vgsim.load):
        with pytest.raises(ValueError, match=f"{tmp_path}/x is not the store of a study"):
            use(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == before


def test_a_fifo_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for use in (Store, Reader, vgsim.load):
        with pytest.raises(ValueError, match=f"must name a regular file, got '{tmp_path}/fifo'"):
            use(tmp_path / "fifo")


def test_nothing_is_made_by_looking(tmp_path):
    for use in (Reader, status):
        with pytest.raises(FileNotFoundError, match="there is no store here"):
            use(tmp_path / "nowhere")
    assert os.listdir(tmp_path) == []


def test_an_interrupted_creation_is_repeated(tmp_path):
    (tmp_path / "x").touch()
    for use in (Reader, status):
        with pytest.raises(FileNotFoundError, match="there is no store here"):
            use(tmp_path / "x")
    assert held(make_store(tmp_path / "x", (0, 1000))) == tally(0, 1000)


def test_folders_are_made(tmp_path):
    assert held(make_store(tmp_path / "runs" / "new" / "x", (0, 1000))) == tally(0, 1000)


@pytest.mark.parametrize("start", [Store, Reader])
def test_newer_format(path, start):
    sql(path, "PRAGMA user_version = 7")
    with pytest.raises(ValueError, match="format version 7, this vgsim reads version 1"):
        start(path)


def test_a_store_of_another_stream_version_is_refused(path, tmp_path):
    ((key, made),) = sql(path, "SELECT key, provenance FROM runs")
    made = json.dumps(json.loads(made) | {"stream_version": "1", "vgsim": "0.0.9"})
    sql(path, "UPDATE runs SET provenance = ?, checksum = ?", made, checksum(key, made))
    before = path.read_bytes()
    sound = make_store(tmp_path / "sound", (0, 1000))
    network = vgsim.MLP(3, 4)
    for use in (
        Store,
        Reader,
        vgsim.load,
        status,
        lambda path: merge([path], tmp_path / "merged"),
        lambda path: merge([sound], path),
        lambda path: vgsim.collect([network], max_samples=1000, store=path),
    ):
        with pytest.raises(ValueError, match="has samples of stream version 1") as caught:
            use(path)
        message = str(caught.value)
        assert message.startswith(f"{path} has samples of stream version 1, made by vgsim 0.0.9; ")
        assert f"this vgsim draws those of version {STREAM_VERSION}" in message
        assert message.endswith("use the vgsim that made it")
    assert path.read_bytes() == before
    assert not (tmp_path / "merged").exists()


# Several processes.


def test_runs_share_the_work(path):
    with Store(path) as a, Store(path) as b:
        a.add([TASK])
        b.add([TASK])
        with a.transaction():
            assert a.claim(TASK, 5000, 9000) == (9000, True)
        with b.transaction():
            assert b.claim(TASK, 4000, 9000) == (5000, True)
            assert b.claim(TASK, 5000, 12_000) == (9000, False)
            assert b.claim(TASK, 9000, 12_000) == (12_000, True)
        write(a, TASK, 5000, 9000)  # and the claim ends
        assert sql(path, "SELECT first, run FROM claims ORDER BY first") == [(4000, 3), (9000, 3)]
        assert held(path) == tally(0, 9000)
        with a.transaction():
            assert a.claim(TASK, 9000, 12_000) == (12_000, False)
        b.close()
        with a.transaction():
            assert a.claim(TASK, 9000, 12_000) == (12_000, True)
    assert sql(path, "SELECT * FROM claims") == []


def test_a_block_that_another_run_cuts_short_is_drawn_whole(path):
    with Store(path) as a, Store(path) as b:
        a.add([TASK])
        b.add([TASK])
        with a.transaction():
            assert a.claim(TASK, 5000, 7300) == (7300, True)
        with b.transaction():
            assert b.claim(TASK, 5000, 7300) == (7300, False)
            assert b.claim(TASK, 5000, 9000) == (7000, False)
            assert b.claim(TASK, 7000, 9000) == (9000, True)


@pytest.mark.parametrize(
    ("first", "end"), [("5000", "'zz'"), ("'a'", "9000"), ("5500", "9000"), ("1e300", "2e300")]
)
def test_altered_claims_are_ignored(path, first, end):
    with Store(path) as a, Store(path) as b:
        a.add([TASK])
        b.add([TASK])
        sql(path, f"INSERT INTO claims VALUES (1, {first}, {end}, 2)")
        with b.transaction():
            assert b.claim(TASK, 5000, 8000) == (8000, True)


@pytest.mark.parametrize("lost", ["its process", "its sign of life"])
def test_claims_of_a_lost_run_are_void(path, lost):
    with Store(path) as a, Store(path) as b:
        a.add([TASK])
        with a.transaction():
            a.claim(TASK, 5000, 9000)
        if lost == "its process":
            done = subprocess.run(
                [sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE
            )
            sql(path, "UPDATE runs SET pid = ? WHERE id = 2", int(done.stdout))
        else:
            sql(path, "UPDATE runs SET seen = seen - 1000, host = 'far' WHERE id = 2")
        with b.transaction():
            assert b.claim(TASK, 5000, 9000) == (9000, True)


class Instant(Executor):
    """Runs units at once; at the tenth, another process stores its blocks."""

    _max_workers = 1

    def __init__(self, deliver):
        self._deliver, self._units = deliver, 0

    def submit(self, function, *arguments):
        self._units += 1
        if self._units == 10:
            self._deliver()
        future = Future()
        future.set_result(function(*arguments))
        return future


def test_blocks_of_another_run_that_come_late(tmp_path, monkeypatch):
    """Blocks that another run stores during the study are counted once, unit by unit."""
    monkeypatch.setattr("vgsim._studies.scheduler.UNIT_BLOCKS", 2)
    path, task = tmp_path / "x", Task(NET)
    far = Store(path)
    far.add([task], 100_000)
    with far.transaction():
        for first in range(10_000, 50_000, 2000):
            far.claim(task, first, first + 2000)

    def deliver():
        write(far, task, 10_000, 50_000)
        far.close()

    study = vgsim.collect([NET], max_samples=100_000, store=path, executor=Instant(deliver))
    assert study == vgsim.collect([NET], max_samples=100_000)
    drawn = sql(path, "SELECT samples FROM runs ORDER BY id")
    assert drawn == [(40_000,), (60_000,)]


def test_what_another_process_mended_stays(path):
    sql(path, "UPDATE counts SET n = n + 1 WHERE first = 1000")
    with Store(path) as store, Store(path) as other:
        store.add([TASK])
        other.add([TASK])
        with pytest.warns(UserWarning, match="left out samples 1000 to 1999"):
            list(store.blocks(TASK))
        with pytest.warns(UserWarning, match="left out samples 1000 to 1999"):
            list(other.blocks(TASK))
        write(other, TASK, 1000, 2000)
        write(store, TASK, 1000, 1500)
    assert held(path) == tally(0, 5000)


def test_blocks_and_counts_are_read_in_one_state(tmp_path, monkeypatch):
    path = make_store(tmp_path / "x", (0, 1500))
    counts, locked = Reader._counts, []

    def meanwhile(self, *arguments):
        with (
            closing(sqlite3.connect(path, timeout=0)) as client,
            pytest.raises(sqlite3.OperationalError, match="locked"),
            client,
        ):
            client.execute("UPDATE counts SET n = 0")
        locked.append(True)
        return counts(self, *arguments)

    monkeypatch.setattr(Reader, "_counts", meanwhile)
    assert held(path) == tally(0, 1500)
    assert locked


def test_counts_without_a_block_do_not_count(path, tmp_path):
    sql(path, "DELETE FROM blocks WHERE first >= 1000")
    sql(path, "UPDATE counts SET vanishing = 7 WHERE first >= 1000")
    assert sql(path, "SELECT n FROM results") == [(1000,)]
    merge([make_store(tmp_path / "b", (0, 3000))], path)
    assert held(path) == tally(0, 3000)
    assert sql(path, "SELECT n FROM results") == [(3000,)]


def test_a_run_whose_clock_is_ahead_is_lost(path):
    with Store(path) as a, Store(path) as b:
        a.add([TASK])
        b.add([TASK])
        with a.transaction():
            a.claim(TASK, 5000, 9000)
        sql(path, "UPDATE runs SET seen = seen + 1000, host = 'far' WHERE id = 2")
        with b.transaction():
            assert b.claim(TASK, 5000, 9000) == (9000, True)


def test_status(tmp_path):
    networks = vgsim.sweep(vgsim.MLP, width=8, depth=[2, 30])
    path = tmp_path / "x"
    vgsim.collect(networks, max_samples=2500, store=path)
    with Store(path) as store:
        store.add([Task(network) for network in networks], max_samples=10_000)
        with store.transaction():
            task = Task(networks[1])
            store.write(task, tally(2000, 7000, task))
        sql(path, "UPDATE runs SET began = began - 100 WHERE ended IS NULL")
        found = status(path)
        assert (found.networks, found.finished, found.samples) == (2, 0, 9500)
        assert (found.done, found.target, found.runs) == (9500, 20_000, 1)
        cost = [Task(network).cost for network in networks]
        left = 7500 * cost[0] + 3000 * cost[1]
        assert found.fraction == pytest.approx(1 - left / (10_000 * sum(cost)))
        assert found.rate == pytest.approx(50, rel=0.1)  # 5,000 samples in 100 seconds
        assert found.seconds_left == pytest.approx(left / (50 * cost[1]), rel=0.1)
    study = vgsim.collect(networks, max_samples=7000, store=path)
    found = status(path)
    assert (found.finished, found.done, found.target, found.fraction) == (2, 14_000, 14_000, 1.0)
    assert (found.runs, found.rate, found.seconds_left) == (0, None, None)
    assert vgsim.load(path) == study


def test_status_of_rules(tmp_path):
    networks, path = [vgsim.MLP(3, 8), vgsim.MLP(30, 8, activation="sigmoid")], tmp_path / "x"
    rule = vgsim.Precision(0.02, threshold=1e-6)
    study = vgsim.collect(networks, stop=rule, store=path)
    found = status(path)
    assert (found.networks, found.finished) == (2, 2)
    assert found.done == found.target == sum(result.n for result in study)
    with Store(path) as store:
        store.add([OTHER], rules=[rule])
    found = status(path)
    assert (found.networks, found.finished) == (3, 2)
    assert (found.done, found.target, found.fraction, found.seconds_left) == (None,) * 4
    assert "networks  2 of 3 finished" in str(found)


# Merging.


def test_merge(path, tmp_path):
    other = make_store(tmp_path / "b", (1000, 3000), (5000, 7500))
    with Store(other) as store:
        store.add([OTHER])
        write(store, OTHER, 0, 1000)
    merged = merge([path, other], tmp_path / "all")
    assert [(m.samples, m.overlapping, m.differing) for m in merged] == [(5000, 0, 0), (3500, 2, 0)]
    assert held(tmp_path / "all") == tally(0, 7500)
    assert held(tmp_path / "all", OTHER) == tally(0, 1000, OTHER)
    with Reader(tmp_path / "all") as store, Reader(path) as one:
        assert store.provenance == one.provenance
    ((runs,),) = sql(tmp_path / "all", "SELECT count(DISTINCT run) FROM blocks")
    assert runs == 3
    again = merge([path, tmp_path / "all"], tmp_path / "all")
    assert [(m.samples, m.overlapping) for m in again] == [(0, 5)]
    assert held(tmp_path / "all") == tally(0, 7500)


def test_merge_takes_the_longer_block(tmp_path):
    a, b = make_store(tmp_path / "a", (0, 1300)), make_store(tmp_path / "b", (0, 1700))
    for order in ([a, b], [b, a]):
        target = tmp_path / f"all-{order[0].name}"
        merge(order, target)
        assert held(target) == tally(0, 1700)
        with Reader(target) as store:
            assert store.damaged == []


def test_merge_says_what_differs(path, tmp_path):
    with Store(tmp_path / "b") as store:
        store.add([TASK])
        with store.transaction():
            wrong = tally(0, 1000, Task(NET, seed=1, thresholds=(0.5,)))
            store.write(TASK, wrong)
    merged = merge([path, tmp_path / "b"], tmp_path / "all")
    assert [m.differing for m in merged] == [0, 1]
    assert held(tmp_path / "all") == tally(0, 5000)


def test_merge_leaves_damaged_blocks_out_and_mends_its_own(path, tmp_path):
    whole = make_store(tmp_path / "whole", (0, 5000))
    sql(path, "UPDATE counts SET vanishing = vanishing + 1 WHERE first = 2000")
    with pytest.warns(UserWarning, match="left out samples 2000 to 2999 of MLP"):
        merge([path], tmp_path / "all")
    assert held(tmp_path / "all") == tally(0, 2000)
    assert sql(tmp_path / "all", "SELECT count(*) FROM blocks") == [(4,)]
    with pytest.warns(UserWarning, match="left out samples 2000 to 2999 of MLP"):
        merge([whole], path)
    assert held(path) == tally(0, 5000)


def test_merge_refuses_one_path_and_what_is_no_store(path, tmp_path):
    with pytest.raises(TypeError, match="sequence of paths, got one"):
        merge(str(path), tmp_path / "all")
    with pytest.raises(ValueError, match="sources must be one path or more, got none"):
        merge([], tmp_path / "all")
    with pytest.raises(FileNotFoundError, match="there is no store here"):
        merge([path, tmp_path / "nowhere"], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_descriptions_are_json(path):
    ((task, labels),) = sql(path, "SELECT task, labels FROM tasks")
    assert json.loads(task) == TASK.to_dict()
    assert json.loads(labels)["activation"] == "tanh"


def test_the_queries_of_the_page(tmp_path):
    """The queries in docs/studies.md return the numbers of the study."""
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    p_vanishing, smallest_depth, runs = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    networks = vgsim.sweep(
        vgsim.MLP, width=16, activation=["sigmoid", "tanh"], depth=[10, 30, 100], gain=0.8
    )
    arguments = {"max_samples": 2000, "thresholds": (1e-6, 1e-3)}
    study = vgsim.collect(networks, **arguments, store=tmp_path / "x")
    p = {
        (r.network.activation.name, r.network.depth, x): r.probability("vanishing", 0, x).estimate
        for r in study
        for x in (1e-6, 1e-3)
    }
    expected = [(*key, 2000, round(p[key], 3)) for key in sorted(p) if key[1] >= 30]
    assert sql(tmp_path / "x", p_vanishing) == expected
    deaf = {key[0]: key[1] for key in sorted(p, reverse=True) if key[2] == 1e-6 and p[key] > 0.5}
    assert sql(tmp_path / "x", smallest_depth) == [(name, 16, deaf[name]) for name in sorted(deaf)]
    assert len(deaf) == 2
    ((version, isa, _, samples, rate),) = sql(tmp_path / "x", runs)
    assert (version, isa, samples) == (vgsim.__version__, study.provenance["isa"], 12_000)
    assert rate > 0
