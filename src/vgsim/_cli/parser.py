"""The parser of a command: short usage, help for any width, errors of one line."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from vgsim._cli.colours import coloured, helped, painted
from vgsim._cli.suggestions import unknown_choice, unknown_command, unknown_option
from vgsim._results.tables import WIDE

__all__ = ["Parser"]

NUMBER = re.compile(r"-\.?\d")  # so that --highway -1e1 is a value


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and name what a misspelt word may mean."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Formatter, **settings)
        self._negative_number_matcher = NUMBER
        self.color = False  # Python 3.14 would colour the text that `print_help` colours

    def has(self, option: str) -> bool:
        """Return whether the command has an option of that name."""
        return option in self._option_string_actions

    def format_help(self) -> str:
        """Return the help, with the usage on one line."""
        self.usage = self.usage or self._short_usage()
        return super().format_help()

    def print_help(self, file: Any = None) -> None:
        """Print the help, in colours on a terminal."""
        stream: TextIO = sys.stdout if file is None else file
        text = self.format_help()
        stream.write(helped(text) if coloured(stream) else text)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments as `argparse` does; an unknown option is an error."""
        words: Sequence[str] = sys.argv[1:] if args is None else args
        for word in words:
            name = word.partition("=")[0]
            if word == "--" or (self._subparsers and not word.startswith("-")):
                break
            is_option = word.startswith("-") and word != "-" and " " not in name
            if is_option and not (NUMBER.match(word) or self._knows(name)):
                self.error(unknown_option(name, self._option_string_actions))
        return super().parse_known_args(words, namespace)

    def _knows(self, name: str) -> bool:
        """Return whether a word is an option, such as ``--out``, ``-o`` or ``-ofile``."""
        return self.has(name) or (not name.startswith("--") and self.has(name[:2]))

    def error(self, message: str) -> NoReturn:
        """Print a message as one line, and exit with code 2."""
        what = painted("error:", "error", sys.stderr)
        self.exit(2, f"{self.prog}: {what} {message} (see {self.prog} --help)\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of the choices; say which one may be meant."""
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        if isinstance(action, argparse._SubParsersAction):
            self.error(unknown_command(str(value), choices))
        raise argparse.ArgumentError(action, unknown_choice(value, choices))

    def _short_usage(self) -> str:
        """Return the usage without optional options: ``vgsim show [options] FILE ...``."""
        words = [self.prog.replace("%", "%%"), "[options]"]
        for action in self._actions:
            name = action.metavar if isinstance(action.metavar, str) else action.dest
            if action.option_strings:
                if action.required:
                    words.append(f"{action.option_strings[-1]} {name}")
            elif isinstance(action, argparse._SubParsersAction):
                words.append(f"{name} ...")
            else:
                words.append({"?": f"[{name}]", "+": f"{name} ..."}.get(str(action.nargs), name))
        return " ".join(words)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """The format of help: paragraphs are filled, other lines stay; ``X ...`` for several values."""

    def __init__(self, prog: str, **settings: Any) -> None:
        columns = min(shutil.get_terminal_size().columns, WIDE + 2)
        super().__init__(prog, max_help_position=26, width=columns - 2, **settings)

    def _format_action(self, action: argparse.Action) -> str:
        """Format commands without a line for the placeholder COMMAND."""
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(self._format_action, action._get_subactions()))
        return super()._format_action(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Fill paragraphs without indented lines."""
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(
            paragraph
            if re.search(r"^ ", paragraph, re.MULTILINE)
            else textwrap.fill(paragraph, width, break_on_hyphens=False, break_long_words=False)
            for paragraph in paragraphs
        )

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """Return the values of an option: ``X ...`` in place of ``X [X ...]``."""
        several = action.nargs in (argparse.ONE_OR_MORE, argparse.ZERO_OR_MORE)
        if not several or isinstance(action.metavar, tuple):
            return super()._format_args(action, default_metavar)
        (name,) = self._metavar_formatter(action, default_metavar)(1)
        return f"{name} ..." if action.nargs == argparse.ONE_OR_MORE else f"[{name} ...]"
