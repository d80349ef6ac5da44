"""Progress as a bar on a terminal, as lines elsewhere, by calls, or not at all."""

import contextlib
import io
import itertools
import os
import select
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tqdm import tqdm

import vgsim
from vgsim._cli.main import main
from vgsim._engine import progress
from vgsim._engine.progress import shown


class Terminal(io.StringIO):
    """A stream that claims to be a terminal, with the text visible on its screen."""

    def isatty(self):
        return True

    @property
    def screen(self):
        lines = []
        for text in self.getvalue().split("\n"):
            line = []
            for part in text.split("\r"):
                line[: len(part)] = part
            lines.append("".join(line).rstrip())
        return lines


@pytest.fixture
def as_stderr(monkeypatch):
    """Replace stderr by a stream, to which bars and lines are written without delay."""
    seconds = itertools.count()
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(seconds)))
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)

    def put(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return put


# A bar


def test_a_bar_on_a_terminal_shows_the_fraction_of_the_work(as_stderr):
    terminal = as_stderr(Terminal())
    with shown(True, "two networks") as show:
        show(1_000, 4_000, 0.1)
        (first,) = terminal.screen
        show(3_000, 4_000, 0.4, "the second")
        (second,) = terminal.screen
        show(4_000, 4_000, 1.0)
    assert first.startswith(" 10 %|")
    assert "| two networks: 1,000 of 4,000 samples [" in first
    assert second.startswith(" 40 %|")
    assert "| two networks: the second [" in second
    last, after = terminal.screen
    assert last.startswith("100 %|")
    assert "| two networks: 4,000 of 4,000 samples [" in last
    assert after == ""


def test_the_length_of_the_bar_is_the_fraction(as_stderr):
    terminal = as_stderr(Terminal())
    with shown(True) as show:
        show(1, 2, 0.25)
    line, _ = terminal.screen
    start, bar, _ = line.split("|")
    assert start == " 25 %"
    assert len(bar) >= 10
    assert len(bar.rstrip()) == pytest.approx(len(bar) / 4, abs=1)


def test_a_bar_makes_room_for_other_lines(as_stderr):
    terminal = as_stderr(Terminal())
    with shown(True, leave=False) as show:
        show(1, 3, 0.5)
        show.clear()
        terminal.write("a row of a table\n")
        show(2, 3, 0.7)
        show.clear()
        terminal.write("another\n")
    assert terminal.screen == ["a row of a table", "another", ""]


def test_a_bar_ends_where_the_work_stops(as_stderr):
    terminal = as_stderr(Terminal())
    with contextlib.suppress(KeyboardInterrupt), shown(True, leave=False) as show:
        show(1, 3, 0.5)
        raise KeyboardInterrupt
    assert terminal.screen == [""]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_bar_on_a_pseudo_terminal(monkeypatch):
    termios = pytest.importorskip("termios")
    fcntl = pytest.importorskip("fcntl")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with open(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with shown(True) as show:
            show(1, 2, 0.5)
        written = b""
        while b"| 1 of 2 samples [" not in written and select.select([ours], [], [], 60)[0]:
            written += os.read(ours, 4096)
    os.close(ours)
    assert b"\r 50 %|" in written
    assert b"| 1 of 2 samples [" in written.rsplit(b"\r 50 %|", 1)[1]


# Lines


def test_lines_off_a_terminal(as_stderr):
    pipe = as_stderr(io.StringIO())
    with shown(True, "study") as show:
        show(0, 4_000, 0.0)
        show(1_000, 4_000, 0.1)
        show(4_000, 4_000, 1.0, "all of it")
        show(5, 0, 0.2)
    first, second, third, fourth = pipe.getvalue().splitlines()
    assert first == "vgsim: study: 0 of 4,000 samples, 0 % of the work"
    assert second.startswith("vgsim: study: 1,000 of 4,000 samples, 10 % of the work, ")
    assert second.endswith(" s left")
    assert third == "vgsim: study: all of it, 100 % of the work"
    assert fourth.startswith("vgsim: study: 5 samples, 20 % of the work")


def test_the_time_left_is_that_of_the_rest_of_the_work(as_stderr, monkeypatch):
    pipe = as_stderr(io.StringIO())
    clock = iter([100.0, 101.0, 102.0, 110.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with shown(True) as show:
        show(50, 100, 0.5)  # done in an earlier run of the study
        show(51, 100, 0.51)  # too little for an estimate
        show(60, 100, 0.6)  # 0.1 of the work in 10 seconds, 0.4 are left
    assert pipe.getvalue().splitlines() == [
        "vgsim: 50 of 100 samples, 50 % of the work",
        "vgsim: 51 of 100 samples, 51 % of the work",
        "vgsim: 60 of 100 samples, 60 % of the work, 40 s left",
    ]


def test_lines_are_seconds_apart(as_stderr, monkeypatch):
    pipe = as_stderr(io.StringIO())
    monkeypatch.setattr(progress, "LINE_SECONDS", 10.0)
    clock = iter([0.0, 9.0, 10.0, 19.0, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with shown(True) as show:
        for done in range(4):
            show(done, 4, done / 4)
    said = [line.split(" samples")[0] for line in pipe.getvalue().splitlines()]
    assert said == ["vgsim: 1 of 4", "vgsim: 3 of 4"]


# Calls, and nothing


def test_a_callable_is_called_with_the_samples(capsys):
    calls = []
    with shown(lambda *call: calls.append(call), "title") as show:
        show(1, 10, 0.5, "words")
        show.clear()
        show(10, 10, 1.0)
    assert calls == [(1, 10), (10, 10)]
    assert capsys.readouterr() == ("", "")


def test_no_progress_shows_nothing(as_stderr):
    terminal = as_stderr(Terminal())
    with shown(False) as show:
        show(1, 2, 0.5)
        show.clear()
    assert terminal.getvalue() == ""


def test_progress_without_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with shown(True) as show:
        show(1, 2, 0.5)
        show.clear()


@pytest.mark.parametrize("value", [1, None, "yes", 0.5])
def test_progress_that_is_neither(value):
    message = f"progress must be a bool or a callable, got {value!r}"
    with pytest.raises(TypeError, match=message), shown(value):
        pytest.fail("begun")


# The commands


@pytest.mark.parametrize("words", [["run"], ["run", "--csv"], ["depth"]])
def test_the_bar_of_a_command_is_gone_when_its_table_is_printed(words, as_stderr, monkeypatch):
    terminal = as_stderr(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    small = ["--width", "8", "--samples", "200", "--depth", "5", "20"]
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stdout", plain)
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    assert main([*words, *small]) == 0
    assert terminal.getvalue() == ""
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main([*words, *small]) == 0

    def without_times(lines):
        return [line for line in lines if not line.endswith("s in all")]

    def cells(line):
        return line.split(",")[:-1] if "--csv" in words else line.split()[:-1]

    printed = without_times(plain.getvalue().split("\n"))
    seen = without_times(terminal.screen)
    assert list(map(cells, seen)) == list(map(cells, printed))
    assert "sigmoid, depth 5: 200 of 200 samples" in terminal.getvalue()
    assert "relu, depth 20: 200 of 200 samples" in terminal.getvalue()


def test_a_command_off_a_terminal_shows_no_progress(as_stderr, capfd):
    pipe = as_stderr(io.StringIO())
    assert main(["run", "--width", "8", "--samples", "20", "--depth", "5"]) == 0
    assert pipe.getvalue() == ""


# Functions without kernels


def calls_of(function, *arguments, **options):
    """Return the calls of `progress`, and check that it changes nothing else."""
    calls = []
    quiet = function(*arguments, **options)
    told = function(*arguments, **options, progress=lambda *call: calls.append(call))
    return quiet, told, calls


@pytest.mark.parametrize("engine", ["matrix-free", "dense"])
def test_replay_and_evaluate_count_what_is_done(engine):
    net = vgsim.MLP(6, 4, bias_std=0.1)
    quiet, told, calls = calls_of(vgsim.replay, net, seed=1, engine=engine)
    assert all((quiet.parameters[name] == told.parameters[name]).all() for name in told.parameters)
    total = calls[-1][1]
    assert calls == [(done, total) for done in range(1, total + 1)]
    arrays = net, told.parameters, told.inputs, told.output_gradient
    quiet, told, calls = calls_of(vgsim.evaluate, *arrays)
    assert (quiet.gradient == told.gradient).all()
    assert calls == [(done, 12) for done in range(1, 13)]


def test_a_notebook_without_widgets_has_one_line_that_is_replaced(as_stderr, monkeypatch):
    lines = []

    class Handle:
        def update(self, data, raw):
            lines.append(data["text/plain"])

    fake = SimpleNamespace(display=lambda data, raw, display_id: Handle())
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    monkeypatch.setattr("tqdm.auto.tqdm", tqdm)  # as without ipywidgets
    kernel = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    stream = as_stderr(kernel())
    with shown(True) as show:
        show(1, 2, 0.5)
        show(2, 2, 1.0)
    assert stream.getvalue() == ""
    assert any(line.startswith("50 %|") and "1 of 2 samples" in line for line in lines)
    assert lines[-1].startswith("100 %|██")
    assert "2 of 2 samples" in lines[-1]


def test_layers_on_a_bar(as_stderr):
    terminal = as_stderr(Terminal())
    with shown(True) as show:
        show.layers(30, 120)
    line, _ = terminal.screen
    assert line.startswith(" 25 %|")
    assert "| 30 of 120 layers [" in line


@pytest.mark.parametrize("pool", [None, ThreadPoolExecutor])
def test_samples_of_modules_count_samples(pool):
    nn = pytest.importorskip("torch").nn

    def make():
        return nn.Sequential(nn.Linear(3, 3), nn.Tanh())

    with contextlib.ExitStack() as stack:
        executor = pool and stack.enter_context(pool(2))
        quiet, told, calls = calls_of(
            vgsim.torch_samples, make, 5, input_shape=3, executor=executor
        )
    assert (quiet.gradient == told.gradient).all()
    done = [done for done, total in calls if total == 5]
    assert len(done) == len(calls)
    assert done == sorted(done)
    assert done[-1] == 5


@pytest.mark.parametrize("function", ["replay", "simulate", "lyapunov", "depth_curve"])
def test_progress_must_be_a_bool_or_callable(function):
    arguments = {"simulate": (2,), "lyapunov": (2,), "depth_curve": ((1, 2), 2)}.get(function, ())
    with pytest.raises(TypeError, match="progress must be a bool or a callable, got 3"):
        getattr(vgsim, function)(vgsim.MLP(2, 2), *arguments, progress=3)
