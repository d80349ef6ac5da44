"""A study has the counts of the samples of simulate, however it was run or interrupted."""

import itertools
import multiprocessing
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import vgsim
from fake_blocks import fake_blocks
from last_first import LastFirst
from stored_studies import held, sql, stored_samples
from vgsim import Precision
from vgsim._studies.blocks import Blocks
from vgsim._studies.scheduler import Cursor
from vgsim._studies.store_file import StoreFile
from vgsim._studies.study import Study
from vgsim._studies.task import Task

NETS = vgsim.sweep(vgsim.MLP, width=8, activation=["tanh", "relu"], depth=[3, 20])
MIXED = [*NETS, vgsim.RNN(6, 5), vgsim.MLP(4, (3, 9, 2, 5, 4), norm="layer")]
THRESHOLDS = (0.01, 0.5)


def counted(network, n, layers=(0,), thresholds=THRESHOLDS, **setting):
    """Return the tally of the first n samples of a network, from one run."""
    return Blocks.of(vgsim.simulate(network, n, layers=layers, **setting), thresholds).total()


def collected(networks=NETS, **arguments):
    return vgsim.collect(networks, **{"thresholds": THRESHOLDS, **arguments})


# What is counted.


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"seed": 7, "dtype": "float64"},
        {"engine": "dense", "n_threads": 1},
        {"batch_size": 3, "loss": "mse", "layers": (0, 2)},
    ],
)
def test_study_is_the_samples(setting):
    study = collected(MIXED, max_samples=3000, **{"layers": (0,), **setting})
    assert [result.network for result in study] == MIXED
    for result in study:
        assert result.tally == counted(result.network, 3000, **setting)
        assert result.ranges == ((setting.get("seed", 0), 0, 3000),)


def test_order_of_layers_and_thresholds_does_not_matter():
    a = collected(max_samples=1000, layers=(0, 3), thresholds=(0.5, 0.01))
    b = collected(max_samples=1000, layers=(3, 0), thresholds=(0.01, 0.5))
    assert a == b


def test_fresh_entropy():
    a, b = (collected(seed=None, max_samples=1000) for _ in range(2))
    assert a != b
    assert a[0].tally == counted(NETS[0], 1000, seed=a[0].task.seed)


def test_data_as_inputs(rng):
    data = rng.standard_normal((20, 8))
    study = collected(max_samples=2500, inputs=data, batch_size=2)
    assert study[1].tally == counted(NETS[1], 2500, inputs=data, batch_size=2)
    assert study[1].task.inputs.startswith("sha256:")
    assert study[1].tally != collected(max_samples=2500, batch_size=2)[1].tally


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2500])
def test_any_number_of_samples(n):
    assert collected(max_samples=n)[0].tally == counted(NETS[0], n)


@pytest.mark.parametrize("make", [LastFirst, lambda: ThreadPoolExecutor(3)])
def test_any_order_of_work(make):
    with make() as executor:
        assert collected(MIXED, max_samples=7500, executor=executor) == collected(
            MIXED, max_samples=7500
        )


# Stop rules.


def first_reached(network, rules, most, **setting):
    """Return the number of samples after the first block at which all rules are met."""
    layers = sorted({rule.layer for rule in rules})
    for n in range(1000, most + 1, 1000):
        s = vgsim.simulate(network, n, layers=layers, **setting)
        seen = [s.probability(rule.event, rule.layer, rule.threshold).events for rule in rules]
        if all(rule.reached(events, n) for rule, events in zip(rules, seen, strict=True)):
            return n
    return most


RULES = {
    "half width": [Precision(0.02, threshold=0.5)],
    "relative": [Precision(relative=0.07, threshold=0.5)],
    "dead": [Precision(0.002, event="dead")],
    "two": [Precision(0.03, threshold=0.5), Precision(0.02, event="exploding", threshold=0.01)],
    "two layers": [Precision(0.03, threshold=0.5), Precision(0.02, layer=2, threshold=0.5)],
}


@pytest.mark.parametrize("name", RULES)
def test_precision(name, tmp_path):
    rules, most = RULES[name], 9500
    layers = sorted({rule.layer for rule in rules})
    arguments = {"stop": rules, "max_samples": most, "layers": layers}
    study = collected(**arguments, n_threads=1)
    expected = [first_reached(network, rules, most) for network in NETS]
    assert [result.n for result in study] == expected
    assert len(set(expected)) > 1
    for result in study:
        assert result.tally == counted(result.network, result.n, layers)
    assert collected(**arguments, n_threads=2) == study
    with LastFirst() as executor:
        assert collected(**arguments, executor=executor) == study
    collected(**arguments | {"max_samples": 1000}, store=tmp_path / "a")
    assert collected(**arguments, store=tmp_path / "a") == study
    collected(**arguments | {"stop": None}, store=tmp_path / "b")  # more than the rules need
    assert collected(**arguments, store=tmp_path / "b") == study


def test_precision_without_max_samples():
    (rule,) = RULES["half width"]
    result = collected(NETS[:1], stop=rule)[0]
    assert result.n == first_reached(NETS[0], [rule], 10**5)
    interval = result.probability("vanishing", threshold=0.5)
    assert (interval.high - interval.low) / 2 <= 0.02
    assert interval == result.probability("vanishing", threshold=0.5, method="anytime")
    assert result.probability("dead") == result.probability("dead", method="wilson")


def test_little_is_drawn_beyond_a_rule():
    """At most a quarter more than the counted samples, except at the start or for idle workers."""
    rule = Precision(0.01, threshold=0.5)
    with LastFirst(2) as executor:
        study = collected(stop=rule, executor=executor)
        drawn = dict.fromkeys(NETS, 0)
        for task, _, first, end, _ in executor.ran:
            drawn[task.network] += end - first
    for result in study:
        assert drawn[result.network] <= max(1.25 * result.n, result.n + 4000)


@pytest.mark.parametrize(
    ("p", "rule"),
    [
        (0.003, Precision(relative=0.5, threshold=0.5)),
        (0.2, Precision(0.02, threshold=0.5)),
        (0.5, Precision(relative=0.04, threshold=0.5)),
        (0.9, Precision(0.01, event="healthy", threshold=0.5)),
    ],
)
def test_coverage_where_a_rule_stopped(rng, p, rule):
    """Under a stop rule, the intervals contain p in at least 95 % of the studies."""
    task = Task(vgsim.MLP(3, 4), thresholds=(0.5,))
    other = 0 if rule.event == "vanishing" else 1000
    held, ns = 0, set()
    for _ in range(400):
        cursor = Cursor(task, (rule,), None)
        while not cursor.is_done:
            events = rng.binomial(1000, p)
            cursor.take(fake_blocks(task, [1000], [abs(other - events)], cursor.n))
        interval = cursor.result().probability(rule.event)
        held += interval.low <= p <= interval.high
        ns.add(cursor.n)
    assert held >= 0.95 * 400
    assert len(ns) > 1


def test_rules_stop_alike_whatever_the_cuts(rng):
    """Units of any size, received in any order, end at the same sample."""
    task = Task(vgsim.MLP(3, 4), thresholds=(0.5,))
    vanishing = rng.binomial(1000, 0.3, size=60)
    rules = (Precision(0.02, threshold=0.5), Precision(relative=0.05, threshold=0.5))
    ns = np.arange(1, 61) * 1000
    expected = next(
        int(n)
        for n, e in zip(ns, np.cumsum(vanishing), strict=True)
        if all(rule.reached(int(e), int(n)) for rule in rules)
    )
    assert 4000 < expected < 60_000
    for _ in range(50):
        cuts = np.unique([0, 60, *rng.integers(1, 60, size=rng.integers(20))])
        units = list(pairwise(cuts))
        rng.shuffle(units)
        cursor = Cursor(task, rules, None)
        for a, b in units:
            cursor.take(fake_blocks(task, [1000] * (b - a), vanishing[a:b], 1000 * int(a)))
        assert cursor.is_done
        assert cursor.n == expected
        assert cursor.result().tally.events("vanishing") == vanishing[: expected // 1000].sum()


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(2)])
def test_max_seconds(executor, monkeypatch):
    """By a clock that goes on by 0.01 s whenever the scheduler looks at it."""
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: 0.01 * next(ticks), sleep=time.sleep)
    monkeypatch.setattr("vgsim._studies.scheduler.time", clock)
    monkeypatch.setattr("vgsim._studies.scheduler.UNIT_BLOCKS", 1)
    network = vgsim.MLP(200, 32)
    study = collected([network, NETS[0]], max_seconds=1.0, executor=executor)
    assert clock.monotonic() > 1.0
    assert min(result.n for result in study) >= 1000
    assert study[0].n % 1000 == 0
    assert study[0].tally == counted(network, study[0].n)


def test_max_seconds_waits_without_work():
    """A unit that outlasts the time limit is finished; waiting for it uses no processor time."""
    with ThreadPoolExecutor(1) as executor:

        class Slow(ThreadPoolExecutor):
            def submit(self, function, *arguments):
                return executor.submit(lambda: (time.sleep(1.0), function(*arguments))[1])

        used = time.process_time()
        study = collected(NETS[:1], max_seconds=0.2, executor=Slow(1))
        assert study[0].n >= 1000
        assert time.process_time() - used < 0.7


# Stores.


def test_resumed_study_is_an_uninterrupted_one(tmp_path):
    whole = collected(max_samples=6200)
    for n in (700, 1000, 2500, 2500, 6200, 6200):
        study = collected(max_samples=n, store=tmp_path / "x")
        assert [result.n for result in study] == [n] * len(NETS)
        assert study[2].tally == counted(NETS[2], n)
    assert study == whole
    assert collected(max_samples=3000, store=tmp_path / "x") == collected(max_samples=3000)


def test_what_a_store_holds_is_not_drawn_again(tmp_path):
    collected(max_samples=5500, store=tmp_path / "x")
    with LastFirst() as executor:
        study = collected(max_samples=7000, store=tmp_path / "x", executor=executor)
        assert {first for _, _, first, _, _ in executor.ran} <= {5000, 6000}
        executor.ran.clear()
        assert collected(max_samples=7000, store=tmp_path / "x", executor=executor) == study
        assert executor.ran == []
    assert study == collected(max_samples=7000)


def test_more_tasks_in_the_same_store(tmp_path):
    collected(NETS[:2], max_samples=2000, store=tmp_path / "x")
    collected(NETS[1:], max_samples=3000, store=tmp_path / "x")
    collected(NETS, max_samples=1500, store=tmp_path / "x", seed=1)
    assert collected(NETS, max_samples=3000, store=tmp_path / "x") == collected(
        NETS, max_samples=3000
    )
    assert sql(tmp_path / "x", "SELECT count(*) FROM tasks") == [(2 * len(NETS),)]


class Instant(Executor):
    """Runs units at once, and reports a millisecond per block."""

    _max_workers = 1

    def submit(self, function, *arguments):
        blocks, _ = function(*arguments)
        future = Future()
        future.set_result((blocks, 0.001 * len(blocks)))
        return future


def test_a_transaction_is_about_many_small_units(tmp_path, monkeypatch):
    begun = []
    transaction = StoreFile.transaction
    monkeypatch.setattr(
        StoreFile, "transaction", lambda self: begun.append(self) or transaction(self)
    )
    networks = vgsim.sweep(vgsim.MLP, width=4, depth=list(range(2, 202)))
    study = vgsim.collect(networks, max_samples=1000, store=tmp_path / "x", executor=Instant())
    assert [result.n for result in study] == [1000] * 200
    assert len(begun) < 20


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(2)])
def test_iter_collect_left_early(tmp_path, executor):
    rule = Precision(0.005, threshold=0.5)
    arguments = {"stop": rule, "thresholds": THRESHOLDS, "executor": executor}
    sizes = []
    for study in vgsim.iter_collect(NETS, store=tmp_path / "x", **arguments):
        assert isinstance(study, Study)
        sizes.append(sum(result.n for result in study))
        if sizes[-1] > 10_000:
            break
    assert sizes[0] == 0
    assert sorted(set(sizes)) == sizes
    studies = list(vgsim.iter_collect(NETS, store=tmp_path / "x", **arguments))
    assert sum(result.n for result in studies[0]) >= sizes[-1]
    assert studies[-1] == collected(stop=rule)


def test_the_store_is_released_by_an_error(tmp_path):
    def fail(done, total):
        raise ZeroDivisionError(f"at {done} of {total}")

    with pytest.raises(ZeroDivisionError, match="at 0 of 2000"):
        collected(NETS[:1], max_samples=2000, store=tmp_path / "x", progress=fail)
    assert collected(NETS[:1], max_samples=2000, store=tmp_path / "x")[0].n == 2000


INTERRUPTED = """
import sys, vgsim
try:
    vgsim.collect([vgsim.MLP(1000, 128)], max_samples=10**7, store=sys.argv[1], n_threads=1)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c(start_python, tmp_path):
    process = start_python(INTERRUPTED, tmp_path / "x")
    while not stored_samples(tmp_path / "x"):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)  # into the next unit
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
    blocks = held(tmp_path / "x", Task(vgsim.MLP(1000, 128)))
    study = vgsim.collect([vgsim.MLP(1000, 128)], max_samples=blocks.end, store=tmp_path / "x")
    assert study[0].n == blocks.end >= 1000


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tasks": []}, ValueError, "tasks must hold at least one network, got none"),
        ({"tasks": NETS[0]}, TypeError, "tasks must be an iterable of networks, got MLP"),
        ({"tasks": [NETS[0], 3]}, TypeError, "tasks must be"),
        ({"tasks": [*NETS, NETS[1]]}, ValueError, "once, got MLP.depth=20, width=8.*twice"),
        ({"max_samples": None}, ValueError, "max_samples or stop or max_seconds must be given"),
        ({"max_samples": None, "stop": []}, ValueError, "or max_seconds must be given"),
        ({"max_samples": 0}, ValueError, "max_samples must be"),
        ({"max_samples": 1e3}, TypeError, "max_samples must be"),
        ({"max_seconds": 0}, ValueError, "max_seconds must be a positive number, got 0"),
        ({"stop": 0.01}, TypeError, "stop must be a vgsim.Precision or several, got 0.01"),
        (
            {"stop": [Precision(0.1, threshold=0.5), 1]},
            TypeError,
            "stop must be a vgsim.Precision .* got 1",
        ),
        ({"stop": Precision(0.1, layer=2)}, ValueError, "layers must include layer 2 of the"),
        (
            {"stop": Precision(0.1, threshold=0.1)},
            ValueError,
            "thresholds must include 0.1 of the stop rule, got .0.01, 0.5.",
        ),
        ({"layers": (0, 4)}, ValueError, "0 to depth = 3, got 4"),
        ({"thresholds": (2.0,)}, ValueError, "threshold"),
        ({"seed": None, "store": "x"}, ValueError, "seed must be an int with a store, got None"),
        ({"seed": -1}, ValueError, "seed must"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"loss": "hinge"}, ValueError, "loss must be one of"),
        ({"dtype": "float16"}, ValueError, "dtype must be"),
        ({"engine": "fast"}, ValueError, "engine must be one of"),
        ({"inputs": np.ones((5, 7))}, ValueError, "shape .N, n_0. with n_0 = 8.*got shape .5, 7."),
        (
            {"tasks": [NETS[0], vgsim.MLP(3, 7)], "inputs": np.ones((5, 8))},
            ValueError,
            "n_0 = 7.*got shape .5, 8.",
        ),
        ({"executor": 4}, TypeError, "executor must be a concurrent.futures.Executor .* got 4"),
        ({"n_threads": 0}, ValueError, "n_threads must be an int from 1"),
        ({"progress": 1}, TypeError, "progress must be a bool or a callable, got 1"),
        ({"store": 3}, TypeError, "store must be a string or a path, got 3"),
    ],
)
def test_refusals(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"tasks": NETS, "max_samples": 1000, "thresholds": THRESHOLDS, **arguments}
    tasks = given.pop("tasks")
    with pytest.raises(error, match=message):
        vgsim.collect(tasks, **given)
    assert not list(tmp_path.iterdir())


def test_refusals_come_at_once():
    with pytest.raises(ValueError, match="max_samples or stop or max_seconds must be given"):
        vgsim.iter_collect(NETS)


def test_fork_is_refused_after_openmp():
    vgsim.simulate(NETS[0], 1)
    fork = multiprocessing.get_context("fork")
    with (
        ProcessPoolExecutor(1, mp_context=fork) as executor,
        pytest.raises(ValueError, match='would hang; make it with .*"spawn"'),
    ):
        collected(max_samples=1000, executor=executor)


def test_executor_that_takes_no_work():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="ThreadPoolExecutor takes no more work .*make a new"):
        collected(max_samples=1000, executor=executor)


class Failing(ThreadPoolExecutor):
    """Fails `times` times at units that begin at sample 2000."""

    def __init__(self, error, times=100):
        super().__init__(1)
        self.error, self.times = error, times

    def submit(self, function, task, data, first, *rest):
        if first == 2000 and self.times:
            self.times -= 1
            future = Future()
            future.set_exception(self.error)
            return future
        return super().submit(function, task, data, first, *rest)


class KilledWorker(Exception):
    """An error with the name of Dask's."""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (MemoryError("no room"), MemoryError, "no room .at samples 2000 to .* of MLP.depth=3"),
        (UnicodeDecodeError("ascii", b"", 0, 1, "bad"), ValueError, "bad .at samples 2000"),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype("f8")), MemoryError, "at samples"),
        (ZeroDivisionError("x"), RuntimeError, "ZeroDivisionError: x .at samples 2000"),
        (KilledWorker("x"), RuntimeError, "workers died at samples 2000.*make a new executor"),
    ],
)
def test_failing_work_is_named(error, kind, message, tmp_path):
    with Failing(error) as executor, pytest.raises(kind, match=message):
        collected(NETS[:1], max_samples=9000, executor=executor, store=tmp_path / "x")
    blocks = held(tmp_path / "x", Task(NETS[0], thresholds=THRESHOLDS))
    assert blocks.end in (1000, 2000)  # the blocks received before the error
    assert collected(NETS[:1], max_samples=9000, store=tmp_path / "x")[0].n == 9000


def test_a_lost_worker_is_forgiven():
    with Failing(KilledWorker(), times=2) as executor:
        study = collected(NETS[:1], max_samples=9000, executor=executor)
    assert study[0].tally == counted(NETS[0], 9000)


# Progress.


def test_progress_is_called(tmp_path):
    seen = []
    collected(max_samples=2000, store=tmp_path / "x")
    collected(max_samples=5000, store=tmp_path / "x", progress=lambda *now: seen.append(now))
    assert seen[0] == (8000, 20_000)
    assert seen[-1] == (20_000, 20_000)
    assert seen == sorted(seen)
    seen.clear()
    study = collected(stop=Precision(0.02, threshold=0.5), progress=lambda *now: seen.append(now))
    total = sum(result.n for result in study)
    assert seen[0] == (0, 0)
    assert seen[-1] == (total, total)


SHOWN = """
import sys, vgsim
import vgsim._engine.progress
sys.stderr.isatty = lambda: {tty}
vgsim._engine.progress.LINE_SECONDS = 0.0
vgsim.collect([vgsim.MLP(30, 16), vgsim.MLP(20, 16)], max_samples=20_000, progress={progress})
"""
DONE = "40,000 of 40,000 samples, 2 of 2 networks"


@pytest.mark.parametrize(
    ("tty", "progress", "expected"),
    [
        (True, True, f"100 %|██████████| {DONE}"),
        (False, True, f"vgsim: {DONE}, 100 % of the work\n"),
        (True, False, ""),
    ],
)
def test_progress_is_shown(tty, progress, expected):
    code = textwrap.dedent(SHOWN).format(tty=tty, progress=progress)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout == b""
    assert expected in done.stderr.decode()
    assert bool(done.stderr) == progress


class Ending(Executor):
    """Runs units at once, and refuses to submit more than `units`."""

    def __init__(self, units):
        self.left = units

    def submit(self, function, *arguments):
        if not self.left:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self.left -= 1
        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("units", [1, 3, 8])
def test_what_came_back_is_kept_when_the_executor_ends(tmp_path, units):
    network, store = vgsim.MLP(10, 8), tmp_path / "store"
    with pytest.raises(RuntimeError, match="takes no more work"):
        vgsim.collect([network], max_samples=10**9, store=store, executor=Ending(units))
    assert vgsim.load(store)[0].n >= 1000 * units


def test_what_waits_is_not_begun_when_time_is_up():
    network = vgsim.MLP(200, 128, init="glorot_uniform")
    began = time.monotonic()
    vgsim.simulate(network, 1000, layers=(0,))
    block = time.monotonic() - began
    study = vgsim.collect([network], max_seconds=0.05 * block)
    assert study[0].n == 1000
