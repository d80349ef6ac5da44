"""Suggestions for misspelt commands, options and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from vgsim._checks import listed

__all__ = ["did_you_mean", "unknown_choice", "unknown_command", "unknown_option"]

NEAR = 0.6  # of difflib: 1 is equal
LONGEST = 80  # characters of a word that are compared


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the known word that is closest to a misspelt one; "" if none is close.

    Examples
    --------
    >>> from vgsim._cli.suggestions import did_you_mean
    >>> did_you_mean("--activaton", ["--activation", "--init"]), did_you_mean("x", ["tanh"])
    ('--activation', '')
    """
    by_letters = {_letters(name): name for name in known}
    own = _letters(word[:LONGEST])
    near = get_close_matches(own, by_letters, 1, NEAR)
    near = near or [name for name in by_letters if len(own) > 2 and name.startswith(own)]
    return by_letters[near[0]] if near else ""


def _letters(word: str) -> str:
    """Return a word in lower case, without dashes before it and with dashes in it."""
    return word.lstrip("-").lower().replace("_", "-")


def unknown_command(word: str, known: Sequence[str]) -> str:
    """Return the message about an unknown command.

    Examples
    --------
    >>> from vgsim._cli.suggestions import unknown_command
    >>> unknown_command("rnu", ["run", "depth"])
    "unknown command 'rnu'; did you mean 'run'?"
    >>> unknown_command("train", ["run", "depth"])
    "unknown command 'train'; the commands are run, depth"
    """
    near = did_you_mean(word, known)
    return f"unknown command {word!r}; " + (
        f"did you mean {near!r}?" if near else f"the commands are {', '.join(known)}"
    )


def unknown_option(word: str, known: Iterable[str]) -> str:
    """Return the message about an unknown option.

    Examples
    --------
    >>> from vgsim._cli.suggestions import unknown_option
    >>> unknown_option("--bias_std", ["--gain", "--bias-std"])
    "unknown option '--bias_std'; did you mean '--bias-std'?"
    """
    near = did_you_mean(word, known)
    return f"unknown option {word!r}" + (f"; did you mean {near!r}?" if near else "")


def unknown_choice(word: object, known: Sequence[str]) -> str:
    """Return the message about a value that is none of the choices.

    Examples
    --------
    >>> from vgsim._cli.suggestions import unknown_choice
    >>> unknown_choice("bacth", ["batch", "layer"])
    "'bacth' is unknown (did you mean 'batch'?); the choices are 'batch', 'layer'"
    """
    near = did_you_mean(str(word), known)
    meant = f" (did you mean {near!r}?)" if near else ""
    return f"{word!r} is unknown{meant}; the choices are {listed(known)}"
