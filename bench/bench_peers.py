"""vgsim and its peers: time of log10 ‖G_0‖ per tanh network in float32.

The peers are in two groups: those that draw every weight, and those with the law of the matrix-free
engine. A stack is the number of networks that a peer computes at once. A search finds the best
stack of each peer. The fastest peers of both groups and vgsim then run in turn for several rounds;
ratios are taken within a round. "On one core" compares with the fastest peer on one core; one
independent process per core would give the same ratio.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import vgsim
from bench.contest import attempt, compete, setting
from bench.law_peers import LAW_PEERS
from bench.pages import digits, markdown, span
from bench.pairing import ratio
from bench.peers import PEERS
from bench.workers import all_cores, workers
from vgsim import _kernels

DEPTH = 500
STACKS = (1, 8, 64, 512)
STACK_SECONDS = 0.6  # longest call that the search tries
LAW_STACKS = (16, 64, 256, 1024)
LAW_STACK_SECONDS = 2.0  # the best stack of these may take longer, at about 5 ns a number

# name: (engine, law of weights, widths on all cores, widths on one core)
ENGINES = {
    "matrix-free": ("matrix-free", "normal", (16, 64, 128, 512, 1024), (16, 64, 128, 512)),
    "matrix-free, avx2": ("matrix-free", "normal", (128, 512), (128, 512)),
    "dense, normal": ("dense", "normal", (64, 128, 256, 512), (64, 128, 256)),
    "dense, uniform": ("dense", "uniform", (64, 128, 256, 512), (64, 128, 256)),
}


def measure(quick: bool) -> dict:
    table = []
    with workers() as made:
        for width in (64,) if quick else (16, 64, 128, 256, 512, 1024):
            settings = search(made, width, STACKS[: 2 if quick else None])
            with_law = []
            if width in ENGINES["matrix-free"][2]:
                with_law = search_law(made, width, LAW_STACKS[: 2 if quick else None])
            table.append(compare(made, width, "normal", [*settings, *with_law], quick))
            if width in ENGINES["dense, uniform"][2]:
                make = peers_of(made, width, "uniform")
                again = [attempt(make, *setting(a)) for a in settings]
                table.append(compare(made, width, "uniform", again, quick))
    return {"depth": DEPTH, "cores": len(all_cores()), "table": table}


def peers_of(made, width, law):
    """Return the function that makes the turn of a peer from its name, cores and stack."""

    def make(peer, cores, stack):
        if peer in LAW_PEERS:
            return made[LAW_PEERS[peer][0], cores].LawTurn(peer, DEPTH, width, stack)
        return made[PEERS[peer][0], cores].PeerTurn(peer, DEPTH, width, law, stack, cores)

    return make


def compare(made, width, law, attempts, quick):
    """Return the timings of vgsim and the fastest peers in rounds.

    "vgsim" holds the comparisons with peers that draw weights. If peers with the law ran, "with the
    law" holds those of the matrix-free engine with them, and the gain of the law: the time of the
    fastest peer that draws weights over that of the fastest peer with the law.
    """
    network = vgsim.MLP(DEPTH, width, activation="tanh", init=f"lecun_{law}")
    narrower = _kernels.selected_isa() == "avx512"
    own = {
        (engine, cores): partial(
            simulate, network, kind, cores, "avx2" if "avx2" in engine else None
        )
        for engine, (kind, own_law, *widths) in ENGINES.items()
        for cores, where in zip((len(all_cores()), 1), widths, strict=True)
        if own_law == law and width in where and (narrower or "avx2" not in engine)
    }
    make = peers_of(made, width, law)
    found = compete(make, attempts, own, 3 if quick else 5, group=group)
    compared = found.pop("vgsim")
    found["vgsim"] = [c for c in compared if c["group"] == "weights"]
    with_law = [
        c for c in compared if c["group"] == "law" and c["engine"].startswith("matrix-free")
    ]
    if with_law:
        peers = {(c["engine"], c["cores"]): c["peer"]["rounds"] for c in found["vgsim"]}
        found["with the law"] = [
            c | {"gain": ratio(peers[c["engine"], c["cores"]], c["peer"]["rounds"])}
            for c in with_law
        ]
    return {"width": width, "law": law, **found}


def simulate(network, engine, cores, isa, count, first=0):
    """Simulate with an instruction set, that of the machine if it is None."""
    if isa is None:
        return vgsim.simulate(
            network, count, first=first, layers=[0], engine=engine, n_threads=cores
        )
    before = _kernels.selected_isa()
    _kernels.set_isa(isa)
    try:
        return simulate(network, engine, cores, None, count, first)
    finally:
        _kernels.set_isa(before)


def group(peer):
    return "law" if peer in LAW_PEERS else "weights"


def search(made, width, stacks):
    """Time every peer with normal weights at its best stack on all cores, and with it on one."""
    attempts, make, cores = [], peers_of(made, width, "normal"), len(all_cores())
    for peer, (library, _, stackable) in PEERS.items():
        if (library, cores) not in made:
            continue
        threads = cores if library in ("numpy", "numba") else 1
        best = best_stack(
            partial(attempt, make, peer, cores),
            stacks if stackable else (1,),
            STACK_SECONDS / threads / 8,
            available_bytes() / 5 / (4 * DEPTH * width**2 * threads),
        )
        if best:
            attempts.append(best)
            if cores > 1:
                attempts.append(attempt(make, peer, 1, best["stack"]))
    return attempts


def search_law(made, width, stacks):
    """Time every peer with the law at its best stack, on all cores and on one."""
    make = peers_of(made, width, "normal")
    largest = available_bytes() / 5 / (16 * DEPTH * width)  # four arrays of every layer
    attempts = [
        best_stack(partial(attempt, make, peer, cores), stacks, LAW_STACK_SECONDS / 4, largest)
        for peer, (library, _) in LAW_PEERS.items()
        for cores in sorted({1, len(all_cores())})
        if (library, cores) in made
    ]
    return [found for found in attempts if found]


def best_stack(call, stacks, seconds, largest):
    """Return the fastest of `call(stack)`; None if no stack fits.

    No stack is larger than `largest`; the search ends after a call that took `seconds`.
    """
    tried = []
    for stack in stacks:
        if stack > largest:
            break
        tried.append(call(stack))
        if tried[-1]["seconds"] * stack > seconds:
            break
    return min(tried, key=lambda found: found["seconds"], default=None)


def available_bytes():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def tables(results: dict) -> dict[str, str]:
    """Return the tables of both groups: vgsim and the fastest peer, and every peer.

    "peers" and "all peers" are those that draw weights, "law" and "law peers" those with the law.
    """
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
        [*header, "on one core"],
        sorted(rows, key=lambda row: (not row[0].startswith("matrix-free"), row[:2])),
    )

    named = {
        f"{width}" if law == "normal" else f"{width}, {law}": entry
        for (law, width), entry in entries.items()
    }
    made = {"peers": peers, "all peers": every_peer(PEERS, named)}
    if with_law := {n: entry for n, entry in named.items() if "with the law" in entry}:
        made["law"] = law_table(with_law, cores)
        made["law peers"] = every_peer(LAW_PEERS, with_law)
    return made


def law_table(entries, cores):
    """Return the table of vgsim and the fastest peer with the law."""
    rows = []
    every = [(engine, width) for engine in ENGINES for width in entries]
    for engine, width in every:
        own = {c["cores"]: c for c in entries[width]["with the law"] if c["engine"] == engine}
        if not own:
            continue
        best, one = own[cores], own.get(1)
        rows.append(
            [
                engine,
                width,
                digits(1e3 * best["seconds"]),
                best["peer"]["peer"],
                digits(1e3 * best["peer"]["seconds"]),
                *(span(c[part]) if c else "" for part in ("gain", "ratio") for c in (best, one)),
            ]
        )
    header = ["engine", "width", "vgsim, ms", "best peer with the law", "its ms"]
    gains = ["the law gives", "on one core", "the kernels give", "on one core"]
    return markdown([*header, *gains], rows)


def every_peer(peers, entries):
    """Return the table of the times of `peers`; `entries` are the measurements by their heading."""
    rows = []
    for peer in peers:
        found = [{f["peer"]: f for f in entry["peers"]}.get(peer) for entry in entries.values()]
        if any(found):
            rows.append([peer, *(cell(f) if f else "" for f in found)])
    return markdown(["width", *entries], rows)


def cell(found):
    """Milliseconds per network (cores × stack); a star if timed by the search only."""
    milliseconds = digits(1e3 * found["seconds"])
    return f"{milliseconds} ({found['cores']}×{found['stack']}){'' if 'rounds' in found else '*'}"
