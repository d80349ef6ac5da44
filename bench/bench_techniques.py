"""Networks with techniques, orthogonal or recurrent weights: vgsim, its peers, plain networks.

As in bench_peers, a search for the best stack of each peer is followed by timings in rounds. Times
are per layer (or step) of a network.
"""

from __future__ import annotations

from functools import partial

import vgsim
from bench import technique_costs
from bench.bench_peers import ENGINES, STACKS, available_bytes, cell
from bench.contest import attempt, compete
from bench.pages import digits, markdown, span
from bench.technique_peers import (
    CELLS,
    GATE_BIAS,
    INPUT_STD,
    NORM_EPS,
    PEERS,
    TECHNIQUES,
    Technique,
)
from bench.workers import all_cores, workers

STACK_SECONDS = 1.0  # longest call that the search tries


def network(technique):
    """Return the network of vgsim with the same law as the networks of the peers."""
    kind, width, _, depth = technique
    if kind == "RNN":
        return vgsim.RNN(depth, width, init="orthogonal", input_std=INPUT_STD)
    if kind in CELLS:  # with the defaults, the law of bench/cell_peers.py
        return {"LSTM": vgsim.LSTM, "GRU": vgsim.GRU}[kind](depth, width)
    residual = vgsim.Residual(2, branch="1/sqrt(blocks)")
    choices = {
        "batch norm": {"norm": "batch", "norm_eps": NORM_EPS},
        "highway": {"highway": vgsim.Highway(GATE_BIAS)},
        "residual": {"residual": residual},
        "orthogonal": {"init": "orthogonal"},
    }[kind]
    law = ("relu", "he_normal") if kind in ("batch norm", "residual") else ("tanh", "lecun_normal")
    return vgsim.MLP(depth, width, **dict(zip(("activation", "init"), law, strict=True)) | choices)


def measure(quick: bool) -> dict:
    techniques, stacks = TECHNIQUES, STACKS[:3]
    if quick:
        techniques = [t._replace(depth=50) for t in TECHNIQUES if t.width == 128]
        stacks = STACKS[1:2]
    with workers() as made:
        table = [
            compare(made, technique, search(made, technique, stacks), quick)
            for technique in techniques
        ]
    costs = technique_costs.measure(quick)
    return {"cores": len(all_cores()), "table": table, "costs": costs}


def search(made, technique, stacks):
    """Time every peer at its best stack, on all cores and on one."""
    attempts = []
    room = available_bytes() / 5
    for peer, (library, _, stackable, kinds) in PEERS.items():
        if technique.kind not in kinds:
            continue
        for cores in sorted({1, len(all_cores())}):
            tried = []
            for stack in (stacks if stackable else (1,)) if (library, cores) in made else ():
                if 8 * technique.depth * technique.width**2 * stack > room:
                    break
                tried.append(attempt(peers_of(made, technique), peer, cores, stack))
                if tried[-1]["seconds"] * stack * STACKS[1] > STACK_SECONDS:
                    break
            attempts += sorted(tried, key=lambda found: found["seconds"])[:1]
    return attempts


def peers_of(made, technique):
    """Return the function that makes the turn of a peer from its name, cores and stack."""

    def make(peer, cores, stack):
        return made[PEERS[peer][0], cores].TechniqueTurn(peer, technique, stack, cores)

    return make


def compare(made, technique, attempts, quick):
    """Return the timings of vgsim and the fastest peers in rounds."""
    recurrent = technique.kind == "RNN" or technique.kind in CELLS
    engine = "dense, normal" if recurrent else "matrix-free"
    setting = {"batch_size": technique.batch, "layers": [0], "engine": ENGINES[engine][0]}
    own = {
        (engine, cores): partial(vgsim.simulate, network(technique), n_threads=cores, **setting)
        for cores in sorted({1, len(all_cores())})
    }
    found = compete(peers_of(made, technique), attempts, own, 2 if quick else 5)
    return technique._asdict() | found


def tables(results: dict) -> dict[str, str]:
    """`techniques`: vgsim and the fastest peer. `technique peers`: all peers. And the costs."""
    rows, names = [], []
    for entry in results["table"]:
        technique = Technique(*(entry[field] for field in Technique._fields))
        names.append(f"{technique.kind}, {technique.width}, {technique.batch}")
        one, own = entry["vgsim"][0], entry["vgsim"][-1]
        per_layer = 1e6 / technique.depth
        rows.append(
            [
                technique.kind,
                *technique[1:],
                digits(per_layer * own["seconds"]),
                own["peer"]["peer"],
                digits(per_layer * own["peer"]["seconds"]),
                span(own["ratio"]),
                span(one["ratio"]),
            ]
        )
    header = ["technique", "width", "batch", "layers", "vgsim, µs per layer", "best peer"]
    compared = markdown([*header, "best peer, µs per layer", "times as fast", "on one core"], rows)
    every = [
        [name]
        + [
            next((in_layers(f, entry) for f in entry["peers"] if f["peer"] == peer), "")
            for peer in PEERS
        ]
        for name, entry in zip(names, results["table"], strict=True)
    ]
    return {
        "techniques": compared,
        "technique peers": markdown(["technique, width, batch", *PEERS], every),
        **technique_costs.tables(results["costs"]),
    }


def in_layers(found, entry):
    """Microseconds per layer of a network (cores × stack); a star if timed by the search only."""
    return cell(found | {"seconds": 1e3 * found["seconds"] / entry["depth"]})
