"""A damaged store is named, not used, and mended: it never gives what was not written."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from stored_studies import NET, OTHER, TASK, block_files, study_of_three_files, tally
from vgsim._studies import store_format
from vgsim._studies import store_format as _block_files
from vgsim._studies.store import Store, merge
from vgsim._studies.store_format import BlockFile, pack, pack_manifest, unpack_manifest
from vgsim._studies.task import Task


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A closed store of one task with three files: its path."""
    return study_of_three_files(tmp_path_factory.mktemp("stores") / "three")


@pytest.fixture
def path(three, tmp_path):
    """A copy of that store, to be damaged."""
    return Path(shutil.copytree(three, tmp_path / "study"))


def redo(path):
    """Write again what is missing, and check that the study is as if nothing had happened."""
    with Store.open(path) as store:
        with pytest.warns(UserWarning, match="not used"):
            found = store.blocks(TASK)
        first = found.end if found else 0
        store.write(TASK, tally(first, 5000))
        assert store.blocks(TASK) == tally(0, 5000)
    again = Store.read(path)
    assert again.blocks(TASK) == tally(0, 5000)
    assert again.damaged == []


# Damage is named, not used, and redone.


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("twentieth", range(20))
def test_truncated_file(path, which, twentieth):
    file = block_files(path)[which]
    size = file.stat().st_size
    os.truncate(file, size * twentieth // 20)
    reader = Store.read(path)
    with pytest.warns(UserWarning, match=f"{file.name} is not used: torn or altered"):
        found = reader.blocks(TASK)
    expected = (0, 2000, 3000)[which]
    assert found == (tally(0, expected) if expected else None)
    assert [name for name, _ in reader.damaged] == [str(file.relative_to(path))]
    redo(path)


@pytest.mark.parametrize("which", range(40))
def test_flipped_byte(path, rng, which):
    file = block_files(path)[which % 3]
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)
    redo(path)


def test_grown_file(path):
    with open(block_files(path)[1], "ab") as file:
        file.write(b"\0")
    redo(path)


def test_damage_is_said_once(path):
    block_files(path)[1].write_bytes(b"")
    reader = Store.read(path)
    with pytest.warns(UserWarning, match="not used"):
        reader.blocks(TASK)
    assert reader.blocks(TASK) == tally(0, 2000)  # a second warning would be an error
    assert len(reader.damaged) == 1


def test_another_tasks_file(path):
    with Store.open(path) as store:
        store.add([OTHER])
        store.write(OTHER, tally(2000, 3000, OTHER))
    foreign = next(path.glob(f"blocks/{OTHER.digest[:16]}/*"))
    mine = block_files(path)
    mine = [file for file in mine if file.parent != foreign.parent]
    mine[1].unlink()
    shutil.copy(foreign, mine[1].parent / foreign.name)
    with pytest.warns(UserWarning, match=f"another task: {OTHER.digest}"):
        assert Store.read(path).blocks(TASK) == tally(0, 2000)
    redo(path)
    assert foreign.exists()


def test_a_task_is_not_found_in_another_tasks_folder(path):
    for file in block_files(path):
        file.unlink()
    name, data = pack(OTHER, tally(0, 1000, OTHER))
    (path / "blocks" / TASK.digest[:16] / str(name)).write_bytes(data)
    (path / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="missing"):
        assert Store.read(path).tasks == {}


def test_a_task_is_not_what_a_file_says_against_its_digest(path, tmp_path):
    data = npz(tmp_path, header=header(task=OTHER.to_dict()), **tally(2000, 3000).arrays())
    (path / "blocks" / TASK.digest[:16] / forged(data)).write_bytes(data)
    for file in block_files(path):
        if file.name != forged(data):
            file.unlink()
    (path / "manifest.json").unlink()
    with (
        pytest.warns(UserWarning, match="manifest.json is missing"),
        pytest.warns(UserWarning, match="another task"),
    ):
        assert Store.read(path).tasks == {}


def test_renamed_file(path):
    file = block_files(path)[1]
    file.rename(file.with_name(file.name.replace("2000-3000", "2000-9000")))
    with pytest.warns(UserWarning, match="holds samples 2,000 to 2,999, its name says 2,000 to 8"):
        assert Store.read(path).blocks(TASK) == tally(0, 2000)
    redo(path)
    assert len(block_files(path)) == 3


@pytest.mark.parametrize(
    "name", ["2000-3000.npz", "02000-3000-0123456789abcdef.npz", "3000-2000-" + "0" * 16 + ".npz"]
)
def test_no_such_name(path, name):
    file = block_files(path)[1]
    file.rename(file.with_name(name))
    with pytest.warns(UserWarning, match="no file of blocks has such a name"):
        assert Store.read(path).blocks(TASK) == tally(0, 2000)


def forged(data):
    """The name of a file of samples 2000 … 2999 with the checksum of `data`."""
    return str(BlockFile(2000, 3000, _block_files._checksum(data)))


def npz(tmp_path, **arrays):
    np.savez(tmp_path / "made.npz", **arrays)
    return (tmp_path / "made.npz").read_bytes()


def header(**changes):
    values = {"format": 1, "kind": "vgsim.Blocks", "digest": TASK.digest, "task": TASK.to_dict()}
    return np.array(json.dumps({**values, **changes}).encode())


class Bomb:
    """An object whose unpickling is seen."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda tmp: b"", "not a file of blocks"),
        (lambda tmp: b"PK\x03\x04" + b"\0" * 100, "not a file of blocks"),
        (lambda tmp: npz(tmp, layers=np.arange(3)), "not a file of blocks"),
        (lambda tmp: npz(tmp, header=np.array(b"[1, 2]")), "not a file of blocks"),
        (lambda tmp: npz(tmp, header=np.array(Bomb(), dtype=object)), "not a file of blocks"),
        (lambda tmp: npz(tmp, header=header(kind="vgsim.Samples")), "not a file of blocks"),
        (lambda tmp: npz(tmp, header=header(format="1")), "not a file of blocks"),
        (lambda tmp: npz(tmp, header=header(task=None)), "another task"),
        (lambda tmp: npz(tmp, header=header(digest=OTHER.digest)), "another task"),
        (lambda tmp: npz(tmp, header=header()), "its blocks are inconsistent"),
        (
            lambda tmp: npz(tmp, header=header(), **{**tally(2000, 3000).arrays(), "dead": [[-1]]}),
            "its blocks are inconsistent",
        ),
        (
            lambda tmp: npz(
                tmp,
                header=header(),
                **tally(2000, 3000, Task(NET, thresholds=(0.1,))).arrays(),
            ),
            "its blocks are inconsistent",
        ),
    ],
)
def test_forged_file(path, tmp_path, make, reason):
    file = block_files(path)[1]
    data = make(tmp_path)
    file.with_name(forged(data)).write_bytes(data)
    file.unlink()
    with pytest.warns(UserWarning, match=reason):
        assert Store.read(path).blocks(TASK) == tally(0, 2000)
    redo(path)


def test_unreadable_file(path, monkeypatch):
    def failing(self):
        raise OSError(errno.EIO, "Input/output error", str(self))

    reader = Store.read(path)
    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.warns(UserWarning, match="unreadable: Input/output error"):
        assert reader.blocks(TASK) is None


def test_file_of_a_newer_format(path, monkeypatch):
    file = block_files(path)[1]
    with monkeypatch.context() as patch:
        patch.setattr(_block_files, "FORMAT", 2)
        name, data = pack(TASK, tally(2000, 3000))
    file.unlink()
    file.with_name(str(name)).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name}: its format version is 2, .* upgrade"):
        Store.read(path).blocks(TASK)
    assert file.with_name(str(name)).exists()


# The manifest.


@pytest.mark.parametrize("twentieth", range(20))
def test_truncated_manifest(path, twentieth):
    size = (path / "manifest.json").stat().st_size
    os.truncate(path / "manifest.json", size * twentieth // 20)
    with pytest.warns(UserWarning, match=r"manifest.json is damaged: .* read from their blocks"):
        reader = Store.read(path)
    assert reader.tasks == {TASK.digest: TASK.to_dict()}
    with pytest.warns(UserWarning, match="damaged"):
        Store.open(path).close()
    assert Store.read(path).blocks(TASK) == tally(0, 5000)


def test_flipped_byte_in_the_manifest(path, three):
    """At every place: the manifest is as it was, seen to be damaged, or refused as newer."""
    whole = (path / "manifest.json").read_bytes()
    meant = unpack_manifest(whole, "")
    outcomes = []
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        try:
            outcomes.append(unpack_manifest(bytes(data), "runs/depth"))
        except ValueError as error:
            outcomes.append(str(error))
    newer = {outcome for outcome in outcomes if isinstance(outcome, str)}
    assert all("format version" in sentence for sentence in newer)
    assert all(outcome in (None, meant) for outcome in outcomes if outcome not in newer)
    assert outcomes.count(None) > len(whole) / 2  # the rest is white space
    (path / "manifest.json").write_bytes(data)
    with pytest.warns(UserWarning, match="damaged"):
        assert Store.read(path).tasks == Store.read(three).tasks


def test_missing_manifest(path):
    with Store.open(path) as store:
        store.add([OTHER])
        store.write(OTHER, tally(0, 1000, OTHER))
    (path / "manifest.json").unlink()
    block_files(path)[0].write_bytes(b"torn")
    with (
        pytest.warns(UserWarning, match="manifest.json is missing"),
        pytest.warns(UserWarning, match="torn or altered"),
    ):
        store = Store.open(path)
    with store:
        assert store.tasks == {task.digest: task.to_dict() for task in (TASK, OTHER)}
        assert store.blocks(OTHER) == tally(0, 1000, OTHER)
        store.add([TASK])
    assert Store.read(path).tasks == store.tasks


def test_newer_format_of_the_manifest(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store_format, "FORMAT", 7)
        (path / "manifest.json").write_bytes(pack_manifest({}, []))
    before = (path / "manifest.json").read_bytes()
    for start in (Store.read, Store.open):
        with pytest.raises(ValueError, match="format version 7, this vgsim reads version 1"):
            start(path)
    assert (path / "manifest.json").read_bytes() == before


def test_other_stream_version(path, tmp_path):
    old = Task(NET, thresholds=(0.5,), stream_version=99)
    (path / "manifest.json").write_bytes(pack_manifest({old.digest: old.to_dict()}, []))
    assert Store.read(path).tasks == {old.digest: old.to_dict()}
    with pytest.raises(ValueError, match="stream version 99"):
        Store.open(path)
    with pytest.raises(ValueError, match="stream version 99"):
        merge([path], tmp_path / "merged")
    assert Store.read(tmp_path / "merged").tasks == {}


def test_other_block_length(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store_format, "BLOCK", 500)
        (path / "manifest.json").write_bytes(pack_manifest({}, []))
    with pytest.raises(ValueError, match="blocks of 500 samples, this vgsim of 1000"):
        Store.open(path)
