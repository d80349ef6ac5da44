"""The store of trainings: what is written is read, once, whatever is damaged or killed."""

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import vgsim
from known_trainings import random_training, same, training
from vgsim._studies.store import Reader
from vgsim._studies.training_status import training_status
from vgsim._studies.training_store import TrainingReader, TrainingStore
from vgsim._studies.training_task import TrainingTask


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "trainings.sqlite"


@pytest.fixture
def trained(rng):
    return random_training(rng, 20, diverged=3)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def rows(path, statement):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def alter(path, statement, *values):
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_what_is_written_is_read(path, trained):
    task = TrainingTask.of(trained)
    with TrainingStore(path) as store:
        assert store.held(task) == []
        store.write(task, trained)
    with TrainingStore(path) as store:
        assert store.held(task) == [(0, 20)]
        (found,) = store.read(task)
        (own,) = store.tasks()
    assert same(found, trained)
    assert own == task
    assert found.provenance == trained.provenance
    assert found.elapsed == pytest.approx(trained.elapsed)
    loaded = vgsim.load(path, "training_study")
    assert same(loaded[0], trained)


def test_no_sample_is_kept_twice(path, rng):
    whole = random_training(rng, 30)
    task = TrainingTask.of(whole)
    parts = [random_training(rng, n, first=first) for first, n in ((5, 10), (0, 30), (12, 4))]
    with TrainingStore(path) as store:
        for part in parts:
            store.write(task, part)
        assert store.held(task) == [(0, 5), (5, 10), (15, 15)]
        middle = store.read(task)[1]
    assert same(middle, parts[0])
    assert rows(path, "SELECT sum(count), count(*) FROM blocks") == [(30, 3)]
    assert len(vgsim.load(path)[0]) == 30


def test_large_trainings_are_split(path, rng, monkeypatch):
    monkeypatch.setattr("vgsim._studies.training_store.MOST_BYTES", 10_000)
    whole = random_training(rng, 25)
    task = TrainingTask.of(whole)
    with TrainingStore(path) as store:
        store.write(task, whole)
        held = store.held(task)
        assert len(held) > 2
        assert same(sum(store.read(task)[1:], store.read(task)[0]), whole)
    seconds = rows(path, "SELECT sum(seconds) FROM blocks")[0][0]
    assert seconds == pytest.approx(whole.elapsed)


def test_another_training_is_refused(path, rng, trained):
    task = TrainingTask.of(random_training(rng, seed=1))
    with TrainingStore(path) as store, pytest.raises(ValueError, match="must be of the task"):
        store.write(task, trained)


def test_everything_of_a_task_tells_it_apart(rng, trained):
    others = [
        random_training(rng, seed=1),
        random_training(rng, setting={"learning_rate": 0.2}),
        random_training(rng, setting={"clip": vgsim.ClipNorm(1.0).to_dict()}),
        random_training(rng, record=("loss",)),
        random_training(rng, layers=[0]),
        random_training(rng, k=6),
        random_training(rng, network=vgsim.MLP(3, 4, activation="relu")),
    ]
    digests = {TrainingTask.of(one).digest for one in [trained, *others]}
    assert len(digests) == len(others) + 1
    again = TrainingTask.of(random_training(rng, 3, first=50))
    assert again.digest == TrainingTask.of(trained).digest
    assert TrainingTask.from_dict(json.loads(again.json)) == again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record": ("loss", "lost")}, "record must be of"),
        ({"steps": (0.5,)}, "steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"setting": {}}, "setting must have"),
        ({"network": 1}, "network must be"),
    ],
)
def test_wrong_tasks(trained, change, message):
    task = TrainingTask.of(trained)
    fields = {name: getattr(task, name) for name in task.__dataclass_fields__}
    with pytest.raises((TypeError, ValueError), match=message):
        TrainingTask(**fields | change)


def test_the_view_learned(path):
    loss = np.full((10, 20), 2.0)  # 4 learn, 3 diverge, 3 are stuck
    loss[:4, 5:] = 0.1
    loss[4:6, 3:] = np.inf
    loss[6, 1:] = 9.0
    with TrainingStore(path) as store:
        for rate in (0.1, 0.2):
            one = training(loss, setting={"learning_rate": rate})
            store.enter(TrainingTask.of(one), 40)
            store.write(TrainingTask.of(one), one)
    found = rows(
        path,
        "SELECT depth, width, activation, optimizer, learning_rate, n, learned, stuck, diverged "
        "FROM learned",
    )
    assert found == [(3, 4, "tanh", "sgd", rate, 10, 4, 3, 3) for rate in (0.1, 0.2)]
    status = training_status(path)
    counts = status.trainings, status.samples, status.target, status.runs
    assert counts == (2, 20, 80, 0)
    assert (status.learned, status.stuck, status.diverged) == (8, 6, 6)
    assert "20 of 80: 8 learned, 6 stuck, 6 diverged" in str(status)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE blocks SET payload = zeroblob(length(payload)) WHERE first = 0",
        "UPDATE blocks SET learned = learned + 1 WHERE first = 0",
        "UPDATE blocks SET count = 19 WHERE first = 0",
        "UPDATE blocks SET baseline = 1.0 WHERE first = 0",
    ],
)
def test_a_damaged_block_is_left_out_and_trained_again(path, rng, trained, damage):
    task = TrainingTask.of(trained)
    second = random_training(rng, 5, first=20)
    with TrainingStore(path) as store:
        store.write(task, trained)
        store.write(task, second)
    alter(path, damage)
    with pytest.warns(UserWarning, match=r"left out samples 0 to .*checksum"):
        assert len(vgsim.load(path)[0]) == 5
    with TrainingStore(path) as store:
        with pytest.warns(UserWarning, match="checksum"):
            assert store.held(task) == [(20, 5)]
        store.write(task, trained)
        assert store.held(task) == [(0, 20), (20, 5)]
        assert same(store.read(task)[0], trained)


def test_an_altered_description(path, trained):
    task = TrainingTask.of(trained)
    with TrainingStore(path) as store:
        store.write(task, trained)
    alter(path, "UPDATE trainings SET task = replace(task, 'sgd', 'adam')")
    with pytest.warns(UserWarning, match="description was altered"):
        assert len(vgsim.load(path)) == 0


def test_damaged_pages_are_salvaged(path, rng):
    parts = [random_training(rng, 20, first=20 * i) for i in range(5)]
    task = TrainingTask.of(parts[0])
    with TrainingStore(path) as store:
        for part in parts:
            store.write(task, part)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 3 * 4096] = bytes(3 * 4096)
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="left out"):
        held = held_and_filled(path, task, parts)
    assert 1 <= len(held) < 5
    whole = sum(parts[1:], parts[0])
    assert same(vgsim.load(path)[0], whole)


def held_and_filled(path, task, parts):
    """Return the blocks that a store holds, and write all parts to it."""
    with TrainingStore(path) as store:
        held = store.held(task)
        for part in parts:
            store.write(task, part)
    return held


KILLED = """
import os, signal, sys
import numpy as np
sys.path.insert(0, {tests!r})
from known_trainings import random_training
from vgsim._studies import training_store
from vgsim._studies.training_task import TrainingTask

parts = [random_training(np.random.default_rng(i), 10, first=10 * i) for i in range(4)]
task = TrainingTask.of(parts[0])
store = training_store.TrainingStore({path!r})
store.write(task, parts[0])
store.write(task, parts[1])
insert = store._insert
def killed(*arguments):
    insert(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
store._insert = killed
store.write(task, parts[2])
"""


def test_kill_and_resume(path):
    """A process that is killed between its insertion and its commit loses that stack only."""
    tests = str(Path(__file__).parents[1])
    code = KILLED.format(tests=tests, path=str(path))
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert process.returncode == -9, process.stderr
    parts = [random_training(np.random.default_rng(i), 10, first=10 * i) for i in range(4)]
    task = TrainingTask.of(parts[0])
    with TrainingStore(path) as store:
        assert store.held(task) == [(0, 10), (10, 10)]
        for part in parts[2:]:
            store.write(task, part)
    whole = sum(parts[1:], parts[0])
    assert same(vgsim.load(path)[0], whole)


def test_two_writers(path, rng):
    """Two threads with a store each write the same samples; each is kept once."""
    parts = [random_training(rng, 5, first=5 * i) for i in range(8)]
    task = TrainingTask.of(parts[0])
    TrainingStore(path).close()
    barrier, failed = threading.Barrier(2), []

    def write(own):
        try:
            with TrainingStore(path) as store:
                barrier.wait(60)
                for part in own:
                    store.write(task, part)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[own]) for own in (parts, parts[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not failed
    assert same(vgsim.load(path)[0], sum(parts[1:], parts[0]))
    assert rows(path, "SELECT count(*), sum(count) FROM blocks") == [(8, 40)]


def test_the_two_kinds_of_stores_are_told_apart(path, tmp_path, trained):
    study = tmp_path / "study.sqlite"
    vgsim.collect([vgsim.MLP(2, 4)], max_samples=1000, store=study)
    with TrainingStore(path) as store:
        store.write(TrainingTask.of(trained), trained)
    with pytest.raises(ValueError, match="is the store of a study, not a store of trainings"):
        TrainingStore(study)
    with pytest.raises(ValueError, match="is a store of trainings, not the store of a study"):
        Reader(path)
    with pytest.raises(ValueError, match="is a store of trainings"):
        vgsim.collect([vgsim.MLP(2, 4)], max_samples=1000, store=path)
    with pytest.raises(ValueError, match=r"holds vgsim\.TrainingStudy, not vgsim\.Study"):
        vgsim.load(path, "study")
    with pytest.raises(ValueError, match=r"holds vgsim\.Study, not vgsim\.TrainingStudy"):
        vgsim.load(study, "training_study")
    with pytest.raises(FileNotFoundError):
        TrainingReader(tmp_path / "nothing.sqlite")


def test_custom_tables_are_kept(path, rng):
    absolute = vgsim.Activation("custom", function=np.abs, derivative=np.sign)
    network = vgsim.MLP(3, 4, activation=absolute)
    one = random_training(rng, network=network)
    with TrainingStore(path) as store:
        store.write(TrainingTask.of(one), one)
    code = f"import vgsim; print(len(vgsim.load({str(path)!r})[0]))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert found.stdout == "6\n", found.stderr
