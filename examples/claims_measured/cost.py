"""The claim on the balance of cost and benefit: time per layer, and the depth that it buys."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import vgsim
from claims_measured.activations import mlp
from claims_measured.claim import Figure, Found, topic
from claims_measured.measurement import LEVEL, Measurement, case, median_of, rounded

claim = topic("Cost and benefit")
LAYERS, UNITS, EXAMPLES = 8, 256, 128  # of the timed networks
GRID = (5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560)


def cures() -> dict[str, tuple[dict[str, Any], bool]]:
    """Return the fields of the cures by name, and whether they add work to a layer."""
    scaled = vgsim.Residual(2, style="pre", branch="1/sqrt(blocks)")
    sigmoid: dict[str, Any] = {"activation": "sigmoid"}
    relu: dict[str, Any] = {"activation": "relu"}
    return {
        "sigmoid, layer norm": (sigmoid | {"norm": "layer"}, True),
        "sigmoid, batch norm": (sigmoid | {"norm": "batch"}, True),
        "sigmoid, highway −4": (sigmoid | {"highway": vgsim.Highway(-4)}, True),
        "sigmoid, skip connections": (sigmoid | {"residual": vgsim.Residual(2)}, True),
        "ReLU, batch norm": (relu | {"norm": "batch"}, True),
        "ReLU, scaled skip connections": (relu | {"residual": scaled}, True),
        "tanh, Glorot": ({"activation": "tanh"}, False),
        "ReLU, He": (relu, False),
        "SELU, LeCun": ({"activation": "selu"}, False),
    }


@claim(
    "Cost and benefit",
    "The cures cost much computation: a healthy gradient is paid for in every layer.",
    "The number is the time of a forward and a backward pass in PyTorch relative to that of a "
    "plain sigmoid network of the same size (8 layers of 256 units, 128 examples, one thread, "
    "processor time, the median over pairs of alternating runs); the claim holds from 1.5. Layer "
    "normalisation takes {0}. Gates need a second matrix. Everything else costs a quarter at most: "
    "normalisation, skip connections and activations are cheap beside the matrix product. The "
    "figure shows what they buy: the depth at which half of the networks of 128 units have "
    "vanished or exploded. Times depend on the machine, which is named at the end of this page.",
)
def cost(m: Measurement) -> Found:
    try:
        import torch
    except ImportError:
        raise ImportError("the claim cost-and-benefit needs PyTorch: pip install torch") from None
    torch.set_num_threads(1)
    plain = timed_pass(torch, {"activation": "sigmoid"})
    cases, points = [], [point(m, "sigmoid, Glorot", {"activation": "sigmoid"}, 1.0)]
    for name, (fields, adds_work) in cures().items():
        ratio = median_of(np.array(ratios(plain, timed_pass(torch, fields), 9 if m.quick else 31)))
        cases.append(case(name, "time factor per layer", ratio, (1.5, None), adds_work))
        points.append(point(m, name, fields, float(ratio.estimate)))
    caption = (
        "Depth at which half of the networks of 128 units have vanished or exploded (arrows: not "
        f"within {GRID[-1]:,} layers), and the time per layer relative to that of plain sigmoid."
    )
    return cases, Figure("points", caption, "critical depth", "", points)


def point(m: Measurement, name: str, fields: dict[str, Any], time_factor: float) -> dict[str, Any]:
    """Return a point of the figure: the time factor and the critical depth."""
    batched = fields.get("norm") == "batch"
    run: dict[str, Any] = {"batch_size": 32, "share": 0.05} if batched else {"share": 0.25}
    curve = m.depths(mlp(2, **fields), GRID[1:] if "residual" in fields else GRID, **run)
    found = [depth for event in ("vanishing", "exploding") if (depth := critical(curve, event))]
    if not found:
        return {"label": name, "x": rounded(time_factor), "beyond": int(curve.depths[-1])}
    depth = min(found, key=lambda each: each.estimate)
    numbers = {part: rounded(getattr(depth, part)) for part in ("estimate", "low", "high")}
    return {"label": name, "x": rounded(time_factor), **numbers}


def critical(curve: vgsim.DepthCurve, event: Any) -> vgsim.Estimate | None:
    """Return the critical depth of an event, None if it is not within the simulated depths."""
    if curve.probability(event).estimate[-1] < 0.5:
        return None
    return curve.critical_depth(event=event, confidence_level=LEVEL)


def timed_pass(torch: Any, fields: dict[str, Any]) -> Callable[[], float]:
    """Return a function that runs one forward and backward pass and returns its processor time."""
    sample = vgsim.replay(mlp(LAYERS, width=UNITS, **fields), batch_size=EXAMPLES)
    module = sample.to_torch().float()
    inputs = torch.randn(EXAMPLES, UNITS, requires_grad=True)
    direction = torch.randn(EXAMPLES, UNITS)

    def run() -> float:
        start = time.process_time()
        module(inputs).backward(direction)
        return time.process_time() - start

    run()
    return run


def ratios(plain: Callable[[], float], other: Callable[[], float], pairs: int) -> list[float]:
    """Return the ratios of the times of alternating runs, each the median of three."""
    return [
        statistics.median(other() for _ in range(3)) / statistics.median(plain() for _ in range(3))
        for _ in range(pairs)
    ]
