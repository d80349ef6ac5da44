"""Training: a stack of networks against a loop over seeds in PyTorch; the size of the stack.

All times are of steps alone: each contender has run once before, and JAX has compiled. They are
taken in rounds, in one process each in turn.
"""

from __future__ import annotations

from unittest import mock

import numpy as np

import vgsim
from bench.pages import digits, markdown, span
from bench.pairing import median, ratio, rounds, timed
from bench.workers import all_cores

DEPTH, MINIBATCH, ROWS, CLASSES = 20, 32, 1024, 10
WIDTHS = (32, 64)
STEPS = 100
RATE, MOMENTUM = 0.02, 0.9
TURN = 96  # networks of a turn of vgsim, at least
STACKS = (1, 4, 8, 16, 32, 64)


def measure(quick: bool) -> dict:
    widths, steps, repeats = (WIDTHS[:1], 10, 2) if quick else (WIDTHS, STEPS, 5)
    stacks = STACKS[2:4] if quick else STACKS
    return {
        "peers": [against_pytorch(width, steps, repeats) for width in widths],
        "stacks": [against_stacks(width, steps, repeats, stacks) for width in widths],
        "compilation": [compilation(width) for width in widths],
    }


def data(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random rows with random classes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, width)), rng.integers(0, CLASSES, ROWS)


def network(width: int) -> vgsim.Sequential:
    """Return DEPTH layers of He ReLU and a read-out."""
    layers = [vgsim.Linear(width, init="he_normal"), "relu"] * DEPTH
    return vgsim.Sequential(width, [*layers, vgsim.Linear(CLASSES)])


def trained(width: int, count: int, steps: int, first: int = 0) -> vgsim.Training:
    """Train `count` networks by vgsim."""
    return vgsim.train(
        network(width),
        count,
        first=first,
        data=data(width),
        steps=steps,
        batch_size=MINIBATCH,
        optimizer="momentum",
        learning_rate=RATE,
        every=steps,
    )


def chosen_stack(width: int) -> int:
    """Return the size of the stacks that vgsim chooses for many networks."""
    seen = []
    from vgsim._training import run

    choose = run.stack_sizes

    def spied(*arguments):
        seen.append(choose(*arguments)[0])
        return [1]

    with mock.patch.object(run, "stack_sizes", spied):
        trained(width, 10_000, 1)
    return seen[0]


def stacked(width: int, stack: int, steps: int, count: int):
    """Return a turn that trains networks in stacks of one size; it has run once."""
    from vgsim._training import run

    stacks = max(1, round(count / stack))

    def call():
        with mock.patch.object(run, "stack_sizes", return_value=[stack] * stacks):
            trained(width, stack * stacks, steps)

    call()
    return lambda: timed(call, stack * stacks * steps)


def pytorch_loop(width: int, steps: int, threads: int):
    """Return a turn that draws and trains one network in PyTorch; it has run once."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    X, y = (torch.tensor(a) for a in data(width))
    X = X.float()

    def call():
        torch.set_num_threads(threads)
        layers = [part for _ in range(DEPTH) for part in (nn.Linear(width, width), nn.ReLU())]
        model = nn.Sequential(*layers, nn.Linear(width, CLASSES))
        for layer in model[::2]:
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM)
        for _ in range(steps):
            rows = torch.randperm(ROWS)[:MINIBATCH]
            loss = F.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    call()
    return lambda: timed(call, steps)


def against_pytorch(width: int, steps: int, repeats: int) -> dict:
    """Return seconds per network and step of vgsim, with its own stack, and of PyTorch."""
    stack = chosen_stack(width)
    turns = {"vgsim": stacked(width, stack, steps, TURN)}
    for threads in sorted({1, len(all_cores())}):
        turns[f"PyTorch, {threads}"] = pytorch_loop(width, steps, threads)
    seconds = rounds(turns, repeats)
    ours = seconds.pop("vgsim")
    peer = min(seconds, key=lambda name: median(seconds[name]))
    return {
        "width": width,
        "seconds": median(ours),
        "peer": peer,
        "peer_seconds": median(seconds[peer]),
        "ratio": ratio(seconds[peer], ours),
    }


def against_stacks(width: int, steps: int, repeats: int, stacks: tuple[int, ...]) -> dict:
    """Return seconds per network and step of several sizes of stack, and of the chosen one."""
    chosen = chosen_stack(width)
    sizes = sorted({*stacks, chosen})
    seconds = rounds({str(s): stacked(width, s, steps, TURN) for s in sizes}, repeats)
    best = min(seconds, key=lambda size: median(seconds[size]))
    return {
        "width": width,
        "chosen": chosen,
        "best": int(best),
        "ratio": ratio(seconds[str(chosen)], seconds[best]),
        "seconds": {size: median(found) for size, found in seconds.items()},
    }


def compilation(width: int) -> dict:
    """Return the seconds by which a first call takes longer, as JAX compiles."""
    stack = 7  # of no other measurement
    first, second = (timed(lambda: trained(width, stack, 3), 1) for _ in range(2))
    return {"width": width, "seconds": first - second}


def tables(results: dict) -> dict[str, str]:
    """`training`: vgsim and PyTorch. `training stacks`: time against the size of the stack."""
    rows = [
        [
            f"{DEPTH} × {found['width']}",
            digits(1e6 * found["seconds"]),
            digits(1e6 * found["peer_seconds"]),
            span(found["ratio"]),
            digits(compiled["seconds"]),
        ]
        for found, compiled in zip(results["peers"], results["compilation"], strict=True)
    ]
    header = ["depth × width", "vgsim, µs", "PyTorch loop, µs", "times as fast", "compilation, s"]
    sizes = sorted({int(size) for found in results["stacks"] for size in found["seconds"]})
    every = [
        [
            f"{DEPTH} × {found['width']}",
            str(found["chosen"]),
            span(found["ratio"]),
            *(cell(found["seconds"].get(str(size))) for size in sizes),
        ]
        for found in results["stacks"]
    ]
    columns = ["depth × width", "chosen", "chosen over best", *(f"{size}, µs" for size in sizes)]
    return {"training": markdown(header, rows), "training stacks": markdown(columns, every)}


def cell(seconds: float | None) -> str:
    """Return microseconds as text; nothing if there was no measurement."""
    return "" if seconds is None else digits(1e6 * seconds)
