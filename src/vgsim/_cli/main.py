"""The command vgsim: its arguments and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vgsim._cli import (
    depth,
    options,
    plot,
    replay,
    report,
    run,
    schema,
    study_options,
    theory,
    train,
)
from vgsim._cli.colours import painted
from vgsim._cli.fields import option_name, option_names
from vgsim._cli.help_texts import (
    DEPTH,
    DEPTH_MORE,
    HELP,
    REPLAY,
    RUN,
    RUN_MORE,
    SCHEMA,
    THEORY,
    THEORY_MORE,
    VGSIM,
    VGSIM_MORE,
)
from vgsim._cli.parser import Parser
from vgsim._cli.text_file import STDIN
from vgsim._engine.run import show_config
from vgsim._version import __version__

__all__ = ["main"]


OPTIONS = {  # of arguments whose options have another name
    "n_samples": "--samples",
    "n_threads": "--threads",
}
COMMAND_OPTIONS = {  # the same, for one command only
    "depth": {"dtype": "--event-dtype"},
    "merge": {"store": "--out"},
    "train": {
        "data[0]": "--data (X)",
        "data[1]": "--data (y)",
        "steps": "--steps",
        "clip": "--clip",
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after ``vgsim``; by default those of the process.

    Returns
    -------
    int
        The exit code: 0 if done, also if there are no arguments and the help is printed; 1 if the
        reader of the output closed it; 2 after an error (one line on stderr); 130 if interrupted.

    Examples
    --------
    >>> from vgsim._cli.main import main
    >>> main(["run", "--activation", "tanh", "--depth", "0"])
    2
    """
    command = "vgsim"
    if sys.stdout is None:  # the caller closed it
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    try:
        given, unknown = _parser().parse_known_args(_words(argv))
        unknown += _no_file(given)
        if unknown:
            given.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        command = f"vgsim {given.command}"
        with _warnings(command):
            given.function(given)
        sys.stdout.flush()
    except SystemExit as end:
        return int(end.code or 0)
    except (ValueError, TypeError, MemoryError, ImportError) as error:
        _print_error(command, _said(error, given))
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _print_error(command, str(error))
        return 2
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _words(argv: Sequence[str] | None) -> list[str]:
    """Return the arguments: without any those for the help, ``help run`` as ``run --help``."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        return ["--help"]
    return [*words[1:2], "--help"] if words[0] == "help" and len(words) <= 2 else words


def _print_error(command: str, message: str) -> None:
    what = painted("error:", "error", sys.stderr)
    print(f"{command}: {what} {message}", file=sys.stderr)


def _no_file(given: argparse.Namespace) -> list[str]:
    """Return the word that was taken as the file of the networks, if it is none."""
    file: Path | None = getattr(given, "file", None)
    if file is None or file.suffix == ".toml" or str(file) == STDIN:
        return []
    if file.suffix or file.exists():
        given.parser.error(f"{file} must end in .toml, if it is a file that describes networks")
    return [str(file)]


@contextmanager
def _warnings(command: str) -> Iterator[None]:
    """Print each warning, for example of damaged blocks, once, as a line on stderr."""
    printed = set()

    def line(message: Warning | str, *_: Any, **__: Any) -> None:
        what = painted("warning:", "warning", sys.stderr)
        if (text := f"{command}: {what} {message}") not in printed:
            printed.add(text)
            print(text, file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = line
        yield


def _said(error: Exception, given: argparse.Namespace) -> str:
    """Return the message of an error, which names the option instead of the argument."""
    argument = getattr(error, "argument", None)
    if argument is not None:
        names = option_names() | OPTIONS | COMMAND_OPTIONS.get(given.command, {})
        option = names.get(argument) or option_name(argument)
        if given.parser.has(option.split()[0]):
            return f"{option} {getattr(error, 'problem')}"  # noqa: B009
    return str(error) or "there is not enough memory"


def _parser() -> Parser:
    parser = Parser(prog="vgsim", description=VGSIM, epilog=VGSIM_MORE)
    version = f"vgsim {__version__}"
    parser.add_argument(
        "-V", "--version", action="version", version=version, help="print the version and exit"
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    run_parser = commands.add_parser(
        "run",
        help="estimate the probability of vanishing, exploding and dead gradients",
        description=RUN,
        epilog=RUN_MORE,
    )
    options.add_run_options(run_parser)
    run_parser.set_defaults(function=run.run, parser=run_parser)
    depth_parser = commands.add_parser(
        "depth",
        help="the probability of an event against depth, critical depth and depth scale",
        description=DEPTH,
        epilog=DEPTH_MORE,
    )
    options.add_depth_options(depth_parser)
    depth_parser.set_defaults(function=depth.depth, parser=depth_parser)
    theory_parser = commands.add_parser(
        "theory",
        help="predictions of theory, without simulation",
        description=THEORY,
        epilog=THEORY_MORE,
    )
    options.add_theory_options(theory_parser)
    theory_parser.set_defaults(function=theory.theory, parser=theory_parser)
    train.add_train_command(commands)
    replay_parser = commands.add_parser(
        "replay", help="one simulated network as explicit weights", description=REPLAY
    )
    options.add_replay_options(replay_parser)
    replay_parser.set_defaults(function=replay.replay, parser=replay_parser)
    study_options.add_study_commands(commands)
    plot.add_plot_command(commands)
    report.add_report_command(commands)
    info_parser = commands.add_parser("info", help="versions, compiler and instruction set")
    info_parser.set_defaults(function=lambda _: show_config(), parser=info_parser)
    schema_parser = commands.add_parser(
        "schema", help="the JSON Schema of the output of --json", description=SCHEMA
    )
    schema.add_schema_options(schema_parser)
    schema_parser.set_defaults(function=schema.schema, parser=schema_parser)
    commands.add_parser("help", help="this help, or that of a command", description=HELP)
    return parser
