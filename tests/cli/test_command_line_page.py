"""The commands of docs/command_line.md run, one after another, in one folder."""

import io
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from vgsim._cli.colours import plain

PAGE = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


LINES = "".join(blocks("sh")).splitlines()


@pytest.fixture
def shell(command, monkeypatch):
    """Run a line as a shell does: words in quotes, pipes and redirections."""

    def run(line):
        out = ""
        for part in re.split(r" \| ", line):
            words, text, target = shlex.split(part), out, None
            if "<" in words:
                text = Path(words[words.index("<") + 1]).read_text()
                words = words[: words.index("<")]
            if ">" in words:
                target = Path(words[words.index(">") + 1])
                words = words[: words.index(">")]
            assert words[0] == "vgsim"
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            code, out, err = command(*words[1:])
            assert code == 0, err
            assert "error" not in err
            if target is not None:
                target.write_text(out)
        return out

    return run


def test_all_commands_run(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, study = blocks("toml")
    Path("net.toml").write_text(net)
    Path("study.toml").write_text(study)
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    found = {line: shell(line) for line in LINES}
    silent = [line for line in LINES if " > " in line or " -o " in line]
    assert all(text for line, text in found.items() if line not in silent)
    assert all(
        Path(name).stat().st_size for name in ("run.png", "curves.pdf", "study.pdf", "report.html")
    )
    assert len(found) == len(LINES) > 15
    (shown,) = [text for line, text in found.items() if "vanishing<0.5" in line]
    assert all(row["vanishing"] < 0.5 for row in json.loads(shown)["rows"])
    jsonschema = pytest.importorskip("jsonschema")
    schema, output = (json.loads(Path(f"run{end}.json").read_text()) for end in (".schema", ""))
    jsonschema.validate(output, schema)


def test_the_errors_of_the_page(command):
    lines = re.findall(r"^    \$ (vgsim .*)\n    (.*)", PAGE, re.M)
    assert len(lines) == 2
    for line, message in lines:
        assert command(*line.split()[1:]) == (2, "", f"{message}\n")


def test_the_page_names_every_command_and_variable(command):
    out = plain(command("--help")[1])
    commands = re.findall(r"^  ([a-z]+) ", out.partition("commands:")[2].partition("\n\n")[0], re.M)
    assert re.findall(r"^\| ([a-z]+) +\|", PAGE, re.M) == commands
    for name in re.findall(r"^  ([A-Z_]+)\b", out, re.M):
        assert f"`{name}" in PAGE
    for code in ("0", "1", "2", "130"):
        assert re.search(rf"^\| {code} +\|", PAGE, re.M)
