"""vgsim beside its peers: time of log10 ‖G_0‖ of one tanh network in float32.

A search finds each peer's best stack on one core and on all. The fastest few, and vgsim, then take
turns for some rounds; ratios are of the same round. "On one core" compares vgsim with the peer that
is best there: that is also what as many independent processes as there are cores would give.
"""

from __future__ import annotations

import math
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
STACKS = (1, 4, 16, 64, 256, 1024)
TURN_SECONDS = 0.1  # a turn repeats a short call this long
STACK_SECONDS = 0.7  # a longer call is not tried with a larger stack
CONTENDERS = 3  # peers that are measured in rounds; the others keep the time of the search

# name: (engine, law of the weights, widths on all cores, widths on one core)
ENGINES = {
    "matrix-free": ("matrix-free", "normal", (16, 64, 128, 512, 1024), (16, 64, 128, 512, 1024)),
    "dense, normal": ("dense", "normal", (64, 128, 256, 512), (64, 128, 256)),
    "dense, uniform": ("dense", "uniform", (64, 128, 256, 512), (64, 128, 256)),
}


def measure(quick: bool) -> dict:
    widths = (16, 128) if quick else (16, 64, 128, 256, 512, 1024)
    with workers() as made:
        table = [
            at_width(made, width, law, quick)
            for law in ("normal", "uniform")
            for width in widths
            if any(law == own and width in all_widths for _, own, all_widths, _ in ENGINES.values())
        ]
    return {"depth": DEPTH, "cores": len(all_cores()), "table": table}


def at_width(made, width, law, quick):
    """All of one width and law: the search, then rounds of the fastest and of vgsim."""
    found = sorted(search(made, width, law, quick), key=lambda setting: setting["seconds"])
    best, best_on_one = {}, {}
    for setting in found:
        best.setdefault(setting["peer"], setting)
        if setting["cores"] == 1:
            best_on_one.setdefault(setting["peer"], setting)
    contenders = {"all": list(best.values())[:CONTENDERS], "one": list(best_on_one.values())[:1]}

    turns, statistics = {}, {}
    for setting in [s for group in contenders.values() for s in group]:
        name = setting_name(setting)
        if name not in turns:
            turns[name] = peer_turn(made, width, law, setting, statistics.setdefault(name, []))
    for engine, (kind, own_law, *widths) in ENGINES.items():
        for cores, where in zip((len(all_cores()), 1), widths, strict=True):
            name = engine, cores
            if own_law == law and width in where and name not in turns:
                values = statistics.setdefault(name, [])
                turns[name] = own_turn(width, law, kind, cores, values)
    seconds = rounds(turns, 3 if quick else 5)
    check_agreement(statistics)

    for setting in found:
        if setting_name(setting) in seconds:
            setting["rounds"] = seconds[setting_name(setting)]
            setting["seconds"] = median(setting["rounds"])
    comparisons = []
    for engine, cores in [name for name in turns if name[0] in ENGINES]:
        group = contenders["one" if cores == 1 else "all"]
        peer = min(group, key=lambda setting: setting["seconds"])
        own = seconds[engine, cores]
        comparisons.append(
            {"engine": engine, "cores": cores, "seconds": median(own), "rounds": own}
            | {"peer": peer, "ratio": ratio(peer["rounds"], own)}
        )
    return {"width": width, "law": law, "peers": list(best.values()), "vgsim": comparisons}


def setting_name(setting):
    return setting["peer"], setting["cores"], setting["stack"]


def search(made, width, law, quick):
    """Every peer on one core and on all, at its best stack: warmed up by a call, then timed."""
    room = available_bytes() / 5
    longest = STACK_SECONDS / 4 if quick else STACK_SECONDS
    for peer, (library, _, stacks) in PEERS.items():
        for cores in sorted({1, len(all_cores())} & {c for name, c in made if name == library}):
            tried = []
            for stack in STACKS if stacks else (1,):
                threads = cores if library in ("numpy", "numba") else 1
                if 4 * DEPTH * width**2 * stack * threads > room:
                    break
                turn = made[library, cores].PeerTurn(peer, DEPTH, width, law, stack, cores)
                turn.run()
                seconds, values = turn.run()
                call = seconds * len(values)
                if call < TURN_SECONDS:
                    seconds, _ = turn.run(math.ceil(TURN_SECONDS / 2 / call))
                tried.append({"peer": peer, "cores": cores, "stack": stack, "seconds": seconds})
                if 4 * call > longest:
                    break
            if tried:
                yield min(tried, key=lambda setting: setting["seconds"])


def peer_turn(made, width, law, setting, statistics):
    peer, cores, stack = setting_name(setting)
    turn = made[PEERS[peer][0], cores].PeerTurn(peer, DEPTH, width, law, stack, cores)
    turn.run()
    seconds, values = turn.run()
    repeats = math.ceil(TURN_SECONDS / (seconds * len(values)))

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
        return timed(
            lambda: statistics.extend(simulate(count, first=first).gradient[:, 0]), count
        )

    return run


def check_agreement(statistics):
    """All have measured the same thing: each mean is within 6 standard errors of vgsim's."""
    values = {name: np.array(v, dtype=np.float64) for name, v in statistics.items()}
    own = np.concatenate([v for name, v in values.items() if name[0] in ENGINES])
    for name, v in values.items():
        error = own.std() * (1 / len(v) + 1 / len(own)) ** 0.5
        if abs(v.mean() - own.mean()) > 6 * error:
            raise AssertionError(f"{name}: mean {v.mean():.4f}, vgsim's {own.mean():.4f} ± {error:.4f}")


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
            rows.append(
                [engine, width, digits(1e3 * own["seconds"])]
                + [own["peer"]["peer"], digits(1e3 * own["peer"]["seconds"]), span(own["ratio"])]
                + [span(one["ratio"]) if one else ""]
            )
    header = ["engine, weights", "width", "vgsim, ms", "best peer", "its ms", "times as fast"]
    peers = markdown([*header, "on one core"], sorted(rows, key=lambda row: row[:2]))

    columns = [(law, width) for law, width in entries]
    every = [
        [peer]
        + [
            next((cell(s) for s in entries[c]["peers"] if s["peer"] == peer), "") for c in columns
        ]
        for peer in PEERS
    ]
    names = [f"{width}" if law == "normal" else f"{width}, {law}" for law, width in columns]
    return {"peers": peers, "all peers": markdown(["width", *names], every)}


def cell(setting):
    how = f"{setting['cores']}×{setting['stack']}"
    return f"{digits(1e3 * setting['seconds'])} ({how}){'' if 'rounds' in setting else '*'}"
