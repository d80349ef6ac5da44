"""Memory is estimated before it is taken."""

from __future__ import annotations

from pathlib import Path

__all__ = ["require_memory"]


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError, with what to change, if `needed` bytes for `what` are not to be had."""
    available = _available()
    if available is not None and needed > available:
        raise MemoryError(
            f"{what} needs about {needed / 2**30:.3g} GiB and {available / 2**30:.3g} GiB are "
            f"available: {remedy}"
        )


def _available() -> int | None:
    """Bytes that this process may still take, as far as the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        sizes.append(limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(sizes, default=None)
