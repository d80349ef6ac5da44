"""Fixtures of all tests: the seed, the instruction sets, processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib

import hypothesis
import numpy as np
import pytest

from vgsim import _kernels

os.environ.setdefault("MPLBACKEND", "Agg")  # figures of tests open no window

TAKES_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
COMMAND = "import sys; from vgsim._cli.main import main; sys.exit(main(sys.argv[1:]))"
ISAS = ("base", "avx2", "avx512")

# Hypothesis draws the same examples in every run; a slow machine does not fail a test.
hypothesis.settings.register_profile("vgsim", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("vgsim")


def pytest_addoption(parser):
    """Add --seed, to repeat the statistical tests with other random numbers."""
    parser.addoption(
        "--seed", type=int, default=0, help="seed of the fixtures `seed` and `rng` (default: 0)"
    )


def pytest_report_header(config):
    """Return the instruction sets and the seed."""
    return [
        f"vgsim: compiled for {', '.join(_kernels.compiled_isas())}; this machine runs "
        f"{', '.join(_kernels.available_isas())}; seed {config.getoption('--seed')}"
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark tests that run on every instruction set, whatever VGSIM_ISA is."""
    for item in items:
        if "isa" in getattr(item, "fixturenames", ()):
            item.add_marker("every_isa")


@pytest.fixture(scope="session")
def seed(pytestconfig):
    """The seed of the session; statistical bounds are wide enough for any seed."""
    return pytestconfig.getoption("--seed")


@pytest.fixture
def rng(seed, request):
    """A new NumPy generator for each test, so that its numbers do not depend on other tests."""
    return np.random.default_rng([seed, zlib.crc32(request.node.nodeid.encode())])


@pytest.fixture(autouse=True)
def closed_figures():
    """Close the figures of each test: matplotlib warns of more than 20 open ones."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(params=ISAS)
def isa(request):
    """Run the test with the kernels of each instruction set; the value is its name."""
    name = request.param
    if name not in _kernels.compiled_isas():
        pytest.skip(f"the {name} kernels were not compiled")
    if name not in _kernels.available_isas():
        pytest.skip(f"this processor has no {name}")
    _kernels.set_isa(name)
    yield name
    _kernels.set_isa(None)


@pytest.fixture
def start_python():
    """Start Python processes that react to Ctrl-C even if this one ignores it (nohup, background).

    At the end of the test the process is killed.
    """
    processes = []

    def start(code, *words):
        line = [sys.executable, "-c", TAKES_CTRL_C + code, *map(str, words)]
        processes.append(
            subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=60)


@pytest.fixture
def started(start_python):
    """Start the command vgsim in a process of `start_python`."""
    return lambda *words: start_python(COMMAND, *words)


@pytest.fixture(scope="session")
def mpiexec():
    """The command line that runs a program on several MPI ranks, without their number."""
    pytest.importorskip("mpi4py")
    launcher = shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("MPI needs mpiexec")
    version = subprocess.run([launcher, "--version"], capture_output=True, text=True).stdout
    if "Open" in version:  # Open MPI refuses root, and more ranks than processors
        return [launcher, "--allow-run-as-root", "--oversubscribe"]
    return [launcher]
