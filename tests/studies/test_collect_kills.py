"""A study that is killed repeatedly loses no stored block, and has the same bits at the end."""

import signal
import subprocess
import sys
from collections import Counter
from itertools import count

import pytest

import vgsim
from vgsim._studies.store import Reader

KILLS = 60

STUDY = """
import vgsim
NETS = vgsim.sweep(vgsim.MLP, width=8, activation=["tanh", "relu"], depth=[5, 10, 20, 30])
ARGUMENTS = {
    "max_samples": 60_500,
    "stop": [vgsim.Precision(0.005, event="exploding", threshold=0.5), vgsim.Precision(0.01)],
    "thresholds": (1e-6, 0.5),
    "n_threads": 1,
}
"""
SERVER = """
import os, signal, sqlite3, sys, time
import scipy.optimize, vgsim._studies.scheduler
vgsim._studies.scheduler.UNIT_BLOCKS = 1  # many units

def blocks(path):
    if not os.path.exists(path):
        return 0
    with sqlite3.connect(path, timeout=60) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        found = "blocks" in tables
        count = connection.execute("SELECT count(*) FROM blocks").fetchone()[0] if found else 0
    connection.close()
    return count

def ended(pid, flags):
    found, status = os.waitpid(pid, flags)
    return os.waitstatus_to_exitcode(status) if found else None

for line in sys.stdin:  # OpenMP never runs in this process, so that it may fork
    path, more, seconds = line.split()
    before = blocks(path)
    pid = os.fork()
    if not pid:
        vgsim.collect(NETS, store=path, **ARGUMENTS)
        os._exit(0)
    if more == "all":
        print(ended(pid, 0), flush=True)
        continue
    while blocks(path) < before + int(more):
        if (status := ended(pid, os.WNOHANG)) is not None:
            break
        time.sleep(0.001)
    else:
        time.sleep(float(seconds))
        os.kill(pid, signal.SIGKILL)
        status = ended(pid, 0)
    print(status, flush=True)
"""


@pytest.fixture
def server():
    """A process that forks a study for each line on its stdin."""
    with subprocess.Popen(
        [sys.executable, "-c", STUDY + SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def reached(path):
    """Return the number of consecutive samples from 0 on of each task in a store."""
    if not path.exists():
        return Counter()
    with Reader(path) as store:
        assert store.damaged == []
        return Counter(
            {
                task.digest: sum(int(blocks.count.sum()) for blocks in store.blocks(task))
                for task in store.tasks()
            }
        )


def test_kills_at_any_instant(server, tmp_path, rng):
    names = {}
    exec(STUDY, names)
    networks, arguments = names["NETS"], names["ARGUMENTS"]
    whole = vgsim.collect(networks, **arguments)
    assert len({result.n for result in whole}) > 1

    killed, useful = 0, 0
    for study in count():
        path, held, status = tmp_path / f"{study}", Counter(), None
        while status != 0:
            more = rng.integers(0, 8) if killed < KILLS else "all"  # blocks to wait for
            print(path, more, rng.uniform(0, 0.1), file=server.stdin, flush=True)
            status = int(server.stdout.readline())
            assert status in (0, -signal.SIGKILL)
            killed += status != 0
            now = reached(path)
            assert all(now[task] >= end for task, end in held.items())
            useful += status != 0 and now.total() > held.total()
            held = now
        assert vgsim.collect(networks, store=path, **arguments) == whole
        with Reader(path) as store:
            store.check_blocks()
            assert store.damaged == []
        if killed >= KILLS:
            break
    assert killed >= KILLS
    assert useful > KILLS / 4  # these had stored new blocks
