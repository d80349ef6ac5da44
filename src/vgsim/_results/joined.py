"""Parts of one run that are joined: what must agree, the order of the samples, the provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["joined_order", "merged_provenance"]


def joined_order(
    what: str, identities: Sequence[Mapping[str, Any]], indices: Sequence[NDArray[np.int64]]
) -> NDArray[np.intp]:
    """Return the positions of the samples of all parts, one part after the other, by index.

    Parameters
    ----------
    what : str
        The parts, for messages: "samples".
    identities : sequence of mapping
        What must be equal in all parts, by name.
    indices : sequence of ndarray of int
        The indices of the samples of each part, without repetitions.

    Raises
    ------
    ValueError
        If parts differ, or have an index in common.

    Examples
    --------
    >>> import numpy as np
    >>> from vgsim._results.joined import joined_order
    >>> joined_order("samples", [{}, {}], [np.array([5, 6]), np.array([1, 2])])
    array([2, 3, 0, 1])
    """
    ours = identities[0]
    for theirs in identities[1:]:
        differences = "; ".join(
            f"{name} ({ours[name]!r} and {theirs[name]!r})"
            for name in ours
            if ours[name] != theirs[name]
        )
        if differences:
            raise ValueError(f"these {what} cannot be joined: they differ in {differences}")
    index = np.concatenate(indices)
    order = np.argsort(index, kind="stable")
    ascending = index[order]
    common = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
    if common.size:
        of_them = f"{common.size} of them" if what == "samples" else f"{common.size} samples"
        raise ValueError(
            f"these {what} cannot be joined: {of_them} are in both, "
            f"index {common[0]} to {common[-1]}"
        )
    return order


def merged_provenance(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """Merge two provenances; different values are joined in alphabetical order.

    Examples
    --------
    >>> from vgsim._results.joined import merged_provenance
    >>> merged_provenance({"numpy": "2.4"}, {"numpy": "2.3", "isa": "avx2"})
    {'numpy': '2.3; 2.4', 'isa': 'avx2'}
    """
    merged = {**a, **b}
    for name in a.keys() & b.keys():
        if a[name] != b[name]:
            merged[name] = "; ".join(sorted({*a[name].split("; "), *b[name].split("; ")}))
    return merged
