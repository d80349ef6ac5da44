"""A store gives back what was written, and is merged and read from elsewhere."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vgsim
from stored_studies import NET, OTHER, TASK, block_files, study_of_three_files, tally
from vgsim._studies.blocks import BLOCK
from vgsim._studies.store import Store, merge
from vgsim._studies.store_format import BlockFile, cover, pack
from vgsim._studies.task import Task


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A closed store of one task with three files: its path."""
    return study_of_three_files(tmp_path_factory.mktemp("stores") / "three")


@pytest.fixture
def path(three, tmp_path):
    """A copy of that store, to be damaged."""
    return Path(shutil.copytree(three, tmp_path / "study"))


def test_blocks_come_back(path):
    reader = Store.read(path)
    assert reader.blocks(TASK) == tally(0, 5000)
    assert reader.blocks(OTHER) is None
    assert reader.tasks == {TASK.digest: TASK.to_dict()}
    assert Task.from_dict(reader.tasks[TASK.digest]) == TASK
    assert reader.provenance[0]["vgsim"] == vgsim.__version__
    assert len(reader.provenance) == 1
    assert reader.damaged == []


def test_a_store_grows(path):
    with Store.open(str(path)) as store:
        store.add([OTHER, TASK])
        store.write(OTHER, tally(0, 1500, OTHER))
        store.write(TASK, tally(5000, 6700))
    reader = Store.read(str(path))
    assert set(reader.tasks) == {TASK.digest, OTHER.digest}
    assert reader.blocks(TASK) == tally(0, 6700)
    assert reader.blocks(OTHER) == tally(0, 1500, OTHER)
    assert len(reader.provenance) == 1


def test_overlapping_files_and_gaps(tmp_path):
    with Store.open(tmp_path) as store:
        store.add([TASK])
        for first, end in ((0, 1500), (0, 1000), (1000, 3000), (2000, 4400), (6000, 7000)):
            store.write(TASK, tally(first, end))
        assert store.blocks(TASK) == tally(0, 4400)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4000)), max_size=8))
def test_cover_reaches_as_far_as_can_be(spans):
    files = [BlockFile(a * BLOCK, a * BLOCK + n, f"{i:016x}") for i, (a, n) in enumerate(spans)]
    # Every place a chain of blocks gets to: a file's blocks end at its multiples of BLOCK and end.
    reached = {0}
    for position in range(0, 12 * BLOCK, BLOCK):
        if position in reached:
            for file in files:
                if file.first <= position < file.end:
                    reached |= {min(position + BLOCK, file.end)}
    position = 0
    for file, first, end in cover(files):
        assert file in files
        assert first == position < end
        assert file.first <= first
        assert end <= file.end
        assert first % BLOCK == 0
        assert end % BLOCK == 0 or end == file.end
        position = end
    assert position == max(reached)


def test_files_are_plain_numbers_and_always_the_same(path, tmp_path):
    for file in block_files(path):
        with np.load(file, allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].item())
            assert header["task"] == TASK.to_dict()
            assert all(arrays[name].dtype.kind in "if" for name in arrays.files if name != "header")
    name, data = pack(TASK, tally(0, 2000))
    assert block_files(path)[0].name == str(name)
    assert block_files(path)[0].read_bytes() == data


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda: tally(500, 2000), "multiple of 1,000 samples, got 500"),
        (lambda: tally(0, 1000, Task(NET, thresholds=(0.1,))), r"\[0.5\], got \[0\] and \[0.1\]"),
        (lambda: tally(0, 1000, Task(NET, layers=(0, 1), thresholds=(0.5,))), r"got \[0, 1\] and"),
    ],
)
def test_write_refuses_blocks_that_do_not_fit(path, blocks, message):
    with Store.open(path) as store, pytest.raises(ValueError, match=message):
        store.write(TASK, blocks())


def test_write_refuses_a_task_not_added_and_a_closed_store(path):
    with Store.open(path) as store, pytest.raises(ValueError, match="no such task"):
        store.write(OTHER, tally(0, 1000, OTHER))
    with pytest.raises(ValueError, match="closed"):
        store.write(TASK, tally(0, 1000))
    with pytest.raises(ValueError, match="closed"):
        store.add([OTHER])


# What is no store.


@pytest.mark.parametrize("start", [Store.open, Store.read])
@pytest.mark.parametrize("path", [None, 3, 0.5, ["a"]])
def test_path_of_a_wrong_type(start, path):
    with pytest.raises(TypeError, match="(store|path) must be a string or a path"):
        start(path)


def test_only_a_local_folder_is_written(tmp_path):
    for path in ("s3://bucket/study", ""):
        with pytest.raises(ValueError, match="folder of this machine"):
            Store.open(path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="store must be a folder, .* is a file"):
        Store.open(tmp_path / "file")
    with pytest.raises(OSError, match="Not a directory"):
        Store.open(tmp_path / "file" / "study")


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"is no study and not empty, it holds 'thesis.tex'"):
        Store.open(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_another_programs_manifest_is_left_alone(tmp_path):
    (tmp_path / "manifest.json").write_text('{"manifest_version": 3}')
    for start in (Store.open, Store.read):
        with pytest.raises(ValueError, match=r"damaged or another program's"):
            start(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == '{"manifest_version": 3}'


def test_no_study(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="there is no study here"):
            Store.read(path)
    assert os.listdir(tmp_path) == []


# Merging.


def test_merge(path, tmp_path):
    with Store.open(tmp_path / "other machine") as store:
        store.add([TASK, OTHER])
        store.write(TASK, tally(1000, 3000))
        store.write(TASK, tally(5000, 7500))
        store.write(OTHER, tally(0, 1000, OTHER))
    merge([path, tmp_path / "other machine"], tmp_path / "merged")
    merged = Store.read(tmp_path / "merged")
    assert merged.blocks(TASK) == tally(0, 7500)
    assert merged.blocks(OTHER) == tally(0, 1000, OTHER)
    assert merged.provenance == Store.read(path).provenance
    names = {file.name for file in block_files(tmp_path / "merged")}
    assert len(names) == 6
    merge([path, tmp_path / "merged"], tmp_path / "merged")
    assert {file.name for file in block_files(tmp_path / "merged")} == names


def test_merge_leaves_damaged_files_out_and_mends_its_own(path, three, tmp_path):
    block_files(path)[1].write_bytes(b"torn")
    with pytest.warns(UserWarning, match="not used"):
        merge([path], tmp_path / "merged")
    assert Store.read(tmp_path / "merged").blocks(TASK) == tally(0, 2000)
    assert len(block_files(tmp_path / "merged")) == 2
    with pytest.warns(UserWarning, match="not used"):
        merge([three], path)
    assert Store.read(path).blocks(TASK) == tally(0, 5000)


def test_merge_refuses_one_path_and_no_study(path, tmp_path):
    with pytest.raises(TypeError, match="sequence of paths, got one"):
        merge(str(path), tmp_path / "merged")
    with pytest.raises(FileNotFoundError, match="no study here"):
        merge([path, tmp_path / "nowhere"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


# URLs.


def test_url_without_fsspec(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"'memory://study' needs fsspec, .*pip install fsspec"):
        Store.read("memory://study")


def test_read_from_a_url(path, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(path), "/remote/study", recursive=True)
    reader = Store.read("memory://remote/study")
    assert reader.tasks == Store.read(path).tasks
    assert reader.blocks(TASK) == tally(0, 5000)
    assert reader.blocks(OTHER) is None
    merge(["memory://remote/study"], tmp_path / "merged")
    assert Store.read(tmp_path / "merged").blocks(TASK) == tally(0, 5000)
    memory.pipe(f"/remote/study/{block_files(path)[1].relative_to(path)}", b"torn")
    reader = Store.read("memory://remote/study/")
    with pytest.warns(UserWarning, match=r"memory://remote/study/.*torn or altered"):
        assert reader.blocks(TASK) == tally(0, 2000)
    with pytest.raises(FileNotFoundError, match="no study here"):
        Store.read("memory://remote/nothing")
    with pytest.raises(ValueError, match="nonsense"):
        Store.read("nonsense://study")
