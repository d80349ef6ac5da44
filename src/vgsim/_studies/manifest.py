"""The manifest of a store: which tasks it is for, and what made their blocks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from vgsim._engine.settings import STREAM_VERSION
from vgsim._studies.blocks import BLOCK

__all__ = ["NAME", "pack", "unpack"]

NAME = "manifest.json"
FORMAT = 1
KIND = "vgsim study"


def pack(tasks: Mapping[str, dict[str, Any]], provenance: Iterable[dict[str, str]]) -> bytes:
    """Return the manifest's JSON: the tasks by their digests, and a checksum of it all.

    Examples
    --------
    >>> from vgsim import _manifest
    >>> _manifest.unpack(_manifest.pack({}, [{"isa": "avx2"}]), "runs/depth")["provenance"]
    [{'isa': 'avx2'}]
    """
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "kind": KIND,
        "stream_version": STREAM_VERSION,
        "block": BLOCK,
        "tasks": dict(tasks),
        "provenance": list(provenance),
    }
    manifest["checksum"] = _checksum(manifest)
    return json.dumps(manifest, indent=1, allow_nan=False).encode()


def unpack(data: bytes, where: str) -> dict[str, Any] | None:
    """Return a manifest from its bytes; None if they are damaged, or something else's.

    Raises
    ------
    ValueError
        If another version of vgsim wrote it, in another format; the message names `where`.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        return None
    version = manifest.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(
            f"{where} has format version {version}, this vgsim reads version {FORMAT}: upgrade it"
        )
    if manifest.pop("checksum", None) != _checksum(manifest):
        return None
    if manifest["block"] != BLOCK:
        raise ValueError(
            f"{where} has blocks of {manifest['block']} samples, this vgsim of {BLOCK}: use "
            "another folder, or the version that made it"
        )
    return manifest


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
