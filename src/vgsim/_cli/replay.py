"""The command vgsim replay."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vgsim._checks import INDICES
from vgsim._cli.fields import networks_of
from vgsim._cli.network_text import heading, short_width, title
from vgsim._cli.run import check_new, checked_settings, technique_lines, writing
from vgsim._domains import checked_int
from vgsim._engine.progress import on_terminal
from vgsim._engine.simulate import simulate
from vgsim._networks.description import Network
from vgsim._results import npz
from vgsim._results.tables import Column, report, wrapped
from vgsim._twin.evaluate import evaluate
from vgsim._twin.replay import Replay
from vgsim._twin.replay import replay as replayed_sample

__all__ = ["replay"]


def replay(options: argparse.Namespace) -> None:
    """Replay one sample as explicit weights, evaluate it, and compare with the simulation."""
    network = _only(networks_of(options, [30], ["tanh"]), options.file)
    checked_settings(options, [network])
    checked_int("index", options.index, 0, INDICES - 1, "2**56 - 1")
    if options.out is not None:
        if options.out.suffix != ".npz":
            raise ValueError(f"--out {options.out} must end in .npz")
        check_new(options.out)
    common = {
        name: getattr(options, name) for name in ("batch_size", "inputs", "loss", "engine", "dtype")
    }
    simulated = simulate(
        network, 1, seed=options.seed, first=options.index, layers=options.layers, **common
    )
    progress = on_terminal()
    replayed = replayed_sample(network, options.seed, options.index, **common, progress=progress)
    evaluated = evaluate(
        network,
        replayed.parameters,
        replayed.inputs,
        replayed.output_gradient,
        layers=simulated.layers.tolist(),
        progress=progress,
    )
    wrote = _write_weights(options, replayed) if options.out is not None else ""
    law = heading(network)[-1]  # the init, or the layers
    first = f"{title(network)}, width {short_width(network)}, {law}"
    print(wrapped(first))
    for line in technique_lines(network, options.batch_size, options.loss):
        print(line)
    print(
        f"sample {options.index} of seed {options.seed}: log10 |G_l|, simulated "
        f"({simulated.engine}, {simulated.dtype}) and evaluated from its weights (float64)"
    )
    rows = sorted(
        zip(simulated.layers.tolist(), simulated.gradient[0], evaluated.gradient, strict=True)
    )
    ours, theirs = [float(x) for _, x, _ in rows], [float(x) for _, _, x in rows]
    off = ["0" if x == y else f"{y - x:.1e}" for x, y in zip(ours, theirs, strict=True)]
    digits = [8] * len(rows)
    columns = [
        Column("layer", "layer", [layer for layer, _, _ in rows]),
        Column("width", "width", [network.width_at(layer) for layer, _, _ in rows]),
        Column("simulated", "simulated", ours, decimals=digits),
        Column("weights", "weights", theirs, decimals=digits),
        Column("difference", "difference", off),
    ]
    print(f"\n{report(columns)}")
    if simulated.n_dead:
        print("\nthis network is dead: its G_0 is exactly zero")
    if wrote:
        print(f"\n{wrote}")


def _only(networks: Sequence[Network], file: Path | None) -> Network:
    """Return the only network; raise if a file describes several."""
    if len(networks) > 1:
        raise ValueError(
            f"{file} describes {len(networks)} networks: a replay is of one, so give every field "
            "one value"
        )
    return networks[0]


def _write_weights(options: argparse.Namespace, replayed: Replay) -> str:
    """Write the arrays to --out; return the line to print."""
    arrays: dict[str, Any] = {
        "inputs": replayed.inputs,
        "output_gradient": replayed.output_gradient,
    }
    if not replayed.weights:
        arrays |= replayed.parameters
        wrote = f"{len(replayed.parameters)} parameters by name"
    elif replayed.drive is not None:
        (W,), (b,) = replayed.weights, replayed.biases
        arrays |= {"W": W, "U": replayed.input_weights, "b": b, "drive": replayed.drive}
        wrote = "W, U, b and drive"
    else:
        layers = zip(replayed.weights, replayed.biases, strict=True)
        for l, (W, b) in enumerate(layers, start=1):
            arrays |= {f"W_{l}": W, f"b_{l}": b}
        for l, W in enumerate(replayed.gate_weights or (), start=1):
            arrays[f"W_T_{l}"] = W
        gates = ", W_T_l" if replayed.gate_weights else ""
        wrote = f"W_l{gates} and b_l for l = 1 ... D"
    names = ("seed", "index", "batch_size", "loss", "engine", "dtype")
    header = {
        "network": replayed.network.canonical_json(),
        **{name: getattr(options, name) for name in names},
    }
    with writing(options.out):
        npz.write(options.out, "vgsim.Replay", header, arrays)
    return f"wrote {options.out}: inputs, output_gradient, {wrote}"
