"""vgsim beside its peers: time of log10 ‖G_0‖ of one tanh network in float32.

A search finds each peer's best stack on one core and on all. The fastest few, and vgsim, then take
turns for some rounds; ratios are of the same round. "On one core" compares vgsim with the peer that
is best there: that is also what as many independent processes as there are cores would give.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

import vgsim
from bench.pages import digits, markdown, span
from bench.pairing import enough, median, ratio, rounds, timed
from bench.peers import PEERS
from bench.workers import all_cores, workers
from vgsim import _kernels

DEPTH = 500
STACKS = (1, 8, 64, 512)
TURN_SECONDS = 0.15  # a turn repeats a short call this long
STACK_SECONDS = 0.6  # a stack that would take longer is not tried
CONTENDERS = 3  # peers that are measured in rounds; the others keep the time of the search

# name: (engine, law of the weights, widths on all cores, widths on one core)
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
                again = [attempt(made, width, "uniform", *setting(a)) for a in settings]
                table.append(compare(made, width, "uniform", again, quick))
    return {"depth": DEPTH, "cores": len(all_cores()), "table": table}


def compare(made, width, law, attempts, quick):
    """Rounds of the fastest peers and of vgsim."""
    ranked = sorted(attempts, key=lambda found: found["seconds"])
    best = {found["peer"]: found for found in reversed(ranked)}
    fastest = [found for found in ranked if found in best.values()][:CONTENDERS]
    fastest_on_one = [found for found in ranked if found["cores"] == 1][:1]

    turns, statistics = {}, defaultdict(list)
    for engine, (kind, own_law, *widths) in ENGINES.items():
        for cores, where in zip((len(all_cores()), 1), widths, strict=True):
            if own_law == law and width in where and (engine, cores) not in turns:
                values = statistics[engine, cores]
                turns[engine, cores] = own_turn(width, law, kind, cores, values)
    own = list(turns)
    on_one = any(cores == 1 for _, cores in own)
    for found in [*fastest, *(fastest_on_one if on_one else [])]:
        if setting(found) not in turns:
            turns[setting(found)] = peer_turn(made, width, law, found, statistics[setting(found)])
    seconds = rounds(turns, 3 if quick else 5)
    check_agreement(statistics)

    for found in attempts:
        if setting(found) in turns:
            found["rounds"] = seconds[setting(found)]
            found["seconds"] = median(found["rounds"])
    comparisons = []
    for engine, cores in own:
        ours = seconds[engine, cores]
        group = fastest_on_one if cores == 1 else fastest
        peer = min(group, key=lambda found: found["seconds"])
        comparisons.append(
            {"engine": engine, "cores": cores, "seconds": median(ours), "rounds": ours}
            | {"peer": peer, "ratio": ratio(peer["rounds"], ours)}
        )
    return {"width": width, "law": law, "peers": list(best.values()), "vgsim": comparisons}


def setting(found):
    return found["peer"], found["cores"], found["stack"]


def search(made, width, stacks):
    """Every peer with normal weights at its best stack on all cores, and with that on one."""
    attempts = []
    room = available_bytes() / 5
    for peer, (library, _, stackable) in PEERS.items():
        tried = []
        cores = len(all_cores())
        for stack in (stacks if stackable else (1,)) if (library, cores) in made else ():
            threads = cores if library in ("numpy", "numba") else 1
            if 4 * DEPTH * width**2 * stack * threads > room:
                break
            found = attempt(made, width, "normal", peer, cores, stack)
            tried.append(found)
            if found["seconds"] * threads * stack * stacks[1] > STACK_SECONDS:
                break
        if tried:
            best = min(tried, key=lambda found: found["seconds"])
            attempts.append(best)
            if cores > 1:
                attempts.append(attempt(made, width, "normal", peer, 1, best["stack"]))
    return attempts


def attempt(made, width, law, peer, cores, stack):
    """One setting, warmed up by a call and then timed."""
    turn = made[PEERS[peer][0], cores].PeerTurn(peer, DEPTH, width, law, stack, cores)
    turn.run()
    seconds, values = turn.run()
    call = seconds * len(values)
    if call < TURN_SECONDS:
        seconds, _ = turn.run(math.ceil(TURN_SECONDS / call))
    return {"peer": peer, "cores": cores, "stack": stack, "seconds": seconds}


def peer_turn(made, width, law, found, statistics):
    peer, cores, stack = setting(found)
    turn = made[PEERS[peer][0], cores].PeerTurn(peer, DEPTH, width, law, stack, cores)
    _, values = turn.run()
    repeats = math.ceil(TURN_SECONDS / (found["seconds"] * len(values)))

    def run():
        seconds, values = turn.run(repeats)
        statistics.extend(values)
        return seconds

    return run


def own_turn(width, law, engine, cores, statistics):
    network = vgsim.MLP(DEPTH, width, activation="tanh", init=f"lecun_{law}")
    simulate = partial(vgsim.simulate, network, layers=[0], engine=engine, n_threads=cores)
    count = enough(simulate, _kernels.lanes("float32") * cores, TURN_SECONDS)

    def run():
        first = len(statistics)
        return timed(lambda: statistics.extend(simulate(count, first=first).gradient[:, 0]), count)

    return run


def check_agreement(statistics):
    """All have measured the same thing: each mean is within 6 standard errors of vgsim's."""
    values = {name: np.array(v, dtype=np.float64) for name, v in statistics.items()}
    own = np.concatenate([v for name, v in values.items() if name[0] in ENGINES])
    for name, v in values.items():
        error = own.std() * (1 / len(v) + 1 / len(own)) ** 0.5
        if abs(v.mean() - own.mean()) > 6 * error:
            raise AssertionError(
                f"{name}: mean {v.mean():.4f}, vgsim's {own.mean():.4f} ± {error:.4f}"
            )


def available_bytes():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def tables(results: dict) -> dict[str, str]:
    """`peers`: vgsim against the best peer. `all peers`: each at its best setting."""
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
    header = ["engine, weights", "width", "vgsim, ms", "best peer", "its ms", "times as fast"]
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
    """Milliseconds a network (cores × stack), with a star where only the search timed it."""
    milliseconds = digits(1e3 * found["seconds"])
    return f"{milliseconds} ({found['cores']}×{found['stack']}){'' if 'rounds' in found else '*'}"
