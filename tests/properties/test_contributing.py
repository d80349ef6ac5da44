"""CONTRIBUTING.md names every file of the package, in the place where it is, and no other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
TREE = TEXT.split("## Where things are")[1].split("\n## ")[0]
SECTION = re.compile(r"^( {4}| {6})([\w/]+)/(?= |\n)", re.MULTILINE)
FILE = re.compile(r"(?<![\w/*])[\w/]+\.(?:py|typed)\b")


def sections():
    """Return the text of the tree by folder, with "src/vgsim" for the files outside of packages."""
    starts = [*SECTION.finditer(TREE)]
    ends = [match.start() for match in starts[1:]] + [len(TREE)]
    found = {}
    for match, end in zip(starts, ends, strict=True):
        folder = match[2] if len(match[1]) == 4 else f"src/vgsim/{match[2]}"
        found[folder] = TREE[match.end() : end]
    return found


SECTIONS = sections()
PACKAGES = [
    path.parent.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "src/vgsim").rglob("__init__.py"))
]


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_tree_names_the_modules_of_a_package(folder):
    named = set(FILE.findall(SECTIONS[folder])) - {"__init__.py"}
    there = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
    if folder == "src/vgsim":
        there |= {"py.typed"}
    assert named == there


@pytest.mark.parametrize("folder", ["verification", "bench"])
def test_the_tree_names_no_file_that_does_not_exist(folder):
    named = set(FILE.findall(SECTIONS[folder]))
    assert named
    assert all((ROOT / folder / name).exists() for name in named)


def test_the_tree_names_the_modules_beside_the_tests():
    named = set(FILE.findall(TREE.split("\n    tests/")[1].split("\n    tools/")[0]))
    assert {path.name for path in (ROOT / "tests").glob("*.py")} <= named


def test_the_tree_names_the_pages_of_the_documentation():
    named = set(re.findall(r"[\w/]+\.md\b", TREE.split("docs/conf.py")[1]))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages == {name.removeprefix("docs/") for name in named}


def test_the_reading_order_names_every_file_of_the_kernels():
    named = set(re.findall(r"vg_\w+\.[ch]\b", TEXT.split("## Reading the kernels")[1]))
    files = {
        path.name for path in (ROOT / "src/vgsim/_csrc").iterdir() if path.suffix in (".c", ".h")
    }
    assert named == {name for name in files if not re.fullmatch(r"vg_kernel_\w+\.c", name)}
