"""The commands in README.md, CONTRIBUTING.md and docs/: their programs, options and files exist."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from vgsim._cli.main import _parser

REDIRECTED = ("<", ">")
ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "verification/README.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page):
    """Return the words of all commands in ```sh blocks, without redirections of files."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    for line in filter(None, lines):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, "&&"]:
            if word not in ("&&", "|"):
                words.append(word)
                continue
            yield [
                word
                for before, word in zip(["", *words], words, strict=False)
                if word not in REDIRECTED and before not in REDIRECTED
            ]
            words = []


COMMANDS = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for words in commands(page)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_command(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "--inputs" in words:  # data that the page saves
        np.save(words[words.index("--inputs") + 1], np.zeros((2, 64)))
    if "--data" in words and (data := words[words.index("--data") + 1]) != "teacher":
        np.savez(data, X=np.zeros((2, 64)), y=[0, 1])
    if "vgsim" in words:
        given = _parser().parse_args(words[words.index("vgsim") + 1 :])
        assert given.function
        if getattr(given, "study", None) and "/" in str(given.study):
            assert (ROOT / given.study).is_file()
    elif "python" in words:
        program, *rest = words[words.index("python") + 1 :]
        if program == "-m":
            module = ROOT / rest[0]
            assert rest[0] in ("pytest", "mpi4py.futures") or (module / "__main__.py").is_file()
        elif program.endswith(".py"):
            assert (ROOT / program).is_file()
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"\[(\w+)\]", words[-1])
        settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert all(re.search(rf"^{extra} = \[", settings, re.M) for extra in extras)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_without_prompts_compiles(page):
    for block in blocks(page, "python"):
        if ">>> " not in block:
            compile(block, page.name, "exec")


def test_readme_begins_with_the_two_commands_of_ci():
    install, test = blocks(ROOT / "README.md", "bash")
    assert install.endswith("vgsim run --plot first.png\n")
    assert test.endswith("pytest tests\n")


def test_readme_and_the_site_begin_with_the_program_of_their_figure():
    script = (ROOT / "examples/gallery/depth.py").read_text(encoding="utf-8")
    program = script.split('"""\n\n')[1]
    assert "plot(" in program
    for page in ("README.md", "docs/index.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert (
            blocks(ROOT / page, "python")[0] == f'{program.rstrip()}.figure.savefig("depth.png")\n'
        )
        assert (ROOT / page).parent.joinpath(re.search(r"!\[.+?\]\((.+?)\)", text)[1]).is_file()
