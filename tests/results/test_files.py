"""Files are written atomically, and only regular files are read."""

import errno
import os
import threading

import pytest

import vgsim
from vgsim._results import files


def test_a_file_is_flushed_renamed_and_its_folder_flushed(tmp_path, monkeypatch):
    path, steps = tmp_path / "x.txt", []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor):
        steps.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def renamed(source, target):
        steps.append((os.fspath(source), os.fspath(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    with files.whole(path) as temporary:
        temporary.write_text("42")
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert not path.exists()
    assert steps == [str(temporary), (str(temporary), str(path)), str(tmp_path)]
    assert path.read_text() == "42"
    assert os.listdir(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no"), OSError(28, "full")])
def test_what_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write():
        with files.whole(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    if isinstance(error, OSError):
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    fsync = os.fsync

    def some(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", some)
    with files.whole(tmp_path / "x.txt") as temporary:
        temporary.write_text("42")
    assert (tmp_path / "x.txt").read_text() == "42"


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero", "/dev/null"):
        done = []
        reader = threading.Thread(target=_refused, args=(path, done), daemon=True)
        reader.start()
        reader.join(timeout=60)
        assert done == [f"path must name a regular file, got {str(path)!r}"]


def _refused(path, done):
    try:
        vgsim.load(path)
    except ValueError as error:
        done.append(str(error))
