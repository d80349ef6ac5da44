"""A store outlives kills and full disks, and belongs to one process at a time."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from stored_studies import OTHER, TASK, block_files, study_of_three_files, tally
from vgsim._studies import store_disk as _durable
from vgsim._studies.store import Store
from vgsim._studies.store_format import pack


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A closed store of one task with three files: its path."""
    return study_of_three_files(tmp_path_factory.mktemp("stores") / "three")


@pytest.fixture
def path(three, tmp_path):
    """A copy of that store, to be damaged."""
    return Path(shutil.copytree(three, tmp_path / "study"))


def test_bytes_are_on_the_disk_before_the_name_is(path, monkeypatch):
    """What a power failure may not reorder: the file's flush, its rename, the folder's flush."""
    seen = []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor):
        seen.append(("flush", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
        if seen[-1][1].is_file():
            assert seen[-1][1].read_bytes() == pack(TASK, tally(5000, 6000))[1]
        fsync(descriptor)

    def renamed(old, new):
        seen.append(("rename", Path(new)))
        assert seen[0] == ("flush", Path(old))
        replace(old, new)

    with Store.open(path) as store:
        blocks = tally(5000, 6000)
        monkeypatch.setattr(os, "fsync", flushed)
        monkeypatch.setattr(os, "replace", renamed)
        store.write(TASK, blocks)
    file = block_files(path)[-1]
    assert seen[1:] == [("rename", file), ("flush", file.parent)]


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
with Store.open(path) as store:
    store.add([task])
    blocks = store.blocks(task)
    end = blocks.end if blocks else 0
    print("found", end, flush=True)
    while True:
        store.write(task, tally(end, end + 1000))
        end += 1000
        print("wrote", end, flush=True)
"""


@pytest.fixture
def run_python():
    """Start Python on code; at the end of the test the process is killed."""
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
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left for the study; what it holds is safe: make room and run"),
        (errno.EDQUOT, "no space left for the study; what it holds is safe: make room and run"),
        (errno.EROFS, "the study cannot be written here; .*: make its folder writable, or use"),
        (errno.EACCES, "the study cannot be written here; .*: make its folder writable, or use"),
        (errno.EIO, "the study cannot be written .Input/output error.; what it holds is safe"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failing_disk(path, monkeypatch, code, message, call):
    def failing(*_):
        raise OSError(code, os.strerror(code))

    with Store.open(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(_durable.os, call, failing)
            with pytest.raises(OSError, match=message) as raised:
                store.write(TASK, tally(5000, 6000))
            assert raised.value.errno == code
            assert raised.value.filename == str(path)
            with pytest.raises(OSError, match=message):
                store.add([OTHER])
            assert OTHER.digest not in store.tasks
        assert store.blocks(TASK) == tally(0, 5000)
        assert not list(path.rglob("*.tmp"))
        store.write(TASK, tally(5000, 6000))
    assert Store.read(path).blocks(TASK) == tally(0, 6000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(path):
    path.chmod(0o500)
    (path / "lock").chmod(0o400)
    try:
        with pytest.raises(PermissionError, match="the study cannot be written here"):
            Store.open(path)
        assert Store.read(path).blocks(TASK) == tally(0, 5000)
    finally:
        path.chmod(0o700)


def test_file_size_limit(run_python, tmp_path):
    """Files that grow until they are larger than the process may write."""
    process = run_python(
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        with Store.open(path) as store:
            store.add([task])
            for end in range(1000, 10**6, 1000):
                store.write(task, tally(0, end))
                print(end, flush=True)
        """,
        tmp_path / "study",
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "larger than this process may write (ulimit -f); what it holds is safe" in err
    assert Store.read(tmp_path / "study").blocks(TASK) == tally(0, int(out.split()[-1]))
    assert not list(tmp_path.rglob("*.tmp"))


def in_a_small_file_system(tmp_path, commands):
    """Run shell commands where "$disk" is 256 kB of memory, mounted for them alone."""
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
from pathlib import Path
print("holds", Store.read(path).blocks(task).end, *Path(path).rglob("*.tmp"))
"""


def test_full_disk(tmp_path):
    out, err = in_a_small_file_system(
        tmp_path, 'head -c 100000 /dev/zero > "$disk/ballast"; fill; show; rm "$disk/ballast"; fill'
    )
    place = next(i for i, line in enumerate(out) if line.startswith("holds"))
    end = int(out[place].split()[1])  # and no temporary file is named after it
    assert out[: place + 1] == [
        "found 0",
        *(f"wrote {n}" for n in range(1000, end + 1, 1000)),
        f"holds {end}",
    ]
    assert out[place + 1 : place + 3] == [f"found {end}", f"wrote {end + 1000}"]
    sentence = "no space left for the study; what it holds is safe: make room and run again"
    assert err.count(sentence) == 2


def test_read_only_file_system(tmp_path):
    out, err = in_a_small_file_system(
        tmp_path, 'fill 2> "$disk/../full"; mount -o remount,ro "$disk"; fill; show'
    )
    assert "found" not in out[-1]
    assert out[-1].split() == ["holds", out[-2].split()[1]]
    assert err.count("the study cannot be written here; what it holds is safe: make its") == 1


# Processes.


OPEN_AND_FILL = """
print("found", flush=True)
while True:
    with Store.open(path) as store:
        store.add([task, Task(net, seed=time.time_ns())])
        blocks = store.blocks(task)
        end = blocks.end if blocks else 0
        store.write(task, tally(end, end + 1000))
        print("wrote", end + 1000, flush=True)
"""


@pytest.mark.parametrize("code", [FILL, OPEN_AND_FILL])
def test_killed_writers_lose_nothing(run_python, tmp_path, rng, code):
    """What a process said was written is there after any number of kills, and nothing else."""
    said = 0
    for _ in range(6):
        process = run_python(code, tmp_path / "study")
        assert process.stdout.readline().split()[0] == "found"
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        assert err == ""
        said = max([said, *(int(line.split()[1]) for line in out.splitlines())])
        with Store.open(tmp_path / "study") as store:
            found = store.blocks(TASK)
            assert store.damaged == []
        assert (found.end if found else 0) >= said
        assert not list(tmp_path.rglob("*.tmp"))
    assert said > 1000
    assert found == tally(0, found.end)


def test_leftovers_are_swept_by_the_next_opener_only(path):
    left = [path / ".0123456789abcdef.tmp", block_files(path)[0].parent / ".fedcba9876543210.tmp"]
    for file in left:
        file.write_bytes(b"half a file")
    kept = path / "notes.tmp"
    kept.touch()
    assert Store.read(path).blocks(TASK) == tally(0, 5000)
    assert all(file.exists() for file in left)
    with Store.open(path) as store:
        assert store.blocks(TASK) == tally(0, 5000)
    assert not any(file.exists() for file in left)
    assert kept.exists()


HOLD = """
store = Store.open(path)
child = os.fork() if sys.argv[2:] == ["fork"] else 1
os.write(1, f"{os.getpid() if child else 'child'}\\n".encode())
time.sleep(600)
"""


def test_two_processes_are_kept_apart(run_python, path):
    process = run_python(HOLD, path)
    try:
        pid = int(process.stdout.readline())
        with pytest.raises(BlockingIOError, match=f"{path} is in use by process {pid} on .*: wait"):
            Store.open(path)
        assert Store.read(path).blocks(TASK) == tally(0, 5000)
    finally:
        process.kill()
        process.communicate(timeout=60)
    with Store.open(path) as store:
        assert store.blocks(TASK) == tally(0, 5000)


def test_a_forked_child_does_not_keep_the_lock(run_python, path):
    process = run_python(HOLD, path, "fork", start_new_session=True)
    try:
        lines = {process.stdout.readline().strip() for _ in range(2)}
        assert lines == {"child", str(process.pid)}
        with pytest.raises(BlockingIOError, match=f"process {process.pid} "):
            Store.open(path)
        process.kill()
        process.wait(timeout=60)
        Store.open(path).close()  # while the child still runs
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


def test_a_forked_child_cannot_write(path):
    with Store.open(path) as store:
        child = os.fork()
        if child == 0:
            try:
                store.add([OTHER])
            except ValueError:
                os._exit(42)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_one_process_opens_a_store_once(path):
    with Store.open(path), pytest.raises(BlockingIOError, match="in use by this process already"):
        Store.open(path)
    store = Store.open(path)
    store.close()
    store.close()
    Store.open(path).close()


def test_a_refused_store_is_not_left_locked(path):
    whole = (path / "manifest.json").read_bytes()
    (path / "manifest.json").write_text('{"kind": "vgsim study", "format": 2}')
    with pytest.raises(ValueError, match="format version 2"):
        Store.open(path)
    (path / "manifest.json").write_bytes(whole)
    Store.open(path).close()
