"""Long tables on a terminal, in a pager."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

from vgsim._cli import colours

__all__ = ["print_text"]

LESS = "FRSX"  # as git: leave if it fits, keep colours, do not wrap, do not clear the screen


def print_text(text: str, tables: bool = True, paged: bool = False) -> None:
    """Print text; with `tables` on a terminal in colours, with `paged` in a pager if it is long.

    The pager is that of the environment variable PAGER, by default less.

    Examples
    --------
    >>> from vgsim._cli.pager import print_text
    >>> print_text("depth  P(vanishing)")
    depth  P(vanishing)
    """
    if tables and colours.coloured(sys.stdout):
        text = colours.table(text)
    if not (paged and _is_long(text) and _page(text)):
        print(text, flush=True)


def _is_long(text: str) -> bool:
    """Return whether the output is a terminal that is too small for the text."""
    if not sys.stdout.isatty():
        return False
    screen = shutil.get_terminal_size()
    lines = [len(colours.plain(line)) for line in text.splitlines()]
    return len(lines) >= screen.lines or max(lines, default=0) > screen.columns


def _page(text: str) -> bool:
    """Show text in the pager; return whether there is one."""
    words = shlex.split(os.environ.get("PAGER", "less"))
    if not words or words == ["cat"] or os.environ.get("TERM") == "dumb":
        return False
    environment = {"LESS": LESS, **os.environ}
    try:
        pager = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment, text=True)
    except OSError:
        return False
    try:
        pager.communicate(f"{text}\n")
    except KeyboardInterrupt:  # the pager handles it itself
        pager.wait()
    return True
