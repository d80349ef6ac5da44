"""Cost of a technique: time per layer of vgsim on one thread, and its ratio to a plain network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import vgsim
from bench.pages import digits, markdown, span
from bench.pairing import enough, median, ratio, rounds, timed
from vgsim import _kernels

WIDTHS = (128, 512)
BATCHES = (4, 32)
DEPTH = 200  # of a batch of one
BATCH_DEPTHS = {"matrix-free": 50, "dense": 10}
RELU = {"activation": "relu", "init": "he_normal"}
TANH = {"activation": "tanh", "init": "lecun_normal"}
CHAOTIC = TANH | {"gain": 2.0}  # gradients grow, so that clipping acts in every layer
STYLES = ("activated", "linear", "post", "pre")

# name: (fields, arguments of simulate)
PLAIN = {
    "tanh": (TANH, {}),
    "relu": (RELU, {"engine": "matrix-free"}),
    "tanh, gain 2": (CHAOTIC, {}),
    "tanh, dense": (TANH, {"engine": "dense"}),
}
# name: (plain network for comparison, further fields, arguments of simulate)
SINGLE = {
    "bias": ("tanh", {"bias_std": 0.1}, {}),
    "orthogonal": ("tanh", {"init": "orthogonal"}, {}),
    "layer norm": ("tanh", {"norm": "layer"}, {}),
    "rms norm": ("tanh", {"norm": "rms"}, {}),
    "highway": ("tanh", {"highway": vgsim.Highway()}, {}),
    **{
        f"residual, {style}": ("relu", {"residual": vgsim.Residual(2, style=style)}, {})
        for style in STYLES
    },
    "clip by norm": ("tanh, gain 2", {"clip": vgsim.ClipNorm(1.0)}, {}),
    "clip by value": ("tanh, gain 2", {"clip": vgsim.ClipValue(0.1)}, {}),
    "mse": ("tanh", {}, {"loss": "mse"}),
    "cross-entropy": ("tanh", {}, {"loss": "cross_entropy"}),
}
RECURRENT = "RNN, per step"
BATCHED = {
    "plain": {},
    "batch norm": {"norm": "batch"},
    "layer norm": {"norm": "layer"},
    "residual": {"residual": vgsim.Residual(2)},
}


def measure(quick: bool) -> dict:
    turn_seconds, repeats = (0.02, 2) if quick else (0.1, 5)
    turn = partial(per_layer, turn_seconds=turn_seconds)
    single = [of_single(width, turn, repeats) for width in WIDTHS]
    batched = [
        of_batch(width, batch, engine, turn, repeats)
        for engine in BATCH_DEPTHS
        for width in (WIDTHS[:1] if quick else WIDTHS)
        for batch in BATCHES
    ]
    return {"single": single, "batched": batched}


def of_single(width, turn, repeats):
    """Return the costs of all techniques for a batch of one."""
    turns = {
        name: turn(vgsim.MLP(depth_of(run), width, **law), **run)
        for name, (law, run) in PLAIN.items()
    }
    beside = {name: name for name in PLAIN}
    for name, (plain, more, run) in SINGLE.items():
        turns[name] = turn(vgsim.MLP(DEPTH, width, **PLAIN[plain][0] | more), **run)
        beside[name] = plain
    turns[RECURRENT] = turn(vgsim.RNN(DEPTH, width))
    beside[RECURRENT] = "tanh, dense"
    return {"width": width, "costs": costs(rounds(turns, repeats), beside)}


def depth_of(run):
    """Return the depth of a plain network; smaller for the dense engine, which is slower."""
    return BATCH_DEPTHS["dense"] if run.get("engine") == "dense" else DEPTH


def of_batch(width, batch, engine, turn, repeats):
    """Return the costs of techniques in ReLU networks for a batch, with one engine."""
    depth = BATCH_DEPTHS[engine]
    turns = {
        name: turn(vgsim.MLP(depth, width, **RELU | more), batch_size=batch, engine=engine)
        for name, more in BATCHED.items()
    }
    s = rounds(turns, repeats)
    beside = dict.fromkeys(BATCHED, "plain")
    return {"width": width, "batch": batch, "engine": engine, "costs": costs(s, beside)}


def costs(seconds: Mapping[str, list[float]], beside: Mapping[str, str]) -> list[dict]:
    """Return seconds per layer, and the ratio to the plain network within a round."""
    return [
        {"name": name, "beside": plain, "seconds": median(seconds[name])}
        | {"ratio": ratio(seconds[name], seconds[plain])}
        for name, plain in beside.items()
    ]


def per_layer(network, *, turn_seconds, **arguments):
    """Return a turn: seconds per layer of a network, with full lane groups."""
    simulate = partial(vgsim.simulate, network, layers=[0], n_threads=1, **arguments)
    count = enough(simulate, _kernels.lanes("float32"), turn_seconds)
    return lambda: timed(lambda: simulate(count), count * network.depth)


def tables(results: dict) -> dict[str, str]:
    """`cost`: batches of one. `cost of batches`: by engine, width and batch size."""
    single, batched = results["single"], results["batched"]
    header = ["1 thread", "compared with"]
    rows = [[cost["name"], cost["beside"]] for cost in single[0]["costs"]]
    for entry in single:
        header += [f"{entry['width']} units: µs per layer", "ratio"]
        for row, cost in zip(rows, entry["costs"], strict=True):
            row += [digits(1e6 * cost["seconds"]), over_plain(cost)]
    by_batch = [
        [f"{entry['engine']}, {entry['width']}, {entry['batch']}"]
        + [digits(1e6 * entry["costs"][0]["seconds"])]
        + [over_plain(cost) for cost in entry["costs"][1:]]
        for entry in batched
    ]
    names = [f"{name}: ratio" for name in BATCHED][1:]
    title = ["engine, width, batch", "plain, µs per layer"]
    return {
        "cost": markdown(header, rows),
        "cost of batches": markdown([*title, *names], by_batch),
    }


def over_plain(cost):
    return "" if cost["name"] == cost["beside"] else span(cost["ratio"])
