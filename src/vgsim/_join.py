"""Two runs of the same network and seed as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vgsim._samples import IDENTITY, Samples


def join(a: Samples, b: Samples) -> Samples:
    """Return the samples of both runs, sorted by index: what ``a + b`` does.

    Raises
    ------
    ValueError
        If the runs differ in anything that changes a sample or in what they recorded, or if some
        index is in both.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._join import join
    >>> net = vgsim.MLP(depth=10, width=4)
    >>> join(vgsim.simulate(net, 2, first=6), vgsim.simulate(net, 3, first=1)).index
    array([1, 2, 3, 6, 7])
    """
    differences = "; ".join(
        f"{name} ({x!r} and {y!r})"
        for (name, x), y in zip(_identity(a).items(), _identity(b).values(), strict=True)
        if x != y
    )
    if differences:
        raise ValueError(f"these samples cannot be joined, they differ in {differences}")
    common = np.intersect1d(a.index, b.index, assume_unique=True)
    if common.size:
        raise ValueError(
            f"these samples cannot be joined, {common.size} of them are in both: "
            f"index {common[0]} to {common[-1]}"
        )
    index = np.concatenate([a.index, b.index])
    order = np.argsort(index, kind="stable")
    arrays: dict[str, Any] = {
        name: np.concatenate([array, b._arrays[name]])[order] for name, array in a._arrays.items()
    }
    return Samples(
        **{name: getattr(a, name) for name in IDENTITY},
        index=index[order],
        layers=a.layers,
        provenance=merged_provenance(a.provenance, b.provenance),
        elapsed=a.elapsed + b.elapsed,
        **arrays,
    )


def _identity(samples: Samples) -> dict[str, object]:
    return {
        **{name: getattr(samples, name) for name in IDENTITY},
        "layers": samples.layers.tolist(),
        "record": samples.record,
        "stream version": samples.provenance.get("stream_version"),
    }


def merged_provenance(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """Return both provenances; where they differ, both values, in alphabetical order.

    Examples
    --------
    >>> from vgsim._join import merged_provenance
    >>> merged_provenance({"isa": "avx512", "vgsim": "0.1"}, {"isa": "avx2", "vgsim": "0.1"})
    {'isa': 'avx2; avx512', 'vgsim': '0.1'}
    """
    merged = {**a, **b}
    for name in a.keys() & b.keys():
        if a[name] != b[name]:
            merged[name] = "; ".join(sorted({*a[name].split("; "), *b[name].split("; ")}))
    return merged
