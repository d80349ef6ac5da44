"""Timings of vgsim and its fastest peers in rounds; ratios are taken within a round.

A setting of a peer is its name, its number of cores and the number of networks in its stack.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict

import numpy as np

from bench.pairing import enough, median, ratio, rounds, timed
from vgsim import _kernels

TURN_SECONDS = 0.15  # shorter calls are repeated for about this time
CONTENDERS = 3  # peers per group that are timed in rounds; the others have the search's time


def setting(found):
    return found["peer"], found["cores"], found["stack"]


def attempt(make, peer, cores, stack, clock="perf_counter"):
    """Return the time of a setting, after one call to warm up."""
    turn = make(peer, cores, stack)
    turn.run()
    seconds, values = turn.run(1, clock)
    call = seconds * len(values)
    if call < TURN_SECONDS:
        seconds, _ = turn.run(math.ceil(TURN_SECONDS / call), clock)
    return {"peer": peer, "cores": cores, "stack": stack, "seconds": seconds}


def compete(make, attempts, own, count, clock="perf_counter", group=lambda peer: "peers"):
    """Time vgsim and the fastest of `attempts` in `count` rounds.

    `own` are functions of the number of samples that simulate with vgsim, by engine and cores.
    `clock` is a function of `time`; "process_time" is for one core. `group` returns the group of a
    peer; vgsim is compared with the fastest peer of each group.
    Returns the best setting of each peer, and for each of `own` and each group the time of vgsim,
    the fastest peer and the ratio.
    """
    ranked = sorted(attempts, key=lambda found: found["seconds"])
    best = {found["peer"]: found for found in reversed(ranked)}
    groups = {}
    for found in ranked:
        groups.setdefault(group(found["peer"]), []).append(found)
    fastest = {
        name: [found for found in found_in if found in best.values()][:CONTENDERS]
        for name, found_in in groups.items()
    }
    fastest_on_one = {
        name: [found for found in found_in if found["cores"] == 1][:1]
        for name, found_in in groups.items()
    }
    on_one = any(cores == 1 for _, cores in own)

    statistics = defaultdict(list)
    turns = {name: own_turn(run, name[1], statistics[name], clock) for name, run in own.items()}
    for name in groups:
        for found in [*fastest[name], *(fastest_on_one[name] if on_one else [])]:
            if setting(found) not in turns:
                turns[setting(found)] = peer_turn(make, found, statistics[setting(found)], clock)
    seconds = rounds(turns, count)
    check_agreement(statistics, own)

    for found in attempts:
        if setting(found) in turns:
            found["rounds"] = seconds[setting(found)]
            found["seconds"] = median(found["rounds"])
    comparisons = []
    for engine, cores in own:
        ours = seconds[engine, cores]
        for name in groups:
            on_cores = fastest_on_one[name] if cores == 1 else fastest[name]
            timed_ones = [*on_cores, *(found for found in fastest[name] if found["cores"] == cores)]
            peer = min(timed_ones, key=lambda found: found["seconds"])
            comparisons.append(
                {"engine": engine, "cores": cores, "seconds": median(ours), "rounds": ours}
                | {"group": name, "peer": peer, "ratio": ratio(peer["rounds"], ours)}
            )
    return {"peers": list(best.values()), "vgsim": comparisons}


def peer_turn(make, found, statistics, clock):
    turn = make(*setting(found))
    _, values = turn.run()
    repeats = math.ceil(TURN_SECONDS / (found["seconds"] * len(values)))

    def run():
        seconds, values = turn.run(repeats, clock)
        statistics.extend(values)
        return seconds

    return run


def own_turn(simulate, cores, statistics, clock):
    now = getattr(time, clock)
    count = enough(simulate, _kernels.lanes("float32") * cores, TURN_SECONDS, now)

    def call():
        statistics.extend(simulate(count, first=len(statistics)).gradient[:, 0])

    def run():
        return timed(call, count, now)

    return run


def check_agreement(statistics, own):
    """Check that the mean of log10 ‖G_0‖ of each peer is within 6 standard errors of vgsim's."""
    values = {name: np.array(v, dtype=np.float64) for name, v in statistics.items()}
    ours = np.concatenate([values[name] for name in own])
    for name, v in values.items():
        error = ours.std() * (1 / len(v) + 1 / len(ours)) ** 0.5
        if abs(v.mean() - ours.mean()) > 6 * error:
            raise AssertionError(
                f"{name}: mean {v.mean():.4f}, vgsim's {ours.mean():.4f} ± {error:.4f}"
            )
