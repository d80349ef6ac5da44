"""Plans: their working memory, and passes in segments, whatever the size of a lane group."""

import numpy as np

from vgsim import _kernels
from vgsim._engine import plan
from vgsim._engine.settings import Settings


def plan_of(network, threads=1, **choice):
    """Return the plan of `simulate` for a network."""
    return plan.Plan(network, Settings.checked(**choice).of(network), threads)


def cut_into_segments(monkeypatch, whole, size, stored):
    """Limit the stored fractions of a pass of the plan `stored`: its end, and one segment."""
    total = int(stored._place_bytes.sum())
    monkeypatch.setattr(plan, "WHOLE_BYTES", int(whole * total))
    monkeypatch.setattr(plan, "SEGMENT_BYTES", max(1, int(size * total)))


def scratch_bytes(plan, dtype):
    """Return the working memory of one thread in a run of a plan."""
    run = _kernels.Run(
        dtype,
        np.zeros(2, np.uint32),
        first=0,
        count=1,
        n_columns=0,
        n_weight_columns=0,
        n_saturation_columns=0,
        **dict.fromkeys(("column", "weight_column", "saturation_column")),
        **plan.fields,
        **dict.fromkeys(("gradient", "rms_min", "rms_max", "activation_rms", "saturation")),
        **dict.fromkeys(("weight_gradient", "update_ratio", "clipped")),
        output_gradient=np.empty(1),
        dead=np.empty(1, np.bool_),
    )
    return run.scratch_bytes
