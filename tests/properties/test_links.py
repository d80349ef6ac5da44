"""Links between README.md, docs/ and the other pages lead to files and headings that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("*/README.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
MADE = ("gallery/",)  # pages that sphinx-gallery makes of examples/gallery


def prose(page):
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The names that GitHub and MyST give to the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = [
    pytest.param(page, target, id=f"{page.relative_to(ROOT)}: {target}")
    for page in PAGES
    for target in sorted(set(LINK.findall(prose(page))))
    if "://" not in target
]


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_link(page, target):
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if path.startswith(MADE):
        assert (ROOT / "examples" / "gallery" / "GALLERY_HEADER.rst").is_file()
        return
    assert file.exists()
    if anchor:
        assert anchor in anchors(file)


def test_there_are_links_with_and_without_anchors():
    assert sum("#" in parameter.values[1] for parameter in LINKS) > 5
    assert len(LINKS) > 50
