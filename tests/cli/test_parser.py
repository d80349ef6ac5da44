"""Help, suggestions, colours and exit codes of the command."""

import io
import re
import subprocess
import sys

import pytest

import vgsim
from vgsim._cli import colours
from vgsim._cli.main import _parser

COMMANDS = list(_parser()._subparsers._group_actions[0].choices)
VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The environment without settings of colours."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


# help


def test_without_arguments_the_help_is_printed(command):
    code, out, err = command()
    assert (code, err) == (0, "")
    assert out == command("--help")[1]
    assert out.startswith("usage: vgsim [options] COMMAND ...\n")
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", out, re.M)


def test_the_help_says_the_exit_codes(command):
    out = command("--help")[1]
    table = out.partition("exit codes:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\d+) ", table, re.M) == ["0", "1", "2", "130"]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "help"])
def test_help_fits_80_columns(command, name):
    code, out, err = command(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: vgsim {name}")
    assert max(map(len, out.splitlines())) <= 80
    assert command("help", name) == (0, out, "")


def test_help_of_nothing_and_of_an_unknown_command(command):
    assert command("help") == command("--help")
    code, out, err = command("help", "rnu")
    assert (code, out) == (2, "")
    assert "unknown command 'rnu'; did you mean 'run'?" in err


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(command, option):
    assert command(option) == (0, f"vgsim {vgsim.__version__}\n", "")


# suggestions


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "vgsim: error: unknown command 'rnu'; did you mean 'run'?"),
        (["Show"], "vgsim: error: unknown command 'Show'; did you mean 'show'?"),
        (["quux"], "vgsim: error: unknown command 'quux'; the commands are run, depth, theory,"),
        (["--verison"], "vgsim: error: unknown option '--verison'; did you mean '--version'?"),
        (["run", "--activaton", "relu"], "unknown option '--activaton'; did you mean '--activat"),
        (["run", "--bias_std=1"], "unknown option '--bias_std'; did you mean '--bias-std'?"),
        (["run", "--norm", "bacth"], "--norm: 'bacth' is unknown (did you mean 'batch'?); the ch"),
        (["run", "--loss", "cross-entropy"], "is unknown (did you mean 'cross_entropy'?)"),
        (["run", "--rnn", "lsmt"], "argument --rnn: 'lsmt' is unknown (did you mean 'lstm'?)"),
        (["run", "--record", "activatoin"], "unknown (did you mean 'activation'?); the choices"),
        (["run", "--activation", "rleu"], "'rleu' is unknown (did you mean 'relu'?)"),
        (["collect", "x.toml", "--stor", "x"], "unknown option '--stor'; did you mean '--store'?"),
        (["schema", "rnu"], "'rnu' is unknown (did you mean 'run'?)"),
        (["run", "-x"], "vgsim run: error: unknown option '-x' (see vgsim run --help)"),
    ],
)
def test_a_misspelt_word_is_an_error_with_a_suggestion(command, arguments, message):
    code, out, err = command(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


@pytest.mark.parametrize("words", [["--gain", "-1"], ["--highway", "-2.5e-1", "--depth", "x"]])
def test_negative_numbers_are_no_options(command, words):
    assert "unknown option" not in command("run", *words)[2]


# colours


@pytest.mark.parametrize(
    ("variables", "terminal", "pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colours_are_for_terminals(environment, variables, terminal, pipe):
    for name, value in variables.items():
        environment.setenv(name, value)
    assert colours.coloured(Terminal()) is terminal
    assert colours.coloured(io.StringIO()) is pipe


SMALL = ["--activation", "sigmoid", "--depth", "2", "100", "--width", "8", "--samples", "50"]


def test_large_probabilities_of_a_table_are_coloured(command, environment):
    plain = command("run", *SMALL)[1]
    assert "\x1b" not in plain
    environment.setenv("FORCE_COLOR", "1")
    out = command("run", *SMALL)[1]
    (found,) = re.findall(r"^.*\x1b.*$", out, re.M)
    assert re.match(r"  100 +\x1b\[36m1\x1b\[0m \(> 0\.92\) +0 \(< 0\.08\)", found)
    exploding = command("run", *SMALL, "--activation", "linear", "--gain", "9")[1]
    assert "\x1b[31m1\x1b[0m (> 0.92)" in exploding
    without = [re.sub(r"\d+\.\d+s", "", colours.plain(text)) for text in (out, plain)]
    assert without[0] == without[1]


@pytest.mark.parametrize("name", ["depth", "theory"])
def test_tables_of_other_commands_are_coloured(command, environment, name):
    environment.setenv("FORCE_COLOR", "1")
    words = SMALL if name == "depth" else [*SMALL[:-4], "--width", "400"]
    lines = re.findall(r"^.*\x1b.*$", command(name, *words)[1], re.M)
    (line,) = [line for line in lines if line.startswith("  100 ")]
    assert line.count("\x1b[36m1") == 1


@pytest.mark.parametrize("format", ["json", "csv", "markdown", "latex"])
def test_other_formats_have_no_colours(command, environment, format):
    environment.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in command("run", *SMALL, f"--{format}")[1]


def test_errors_and_help_are_coloured(command, environment):
    environment.setenv("FORCE_COLOR", "1")
    assert command("run", "--gain", "0")[2].startswith("vgsim run: \x1b[1;31merror:\x1b[0m --gain")
    assert command("rnu")[2].startswith("vgsim: \x1b[1;31merror:\x1b[0m unknown command")
    coloured = command("run", "--help")[1]
    assert coloured.startswith("\x1b[1musage:\x1b[0m vgsim run")
    assert "  \x1b[36m--gain\x1b[0m X ..." in coloured
    environment.setenv("NO_COLOR", "1")
    assert command("run", "--help")[1] == colours.plain(coloured)


def test_what_is_no_table_is_not_coloured():
    text = "P(vanishing) was 1.0\n   1.0 of them"
    assert colours.table(text) == text
    text = "depth  P(vanishing)  theory\n    5             -    1.00\n   50  < 1e-6             1"
    assert colours.table(text) == text


# standard input


NET = 'kind = "Sequential"\nwidth = 4\nlayers = ["tanh", {kind = "Linear", gain = [1, 2]}]\n'


@pytest.fixture
def piped(monkeypatch, command):
    """Run the command with text on its standard input."""

    def run(text, *arguments):
        stream = io.TextIOWrapper(io.BytesIO(text.encode()))
        monkeypatch.setattr(sys, "stdin", stream)
        return command(*arguments)

    return run


@pytest.mark.parametrize("words", [["run", "-", "--samples", "5"], ["theory", "-"]])
def test_a_network_from_the_standard_input(piped, command, tmp_path, words):
    (path := tmp_path / "net.toml").write_text(NET)
    code, out, err = piped(NET, *words, "--csv")
    assert (code, err) == (0, "")
    words[1] = str(path)
    expected = command(*words, "--csv")[1]
    seconds = re.compile(r"[\d.e-]+$", re.M)
    assert seconds.sub("", out) == seconds.sub("", expected)


def test_a_study_from_the_standard_input(piped, tmp_path):
    text = "max_samples = 1000\n[[sweep]]\nwidth = 4\ndepth = [2, 3]\n"
    words = "collect", "-", "--store", tmp_path / "x", "--quiet", "--csv"
    code, out, err = piped(text, *words)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 3
    code, out, err = piped(text.replace("width", "widht"), *words)
    assert (code, out) == (2, "")
    assert err.startswith("standard input: sweep[0].widht is unknown, did you mean 'width'?")


def test_a_standard_input_that_is_closed(monkeypatch, command):
    monkeypatch.setattr(sys, "stdin", None)
    assert command("run", "-") == (2, "", "vgsim run: error: standard input is closed\n")


@pytest.mark.parametrize("words", ["run --out -", "replay --out -", "export x -"])
def test_binary_files_are_not_for_the_standard_output(command, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*words.split())
    assert (code, out) == (2, "")
    assert "'-' is not allowed" in err
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_error():
    words = "run --activation tanh --depth 2 3 --width 4 --samples 5 | head -1 >/dev/null"
    script = f"{sys.executable} -m vgsim {words}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() in ("0", "1")
    assert done.stderr == ""
