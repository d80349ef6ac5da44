"""Files in TOML: their text, their values, and their errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from vgsim._cli.text_file import file_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["TomlError", "refuse", "toml_text", "toml_values"]


class TomlError(ValueError):
    """The errors of a file: one line for each, with the path of the key."""


def refuse(name: str, errors: Sequence[str]) -> None:
    """Raise the errors of a file, if there are any; `name` is that of the file.

    Raises
    ------
    TomlError
        With one line for every error.

    Examples
    --------
    >>> from vgsim._cli.toml_file import refuse
    >>> refuse("net.toml", ["width must be given", "depth must be given"])
    Traceback (most recent call last):
    vgsim._cli.toml_file.TomlError: net.toml: width must be given
    net.toml: depth must be given
    """
    if errors:
        raise TomlError("\n".join(f"{name}: {line}" for line in errors))


def toml_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file in UTF-8, or of the standard input if the path is ``-``.

    Raises
    ------
    TomlError
        If it is no regular file, too long, or not in UTF-8.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from vgsim._cli.toml_file import toml_text
    >>> toml_text("no such file.toml")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.toml'
    """
    try:
        return file_text(path, "TOML")
    except ValueError as error:
        raise TomlError(str(error)) from None


def toml_values(text: str, name: str) -> dict[str, Any]:
    """Return the values in a text; `name` is that of the file, for messages.

    Raises
    ------
    TomlError
        If the text is not TOML.

    Examples
    --------
    >>> from vgsim._cli.toml_file import toml_values
    >>> toml_values("width = 8", "net.toml")
    {'width': 8}
    """
    try:
        return tomllib.loads(text)
    except ValueError as error:  # not TOMLDecodeError if a number has very many digits
        raise TomlError(f"{name} is not TOML: {error}") from None
    except RecursionError:
        raise TomlError(f"{name} is not TOML: brackets are nested too deeply") from None
