"""Small studies on disk, for the tests of the store: what they hold, made without it."""

import vgsim
from vgsim._studies.blocks import Blocks
from vgsim._studies.store import Store
from vgsim._studies.task import Task

NET = vgsim.MLP(3, 4)
TASK = Task(NET, thresholds=(0.5,))
OTHER = Task(vgsim.MLP(4, 4), thresholds=(0.5,))


def tally(first, end, task=TASK):
    """The blocks of samples first … end - 1, drawn afresh."""
    s = vgsim.simulate(task.network, end - first, first=first, seed=task.seed, layers=task.layers)
    return Blocks.of(s, task.thresholds)


def block_files(path):
    """The paths of a store's files, by their first samples."""
    return sorted(path.glob("blocks/*/*.npz"), key=lambda file: int(file.name.split("-")[0]))


def study_of_three_files(path):
    """Make a store of TASK's samples 0 … 4999 in three files; return its path."""
    with Store.open(path) as store:
        store.add([TASK])
        for first, end in ((0, 2000), (2000, 3000), (3000, 5000)):
            store.write(TASK, tally(first, end))
    return path
