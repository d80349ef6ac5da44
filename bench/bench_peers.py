"""vgsim and its peers: time of log10 ‖G_0‖ per tanh network in float32.

A stack is the number of networks that a peer computes at once. A search finds the best stack of
each peer on all cores, which it also uses on one core. The fastest peers and vgsim then run in turn
for several rounds; ratios are taken within a round. "On one core" compares with the fastest peer on
one core; one independent process per core would give the same ratio.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import vgsim
from bench.contest import attempt, compete, setting
from bench.pages import digits, markdown, span
from bench.peers import PEERS
from bench.workers import all_cores, workers

DEPTH = 500
STACKS = (1, 8, 64, 512)
STACK_SECONDS = 0.6  # longest call that the search tries

# name: (engine, law of weights, widths on all cores, widths on one core)
ENGINES = {
    "matrix-free": ("matrix-free", "normal", (16, 64, 128, 512, 1024), (16, 64, 128)),
    "dense, normal": ("dense", "normal", (64, 128, 256, 512), (64, 128, 256)),
    "dense, uniform": ("dense", "uniform", (64, 128, 256, 512), (64, 128, 256)),
}


def measure(quick: bool) -> dict:
    table = []
    with workers() as made:
        for width in (64,) if quick else (16, 64, 128, 256, 512, 1024):
            settings = search(made, width, STACKS[: 2 if quick else None])
            table.append(compare(made, width, "normal", settings, quick))
            if width in ENGINES["dense, uniform"][2]:
                make = peers_of(made, width, "uniform")
                again = [attempt(make, *setting(a)) for a in settings]
                table.append(compare(made, width, "uniform", again, quick))
    return {"depth": DEPTH, "cores": len(all_cores()), "table": table}


def peers_of(made, width, law):
    """Return the function that makes the turn of a peer from its name, cores and stack."""

    def make(peer, cores, stack):
        return made[PEERS[peer][0], cores].PeerTurn(peer, DEPTH, width, law, stack, cores)

    return make


def compare(made, width, law, attempts, quick):
    """Return the timings of vgsim and the fastest peers in rounds."""
    network = vgsim.MLP(DEPTH, width, activation="tanh", init=f"lecun_{law}")
    own = {
        (engine, cores): partial(vgsim.simulate, network, layers=[0], engine=kind, n_threads=cores)
        for engine, (kind, own_law, *widths) in ENGINES.items()
        for cores, where in zip((len(all_cores()), 1), widths, strict=True)
        if own_law == law and width in where
    }
    found = compete(peers_of(made, width, law), attempts, own, 3 if quick else 5)
    return {"width": width, "law": law, **found}


def search(made, width, stacks):
    """Time every peer with normal weights at its best stack on all cores, and with it on one."""
    attempts, make = [], peers_of(made, width, "normal")
    room = available_bytes() / 5
    for peer, (library, _, stackable) in PEERS.items():
        tried = []
        cores = len(all_cores())
        for stack in (stacks if stackable else (1,)) if (library, cores) in made else ():
            threads = cores if library in ("numpy", "numba") else 1
            if 4 * DEPTH * width**2 * stack * threads > room:
                break
            found = attempt(make, peer, cores, stack)
            tried.append(found)
            if found["seconds"] * threads * stack * stacks[1] > STACK_SECONDS:
                break
        if tried:
            best = min(tried, key=lambda found: found["seconds"])
            attempts.append(best)
            if cores > 1:
                attempts.append(attempt(make, peer, 1, best["stack"]))
    return attempts


def available_bytes():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def tables(results: dict) -> dict[str, str]:
    """`peers`: vgsim and the fastest peer. `all peers`: every peer at its best setting."""
    entries = {(entry["law"], entry["width"]): entry for entry in results["table"]}
    compared = {
        (own["engine"], own["cores"], width): own
        for (_, width), entry in entries.items()
        for own in entry["vgsim"]
    }
    cores = results["cores"]
    rows = []
    for (engine, n, width), own in compared.items():
        if n == cores:
            one = compared.get((engine, 1, width))
            peer = own["peer"]
            rows.append(
                [
                    engine,
                    width,
                    digits(1e3 * own["seconds"]),
                    peer["peer"],
                    digits(1e3 * peer["seconds"]),
                    span(own["ratio"]),
                    span(one["ratio"]) if one else "",
                ]
            )
    header = [
        "engine, weights",
        "width",
        "vgsim, ms",
        "best peer",
        "best peer, ms",
        "times as fast",
    ]
    peers = markdown(
        [*header, "on one core"], sorted(rows, key=lambda row: (row[0] != "matrix-free", row[:2]))
    )

    columns = [(law, width) for law, width in entries]
    every = [
        [peer]
        + [
            next((cell(found) for found in entries[c]["peers"] if found["peer"] == peer), "")
            for c in columns
        ]
        for peer in PEERS
    ]
    names = [f"{width}" if law == "normal" else f"{width}, {law}" for law, width in columns]
    return {"peers": peers, "all peers": markdown(["width", *names], every)}


def cell(found):
    """Milliseconds per network (cores × stack); a star if timed by the search only."""
    milliseconds = digits(1e3 * found["seconds"])
    return f"{milliseconds} ({found['cores']}×{found['stack']}){'' if 'rounds' in found else '*'}"
