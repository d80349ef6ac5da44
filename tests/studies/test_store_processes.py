"""A store after kills and on full disks, and several processes that append to it at once."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

import vgsim
from stored_studies import TASK, held, make_store, sql, tally, write
from vgsim._studies import store_file
from vgsim._studies.merge import merge
from vgsim._studies.status import status
from vgsim._studies.store import Store


@pytest.fixture
def path(tmp_path):
    """A closed store of samples 0 … 4999 of one task."""
    return make_store(tmp_path / "study", (0, 5000))


PREAMBLE = """
import os, resource, sys, time
import vgsim
from vgsim._studies.blocks import Blocks
from vgsim._studies.store import Store
from vgsim._studies.task import Task
path = sys.argv[1]
net = vgsim.MLP(3, 4)
task = Task(net, thresholds=(0.5,))
def tally(first, end):
    return Blocks.of(vgsim.simulate(net, end - first, first=first, layers=(0,)), (0.5,))
"""
FILL = """
with Store(path) as store:
    store.add([task])
    end = sum(int(blocks.count.sum()) for blocks in store.blocks(task))
    print("found", end, flush=True)
    while True:
        with store.transaction():
            store.write(task, tally(end, end + 1000))
        end += 1000
        print("wrote", end, flush=True)
"""


@pytest.fixture
def run_python():
    """Start Python processes, which are killed at the end of the test."""
    processes = []

    def start(code, *arguments, **options):
        line = [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(line, text=True, **pipes, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=60)


# The disk.


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ("database or disk is full", OSError, "no space is left: free some; stored blocks are"),
        ("attempt to write a readonly database", OSError, "it cannot be written: use another path"),
        ("disk I/O error", OSError, "it cannot be read or written; stored blocks are safe"),
        ("locking protocol", OSError, "it cannot be used"),
    ],
)
def test_failing_disk(path, monkeypatch, words, error, message):
    def failing(self, statement, *parameters):
        if statement == "COMMIT":
            raise sqlite3.OperationalError(words)
        return patiently(self, statement, *parameters)

    patiently = store_file.StoreFile._patiently
    with Store(path) as store:
        store.add([TASK])
        with monkeypatch.context() as patch:
            patch.setattr(store_file.StoreFile, "_patiently", failing)
            with pytest.raises(error, match=message) as raised:
                write(store, TASK, 5000, 6000)
            assert raised.value.filename == str(path)
        assert held(path) == tally(0, 5000)
        write(store, TASK, 5000, 6000)
    assert held(path) == tally(0, 6000)


def test_what_another_program_locks_is_waited_for(path, monkeypatch):
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(store_file, "PATIENCE_SECONDS", 0.1)
    with Store(path) as store:
        store.add([TASK])
        client = sqlite3.connect(path, isolation_level=None)
        client.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match=f"another program keeps it locked: .*{path}"):
            write(store, TASK, 5000, 6000)
        client.execute("ROLLBACK")
        client.close()
        write(store, TASK, 5000, 6000)
    assert held(path) == tally(0, 6000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_file(path):
    path.chmod(0o400)
    with pytest.raises(PermissionError, match="it cannot be written"):
        Store(path)
    assert held(path) == tally(0, 5000)


def test_file_size_limit(run_python, tmp_path):
    """The file reaches the largest size that the process may write."""
    process = run_python(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n" + FILL, tmp_path / "x"
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "it cannot be read or written; stored blocks are safe" in err
    assert held(tmp_path / "x") == tally(0, int(out.split()[-1]))


def in_a_small_file_system(tmp_path, commands):
    """Run shell commands in which "$disk" is a private file system of 256 kB in memory."""
    (tmp_path / "disk").mkdir()
    for name, code in (("fill", FILL), ("read", READ)):
        (tmp_path / name).write_text(PREAMBLE + code)
    script = f"""
        disk="{tmp_path}/disk"
        mount -t tmpfs -o size=256k tmpfs "$disk" || exit 77
        fill() {{ "{sys.executable}" "{tmp_path}/fill" "$disk/study"; }}
        show() {{ "{sys.executable}" "{tmp_path}/read" "$disk/study"; }}
        {commands}
        exit 0
    """
    if shutil.which("unshare") is None:
        pytest.skip("no unshare, which gives a process mounts of its own")
    process = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if process.returncode:
        pytest.skip(f"this machine mounts nothing for a test: {process.stderr.strip()}")
    return process.stdout.splitlines(), process.stderr


READ = """
from vgsim._studies.store import Reader
with Reader(path) as store:
    print("holds", sum(int(blocks.count.sum()) for blocks in store.blocks(task)))
"""


def test_full_disk(tmp_path):
    out, err = in_a_small_file_system(
        tmp_path, 'head -c 100000 /dev/zero > "$disk/ballast"; fill; show; rm "$disk/ballast"; fill'
    )
    place = next(i for i, line in enumerate(out) if line.startswith("holds"))
    end = int(out[place].split()[1])
    assert out[: place + 1] == [
        "found 0",
        *(f"wrote {n}" for n in range(1000, end + 1, 1000)),
        f"holds {end}",
    ]
    assert out[place + 1 : place + 3] == [f"found {end}", f"wrote {end + 1000}"]
    assert err.count("OSError: [Errno 28] no space is left: free some; stored blocks are safe") == 2


def test_read_only_file_system(tmp_path):
    out, err = in_a_small_file_system(
        tmp_path, 'fill 2> "$disk/../full"; mount -o remount,ro "$disk"; fill; show'
    )
    assert "found" not in out[-1]
    assert out[-1].split() == ["holds", out[-2].split()[1]]
    assert err.count("OSError: [Errno 30] it cannot be written: use another path") == 1


# Processes.


OPEN_AND_FILL = """
print("found", flush=True)
while True:
    with Store(path) as store:
        store.add([task, Task(net, seed=time.time_ns())])
        end = sum(int(blocks.count.sum()) for blocks in store.blocks(task))
        with store.transaction():
            store.write(task, tally(end, end + 1000))
        print("wrote", end + 1000, flush=True)
"""


@pytest.mark.parametrize(("code", "seconds"), [(FILL, 0.1), (OPEN_AND_FILL, 0.5)])
def test_killed_writers_lose_nothing(run_python, tmp_path, rng, code, seconds):
    """After any number of kills, the store has exactly the blocks reported as written."""
    path, said, rounds = tmp_path / "x", 0, 0
    while rounds < 6 or said < 2000:
        rounds += 1
        process = run_python(code, path)
        assert process.stdout.readline().split()[0] == "found"
        time.sleep(rng.uniform(0, seconds * rounds))  # longer each round, for slow machines
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        assert err == ""
        said = max([said, *(int(line.split()[1]) for line in out.splitlines())])
        found = held(path)
        assert (found.end if found else 0) >= said
    with Store(path) as store:
        assert store.damaged == []
    assert found == tally(0, found.end)


def test_a_reader_rolls_a_killed_transaction_back(run_python, path):
    code = """
    with Store(path) as store, store.transaction():
        store.write(task, tally(5000, 300_000))
        store.file.all("PRAGMA cache_size = 1")  # so that pages are in the file already
        store.file.all("UPDATE blocks SET payload = zeroblob(50)")
        print("written", flush=True)
        time.sleep(600)
    """
    process = run_python(code, path)
    assert process.stdout.readline() == "written\n"
    assert path.with_name("study-journal").stat().st_size
    process.kill()
    process.wait(timeout=60)
    assert held(path) == tally(0, 5000)


def test_a_forked_child_cannot_write(run_python, path):
    code = """
    other = Task(vgsim.MLP(4, 4), thresholds=(0.5,))
    with Store(path) as store:
        child = os.fork()  # of a process in which no other package has threads
        if child == 0:
            try:
                store.add([other])
            except ValueError:
                os._exit(42)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        store.add([other])
    """
    process = run_python(code, path)
    output, errors = process.communicate(timeout=60)
    assert output == "42\n", errors
    assert sql(path, "SELECT count(*) FROM tasks") == [(2,)]


STUDY = """
networks = vgsim.sweep(vgsim.MLP, width=8, activation=["tanh", "relu"], depth=[5, 10, 20])
rules = [vgsim.Precision(0.01, event="exploding", threshold=0.5)]
arguments = {"thresholds": (1e-6, 0.5), "max_samples": 40_500, "stop": rules, "n_threads": 1}
"""
COLLECT = (
    STUDY
    + """
import pathlib, vgsim._studies.scheduler
vgsim._studies.scheduler.UNIT_BLOCKS = 2  # many units
print("ready", flush=True)
sys.stdin.readline()
study = vgsim.collect(networks, store=path, **arguments)
study.save(sys.argv[2])
"""
)


def run_together(run_python, paths, tmp_path):
    """Run the study in one process per path at the same time; return the studies."""
    pipes = {"stdin": subprocess.PIPE}
    processes = [
        run_python(COLLECT, p, tmp_path / f"{i}.npz", **pipes) for i, p in enumerate(paths)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, err = process.communicate(timeout=240)
        assert (process.returncode, err) == (0, "")
    return [vgsim.load(tmp_path / f"{i}.npz") for i in range(len(paths))]


@pytest.fixture(scope="module")
def whole():
    """The study without a store."""
    names = {"vgsim": vgsim}
    exec(STUDY, names)
    return vgsim.collect(names["networks"], **names["arguments"])


def test_two_processes_share_a_store(run_python, tmp_path, whole):
    """Both get the whole study, and no block is drawn twice."""
    path = tmp_path / "shared"
    assert run_together(run_python, [path, path], tmp_path) == [whole, whole]
    drawn = [n for (n,) in sql(path, "SELECT samples FROM runs")]
    ((stored,),) = sql(path, "SELECT sum(count) FROM blocks")
    assert len(drawn) == 2
    assert sum(drawn) == stored
    found = status(path)
    assert (found.finished, found.runs) == (6, 0)
    assert sql(path, "SELECT * FROM claims") == []


def test_four_stores_are_merged(run_python, tmp_path, whole):
    paths = [tmp_path / "a", tmp_path / "b", tmp_path / "b", tmp_path / "c"]
    run_together(run_python, paths, tmp_path)
    merged = merge(dict.fromkeys(paths), tmp_path / "all")
    assert sum(m.overlapping for m in merged) > 0
    assert [m.differing for m in merged] == [0, 0, 0]
    names = {"vgsim": vgsim}
    exec(STUDY, names)
    again = vgsim.collect(names["networks"], **names["arguments"], store=tmp_path / "all")
    assert again == whole
    assert sql(tmp_path / "all", "SELECT samples FROM runs ORDER BY id DESC LIMIT 1") == [(0,)]


def test_a_killed_process_leaves_its_work_to_the_other(run_python, tmp_path, whole):
    pipes, path = {"stdin": subprocess.PIPE}, tmp_path / "shared"
    first, second = (run_python(COLLECT, path, tmp_path / f"{i}.npz", **pipes) for i in range(2))
    for process in (first, second):
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
    until = time.monotonic() + 60
    while (
        not path.exists()
        or not sql(path, "SELECT name FROM sqlite_master")
        or not sql(path, "SELECT * FROM claims")
    ):
        assert time.monotonic() < until
        time.sleep(0.01)
    first.kill()
    _, err = second.communicate(timeout=240)
    assert (second.returncode, err) == (0, "")
    assert vgsim.load(tmp_path / "1.npz") == whole
