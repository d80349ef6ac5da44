"""The thread of a run: interrupts at any instant, failures to start threads, processors."""

import concurrent.futures.thread
import os
import subprocess
import sys
import threading

import pytest

import vgsim
from vgsim._engine import run
from vgsim._engine.run import execute, thread_count

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and affinities are Linux's")


class Kernel:
    """A fake kernel that runs until it is cancelled or has reported twice."""

    def __init__(self):
        self.looks = self.done = 0
        self.state = "not begun"
        self.end = threading.Event()

    def simulate(self, threads, chunk):
        self.state = "running"
        assert self.end.wait(10)
        self.state = "ended"

    def cancel(self):
        self.end.set()

    def report(self, done):
        self.looks += 1
        if self.looks == 2:
            self.end.set()


def interrupting(number):
    """A trace function that raises KeyboardInterrupt at the given instant of a run.

    Instants are the lines of vgsim's module, and calls and returns of functions of the pool, where
    Python handles signals: never between the end of a block and the release of its lock.
    """
    instants = {run.__file__: ["line"], concurrent.futures.thread.__file__: ["call", "return"]}
    left = number

    def trace(frame, event, argument):
        nonlocal left
        if (events := instants.get(frame.f_code.co_filename)) is None:
            return None
        left -= event in events
        if left == 0:
            raise KeyboardInterrupt
        return trace

    return trace


def interrupted(number):
    """Return whether a run was interrupted at that instant, and check that its kernel has ended."""
    kernel, before = Kernel(), sys.gettrace()
    sys.settrace(interrupting(number))
    try:
        execute(kernel, 1, 1, kernel.report)
        return False
    except KeyboardInterrupt:
        assert kernel.state != "running"
        following = Kernel()
        execute(following, 1, 1, following.report)  # runs after everything in the queue
        assert kernel.state != "running"
        assert following.state == "ended"
        return True
    finally:
        sys.settrace(before)


def test_no_kernel_outlives_an_interrupt_at_any_instant(monkeypatch):
    """Once with a new thread for every run, and once with the same thread."""
    monkeypatch.setattr(run, "POLL_SECONDS", 1e-3)

    def until_the_end(new_thread):
        number = 1
        while True:
            if new_thread:
                monkeypatch.setattr(run, "_of_caller", threading.local())
            if not interrupted(number):
                return number
            number += 1

    assert until_the_end(new_thread=True) > until_the_end(new_thread=False) > 10


def test_a_kernel_has_ended_when_the_interrupt_comes_as_it_is_submitted(monkeypatch):
    submit = concurrent.futures.ThreadPoolExecutor.submit
    kernel = Kernel()

    def submit_and_raise(*work):
        monkeypatch.undo()
        submit(*work)
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", submit_and_raise)
    with pytest.raises(KeyboardInterrupt):
        execute(kernel, 1, 1)
    assert kernel.state == "ended"


def test_threads_that_openmp_could_not_start_are_an_error(monkeypatch):
    monkeypatch.setattr(run, "_of_caller", threading.local())
    monkeypatch.setattr(run, "startable", lambda count, stack_bytes: min(count, 2))
    network = vgsim.MLP(5, 8)
    for _ in range(2):
        with pytest.raises(MemoryError, match="n_threads must be at most 3 here, got 7: .*start"):
            vgsim.simulate(network, 10, n_threads=7)
    assert len(vgsim.simulate(network, 10, n_threads=3)) == 10
    assert len(vgsim.simulate(network, 10, n_threads=5)) == 10  # two threads more than before


def test_a_thread_that_python_cannot_start_is_an_error(monkeypatch):
    """Its task is not executed later either."""
    monkeypatch.setattr(run, "_of_caller", threading.local())

    def refuse(*_, **__):
        raise RuntimeError("can't start new thread")

    names = "_start_joinable_thread", "_start_new_thread"  # since Python 3.13, and before
    with monkeypatch.context() as patch:
        patch.setattr(threading, next(name for name in names if hasattr(threading, name)), refuse)
        kernel = Kernel()
        with pytest.raises(MemoryError, match="n_threads must be at most 0 here, got 1"):
            execute(kernel, 1, 1)
    following = Kernel()
    execute(following, 1, 1, following.report)
    assert (kernel.state, following.state) == ("not begun", "ended")


def child(code, *words, **environment):
    """Run Python with the environment changed; return what it prints."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMP_", "GOMP_", "KMP_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LIMITED = """
import os, resource, sys, vgsim
vgsim.simulate(vgsim.MLP(5, 8), 10, n_threads=1)
limit = sys.argv[1]
if limit == "RLIMIT_AS":
    with open("/proc/self/statm") as pages:
        most = int(pages.read().split()[0]) * resource.getpagesize() + 2**28
else:
    most = 30
    if os.getuid() == 0:  # whom it does not bind
        os.setuid(54321)
resource.setrlimit(getattr(resource, limit), (most, most))
try:
    vgsim.simulate(vgsim.MLP(5, 8), 10, n_threads=1000)
except MemoryError as error:
    print(error)
"""


@linux
@pytest.mark.parametrize(
    ("limit", "word"), [("RLIMIT_AS", "ulimit -v is "), ("RLIMIT_NPROC", "ulimit -u is 30")]
)
def test_a_limit_on_threads_is_named(limit, word):
    """OpenMP itself would end the process."""
    message = child(LIMITED, limit)
    assert message.startswith("n_threads must be at most ")
    assert " here, got 1000: the system cannot start more threads (" in message
    assert word in message


PROCESSORS = """
import os, vgsim
from vgsim._engine.run import thread_count

def tasks():
    return [int(task) for task in os.listdir("/proc/self/task")]

vgsim.simulate(vgsim.MLP(5, 8), 10, n_threads=2)
before = len(tasks())
vgsim.simulate(vgsim.MLP(5, 8), 10, n_threads=5)
assert len(tasks()) == before + 3
masks = {tuple(sorted(os.sched_getaffinity(task))) for task in tasks()}
print(thread_count(), *map(list, masks))
vgsim.show_config()
"""


@pytest.fixture(scope="module")
def usual():
    """The output of a process without settings of OpenMP."""
    return child(PROCESSORS).splitlines()


@linux
@pytest.mark.parametrize(
    "setting",
    [
        "OMP_PROC_BIND=true",
        "OMP_PROC_BIND=close",
        "OMP_PROC_BIND=spread",
        "OMP_PLACES=threads",
        "GOMP_CPU_AFFINITY=ALL",
        "KMP_AFFINITY=compact",
        "OMP_DYNAMIC=true",
        "OMP_MAX_ACTIVE_LEVELS=0",
    ],
)
def test_openmp_settings_take_no_processor_away(setting, usual):
    """The settings change neither the number of threads nor the processors they may run on."""
    name, value = setting.split("=")
    processors = sorted(os.sched_getaffinity(0))
    value = value.replace("ALL", " ".join(map(str, processors)))
    found = child(PROCESSORS, **{name: value}).splitlines()
    assert found == usual
    threads, mask = found[0].split(" ", 1)
    assert mask == str(processors)
    assert found[-1].split()[:2] == ["threads", threads]


@linux
def test_places_that_are_fewer_are_taken():
    """One place gives one thread."""
    first = min(os.sched_getaffinity(0))
    code = "from vgsim._engine.run import thread_count; print(thread_count())"
    assert child(code, OMP_PLACES=f"{{{first}}}") == "1"


def test_a_limit_of_openmp_is_kept_and_named():
    code = """
import vgsim
from vgsim._engine.run import thread_count
print(thread_count(), end=" ")
try:
    vgsim.simulate(vgsim.MLP(5, 8), 10, n_threads=2)
except ValueError as error:
    print(error)
"""
    expected = "1 n_threads must be at most 1, OMP_THREAD_LIMIT, got 2"
    assert child(code, OMP_THREAD_LIMIT="1") == expected


def test_stack_size_of_openmp(monkeypatch):
    for setting, size in {"": 0, "16": 2**14, "2M": 2**21, " 1 g ": 2**30, "many": 0}.items():
        monkeypatch.setenv("OMP_STACKSIZE", setting)
        assert run._stack_bytes() == size


def test_a_machine_without_affinities(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(run, "openmp_limits", lambda: (0, 2**31 - 1))
    assert 1 <= thread_count() <= os.cpu_count()
