"""The command vgsim schema; the layouts of the JSON output of all commands."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from vgsim._domains import Choice

__all__ = ["NAMES", "add_schema_options", "schema", "schema_text", "with_schema"]

NAMES = {
    "run": ("run",),
    "depth": ("depth",),
    "theory": ("theory",),
    "study": ("collect", "show"),
    "status": ("status",),
    "trainings": ("train", "show"),
    "training_status": ("status",),
}  # schemas, each with the commands whose --json has that layout
VERSION = 1


def add_schema_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``vgsim schema``."""
    parser.add_argument(
        "name", nargs="?", choices=tuple(NAMES), metavar="NAME", help=", ".join(NAMES)
    )


def schema(options: argparse.Namespace) -> None:
    """Print a schema, or the names of all."""
    if options.name is not None:
        print(schema_text(options.name))
        return
    for name, commands in NAMES.items():
        print(f"{name:17}{' and '.join(f'vgsim {command} --json' for command in commands)}")


def schema_text(name: str) -> str:
    """Return a schema as JSON.

    Raises
    ------
    ValueError
        If there is no schema of that name.

    Examples
    --------
    >>> import json
    >>> from vgsim._cli.schema import schema_text
    >>> json.loads(schema_text("run"))["properties"]["schema"]
    {'const': 'vgsim/run/1'}
    """
    chosen = Choice(tuple(NAMES)).check("name", name)
    file = files("vgsim._cli") / "schemas" / f"{chosen}.json"
    return file.read_text(encoding="utf-8").rstrip()


def with_schema(name: str, content: Mapping[str, Any]) -> str:
    """Return an object as JSON, its first key naming the schema and the version of that.

    Examples
    --------
    >>> from vgsim._cli.schema import with_schema
    >>> print(with_schema("run", {"rows": []}))
    {
      "schema": "vgsim/run/1",
      "rows": []
    }
    """
    whole = {"schema": f"vgsim/{name}/{VERSION}", **content}
    return json.dumps(whole, indent=2, allow_nan=False)
