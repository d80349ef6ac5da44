"""vgsim beside its peers: seconds for log10 ‖G_0‖ of one tanh network, float32, all paired."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np

import vgsim
from bench.pages import markdown
from bench.pairing import enough, median, ratio, rounds, timed
from bench.peers import PEERS
from bench.workers import all_cores, workers
from vgsim import _kernels

DEPTH = 500
STACKS = (1, 4, 16, 64, 256, 1024)
TURN_SECONDS = 0.1  # a turn repeats a short call this long
STACK_SECONDS = 0.7  # longer calls are not tried with a larger stack
CONTENDERS = 3  # peers that are measured in rounds; the others have the time of the search
ENGINES = {
    "matrix-free": ("matrix-free", "normal", (16, 64, 128, 512, 1024)),
    "dense, normal": ("dense", "normal", (64, 128, 256, 512)),
    "dense, uniform": ("dense", "uniform", (64, 128, 256, 512)),
}


def measure(quick: bool) -> dict:
    widths = (16, 128) if quick else (16, 64, 128, 256, 512, 1024)
    repeats = 3 if quick else 5
    with workers() as made:
        table = [
            at_width(made, width, law, repeats, quick)
            for width in widths
            for law in ("normal", "uniform")
            if law == "normal" or (64 <= width <= 512)
        ]
    return {"depth": DEPTH, "activation": "tanh", "dtype": "float32", "table": table}


def at_width(made, width, law, repeats, quick):
    """All of one width and law: search the peers' settings, then rounds of the fastest."""
    found = sorted(search(made, width, law, quick), key=lambda s: s["seconds"])
    on_one = [s for s in found if s["cores"] == 1]
    best_of = {}
    for setting in found:
        best_of.setdefault(setting["peer"], setting)
    contenders = list(best_of.values())[:CONTENDERS]
    contenders += [s for s in on_one[:1] if s not in contenders]

    statistics, turns = {}, {}
    for k, setting in enumerate(contenders):
        turns[k] = peer_turn(made, width, law, setting, statistics.setdefault(k, []))
    for name, (engine, engine_law, widths) in ENGINES.items():
        if engine_law == law and (width in widths):
            for cores in sorted({1, len(all_cores())}):
                turns[name, cores] = own_turn(
                    width, law, engine, cores, statistics.setdefault((name, cores), [])
                )
    seconds = rounds(turns, repeats)
    check_agreement(statistics)

    fastest = min(range(len(contenders)), key=lambda k: median(seconds[k]))
    fastest_on_one = contenders.index(on_one[0])
    for k, setting in enumerate(contenders):
        setting["seconds"], setting["rounds"] = median(seconds[k]), seconds[k]
    own = [
        {
            "engine": name,
            "cores": cores,
            "seconds": median(seconds[name, cores]),
            "rounds": seconds[name, cores],
            "peer": contenders[k]["peer"],
            "ratio": ratio(seconds[k], seconds[name, cores]),
        }
        for name, cores in [key for key in turns if isinstance(key, tuple)]
        for k in [fastest if cores > 1 or len(all_cores()) == 1 else fastest_on_one]
    ]
    return {"width": width, "law": law, "peers": list(best_of.values()), "own": own}


def search(made, width, law, quick):
    """Every peer on one core and on all, at its best stack: warmed up by a call, then timed."""
    room = available_bytes() / 5
    for peer, (library, _, stacks) in PEERS.items():
        for cores in sorted({1, len(all_cores())}):
            if (library, cores) not in made:
                continue
            best = None
            for stack in STACKS if stacks else (1,):
                threads = cores if library in ("numpy", "numba") else 1
                if 4 * DEPTH * width**2 * stack * threads > room:
                    break
                turn = made[library, cores].PeerTurn(peer, DEPTH, width, law, stack, cores)
                turn.run()
                seconds, values = turn.run()
                call = seconds * len(values)
                if call < TURN_SECONDS:
                    seconds = min(seconds, turn.run(math.ceil(TURN_SECONDS / 2 / call))[0])
                if best is None or seconds < best["seconds"]:
                    best = {"peer": peer, "cores": cores, "stack": stack, "seconds": seconds}
                if 4 * call > (STACK_SECONDS / 4 if quick else STACK_SECONDS):
                    break
            if best:
                yield best


def peer_turn(made, width, law, setting, statistics):
    worker = made[PEERS[setting["peer"]][0], setting["cores"]]
    turn = worker.PeerTurn(
        setting["peer"], DEPTH, width, law, setting["stack"], setting["cores"]
    )
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
    simulate = partial(
        vgsim.simulate, network, layers=[0], engine=engine, dtype="float32", n_threads=cores
    )
    count = enough(simulate, _kernels.lanes("float32") * cores, TURN_SECONDS)

    def run():
        def call():
            first = len(statistics)
            statistics.extend(simulate(count, first=first).gradient[:, 0])

        return timed(call, count)

    return run


def check_agreement(statistics):
    """All must have measured the same thing: their means agree within 6 standard errors."""
    values = {name: np.array(v, dtype=np.float64) for name, v in statistics.items()}
    everyone = np.concatenate(list(values.values()))
    for name, v in values.items():
        off = (v.mean() - np.mean(everyone)) / (everyone.std() / len(v) ** 0.5)
        if len(v) >= 10 and abs(off) > 6:
            raise AssertionError(f"{name}: mean statistic {v.mean():.3g} is {off:.1f} sigma off")


def available_bytes():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(s.split()[1]) << 10 for s in lines if s.startswith("MemAvailable:"))


def tables(results: dict) -> dict[str, str]:
    """`peers`: vgsim against the best peer; `all peers`: milliseconds a network of each."""
    ours = [
        (entry["width"], own) for entry in results["table"] for own in entry["own"]
    ]
    cores = max(own["cores"] for _, own in ours)
    summary = markdown(
        ["engine, weights", "width", "vgsim, ms", "best peer", "its ms", "times as fast", "on one core"],
        [
            [
                name if name == "matrix-free" else name,
                width,
                digits(1e3 * own["seconds"]),
                own["peer"],
                digits(1e3 * peer_seconds(results, width, name, own["peer"])),
                span(own["ratio"]),
                one_core(ours, width, name),
            ]
            for name in ENGINES
            for width, own in ours
            if own["engine"] == name and own["cores"] == cores
        ],
    )
    return {"peers": summary, "all peers": every_peer(results)}
