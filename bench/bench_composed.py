"""Composed networks: a transformer in vgsim and in other libraries; costs of lists.

As in bench_peers, a search for the best stack of each peer is followed by timings in rounds, by the
clock and, on one core, by processor time too, which other programs on the machine slow down less.
"""

from __future__ import annotations

from functools import partial

import vgsim
from bench import composed_costs
from bench.bench_peers import available_bytes, cell
from bench.composed_peers import NORM_EPS, PEERS, Transformer
from bench.contest import attempt, compete
from bench.pages import digits, markdown, span
from bench.workers import all_cores, workers

TRANSFORMERS = (Transformer(256, 4, 16, 24), Transformer(64, 4, 16, 24))
STACKS = (1, 2, 4, 8, 16, 32)
STACK_SECONDS = 2.0  # longest call that the search tries


def network(transformer):
    """Return the network of vgsim with the same law as the networks of the peers."""
    n, heads, tokens, blocks = transformer
    norm = vgsim.Norm("layer", eps=NORM_EPS)
    block = [
        vgsim.Skip([norm, vgsim.Attention(heads)]),
        vgsim.Skip([norm, vgsim.Linear(4 * n), "gelu", vgsim.Linear(n)]),
    ]
    return vgsim.Sequential(n, block * blocks, tokens=tokens)


def measure(quick: bool) -> dict:
    transformers, stacks = TRANSFORMERS, STACKS
    if quick:
        transformers, stacks = [Transformer(64, 4, 16, 4)], STACKS[2:3]
    everywhere = sorted({1, len(all_cores())})
    with workers() as made:
        table = [
            transformer._asdict()
            | {"clock": clock}
            | compare(made, transformer, stacks, cores, clock, 2 if quick else 7)
            for transformer in transformers
            for clock, cores in (("perf_counter", everywhere), ("process_time", [1]))
        ]
    return {"table": table, "costs": composed_costs.measure(quick)}


def compare(made, transformer, stacks, counts, clock, repeats):
    """Return the timings of vgsim and the fastest peers on each number of cores."""

    def make(peer, cores, stack):
        return made[PEERS[peer][0], cores].ComposedTurn(peer, transformer, stack, cores)

    attempts = []
    room = available_bytes() / 10
    for peer, (library, _, stackable) in PEERS.items():
        for cores in counts if (library, 1) in made else ():
            tried = []
            for stack in stacks if stackable else (1,):
                if 4 * transformer.weights * stack > room:
                    break
                tried.append(attempt(make, peer, cores, stack, clock))
                if 2 * tried[-1]["seconds"] * stack > STACK_SECONDS:
                    break
            attempts += sorted(tried, key=lambda found: found["seconds"])[:1]
    own = {
        ("matrix-free", cores): partial(
            vgsim.simulate,
            network(transformer),
            layers=[0],
            engine="matrix-free",
            n_threads=cores,
        )
        for cores in counts
    }
    return compete(make, attempts, own, repeats, clock)


def tables(results: dict) -> dict[str, str]:
    """`composed`: vgsim and the fastest peer. `composed peers`: all peers. And costs of lists."""
    rows, every = [], []
    for entry in results["table"]:
        transformer = Transformer(*(entry[field] for field in Transformer._fields))
        for own in entry["vgsim"]:
            rows.append(
                [
                    *transformer,
                    f"{own['cores']}, {TIMES[entry['clock']]}",
                    digits(1e3 * own["seconds"]),
                    own["peer"]["peer"],
                    digits(1e3 * own["peer"]["seconds"]),
                    span(own["ratio"]),
                ]
            )
        every.append(
            [f"{transformer.width}, {TIMES[entry['clock']]}"]
            + [next((cell(f) for f in entry["peers"] if f["peer"] == p), "") for p in PEERS]
        )
    header = [*Transformer._fields, "cores, time", "vgsim, ms", "best peer", "best peer, ms"]
    return {
        "composed": markdown([*header, "times as fast"], rows),
        "composed peers": markdown(["width, time", *PEERS], every),
        **composed_costs.tables(results["costs"]),
    }


TIMES = {"perf_counter": "wall", "process_time": "processor"}
