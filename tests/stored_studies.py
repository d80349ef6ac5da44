"""Small stores for tests, and their contents without a store."""

import sqlite3
from contextlib import closing

import vgsim
from vgsim._studies.blocks import Blocks
from vgsim._studies.store import Reader, Store
from vgsim._studies.task import Task

NET = vgsim.MLP(3, 4)
TASK = Task(NET, thresholds=(0.5,))
OTHER = Task(vgsim.MLP(4, 4), thresholds=(0.5,))


def tally(first, end, task=TASK):
    """Return the blocks of samples first … end - 1, newly simulated."""
    s = vgsim.simulate(task.network, end - first, first=first, seed=task.seed, layers=task.layers)
    return Blocks.of(s, task.thresholds)


def write(store, task, first, end):
    """Enter samples first … end - 1 of a task in one transaction."""
    with store.transaction():
        store.write(task, tally(first, end, task))


def make_store(path, *spans, tasks=(TASK,)):
    """Make a store of samples of the tasks, in one transaction per span; return its path."""
    with Store(path) as store:
        store.add(tasks)
        for task in tasks:
            for first, end in spans:
                write(store, task, first, end)
    return path


def held(path, task=TASK):
    """Return the blocks of a task in a store from sample 0 on, or None."""
    with Reader(path) as store:
        parts = list(store.blocks(task))
    return Blocks.join(parts) if parts else None


def sql(path, statement, *parameters):
    """Run a statement on the file of a store with sqlite3, and return the rows."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        return connection.execute(statement, parameters).fetchall()


def stored_samples(path):
    """Return the number of samples in a store, which may not exist yet."""
    if not path.exists() or not sql(path, "SELECT name FROM sqlite_master WHERE name = 'blocks'"):
        return 0
    return sql(path, "SELECT coalesce(sum(count), 0) FROM blocks")[0][0]
