"""Costs of composed networks: lists against `MLP`, and the dense engine against matrix-free.

Times are processor times of one thread, which other programs on the machine slow down less.
"""

from __future__ import annotations

import time
from functools import partial

import vgsim
from bench.pages import digits, markdown, span
from bench.pairing import enough, median, ratio, rounds, timed
from vgsim import _kernels

DEPTH = 500
WIDTHS = (8, 128, 512)
COLUMNS = (4, 16, 32, 64, 128)
ENGINE_WIDTHS = (64, 256)
BLOCKS = 4  # of the lists for which the engines are compared
TURN_SECONDS = 0.1


def lists(n):
    """Return the lists of the same tanh network: one place per element, or per layer."""
    linear, tanh = vgsim.Linear(init="glorot_normal"), "tanh"
    return {"flat": [linear, tanh] * DEPTH, "grouped": [[linear, tanh]] * DEPTH}


def blocks(n):
    """Return blocks of composed networks of width n by name."""
    wide = [vgsim.Norm("layer"), vgsim.Linear(4 * n), "gelu", vgsim.Linear(n)]
    attend = [vgsim.Norm("layer"), vgsim.Attention(4)]
    return {
        "d → 4d → d": [vgsim.Skip(wide)],
        "attention": [vgsim.Skip(attend)],
        "transformer": [vgsim.Skip(attend), vgsim.Skip(wide)],
    }


def measure(quick: bool) -> dict:
    repeats = 2 if quick else 7
    seconds = TURN_SECONDS / 4 if quick else TURN_SECONDS
    compared = [of_lists(n, 4 * seconds, repeats) for n in (WIDTHS[1:2] if quick else WIDTHS)]
    engines = [
        of_engines(n, name, columns, seconds, repeats)
        for n in (ENGINE_WIDTHS[:1] if quick else ENGINE_WIDTHS)
        for name in blocks(n)
        for columns in COLUMNS
    ]
    return {"depth": DEPTH, "lists": compared, "engines": engines}


def turn(network, seconds, **arguments):
    """Return a turn: processor seconds of one thread per network."""
    simulate = partial(vgsim.simulate, network, layers=[0], n_threads=1, **arguments)
    count = enough(simulate, _kernels.lanes("float32"), seconds, time.process_time)
    return lambda: timed(lambda: simulate(count), count, time.process_time)


def of_lists(n, seconds, repeats):
    """Return the times of an MLP and of the same network as lists."""
    turns = {"MLP": turn(vgsim.MLP(DEPTH, n, activation="tanh", init="glorot_normal"), seconds)}
    for name, layers in lists(n).items():
        turns[name] = turn(vgsim.Sequential(n, layers), seconds)
    s = rounds(turns, repeats)
    ratios = {name: ratio(s[name], s["MLP"]) for name in turns if name != "MLP"}
    return {"width": n, "seconds": median(s["MLP"]), "ratios": ratios}


def of_engines(n, name, columns, seconds, repeats):
    """Return the times of both engines, and which of them "auto" takes."""
    tokens = columns if "attention" in name or "transformer" in name else 1
    network = vgsim.Sequential(n, blocks(n)[name] * BLOCKS, tokens=tokens)
    batch = {"batch_size": columns // tokens}
    turns = {
        engine: turn(network, seconds, engine=engine, **batch)
        for engine in ("matrix-free", "dense")
    }
    s = rounds(turns, repeats)
    return {
        "width": n,
        "blocks": name,
        "columns": columns,
        "seconds": {engine: median(s[engine]) for engine in s},
        "ratio": ratio(s["dense"], s["matrix-free"]),
        "auto": vgsim.simulate(network, 1, layers=[0], **batch).engine,
    }


def tables(results: dict) -> dict[str, str]:
    """`lists`: lists over MLP. `engines`: dense over matrix-free by columns."""
    per_layer = 1e6 / results["depth"]
    rows = [
        [entry["width"], digits(per_layer * entry["seconds"])]
        + [span(one) for one in entry["ratios"].values()]
        for entry in results["lists"]
    ]
    names = [f"{name} list over MLP" for name in results["lists"][0]["ratios"]]
    entries = {(e["width"], e["blocks"], e["columns"]): e for e in results["engines"]}
    columns = sorted({of for _, _, of in entries})
    by_columns = [
        [f"{name}, {n}", *(engine_cell(entries[n, name, of]) for of in columns)]
        for n, name in dict.fromkeys((n, name) for n, name, _ in entries)
    ]
    return {
        "lists": markdown(["width, 1 thread", "MLP, µs per layer", *names], rows),
        "engines of blocks": markdown(["blocks, width", *map(str, columns)], by_columns),
    }


def engine_cell(entry):
    """Return the time of the dense engine over that of matrix-free; a star if "auto" is dense."""
    star = "*" if entry["auto"] == "dense" else ""
    return span(entry["ratio"]) + star
