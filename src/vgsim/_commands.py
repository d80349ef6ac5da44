"""What the commands vgsim run, replay and info do."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import vgsim
from vgsim import _npz
from vgsim._events import check_threshold
from vgsim._network import Network
from vgsim._progress import ProgressLine
from vgsim._samples import Samples
from vgsim._sampling import (
    INDICES,
    checked_data,
    checked_int,
    checked_record,
    checked_setting,
    data_digest,
)
from vgsim._spec import network_row, short_width, spec, technique, title, width
from vgsim._spec import networks as networks_of
from vgsim._stats import Probability, check_interval
from vgsim._table import (
    QUANTILES,
    QUANTILES_HEADING,
    Table,
    decimals,
    numbers_cell,
    probability_cell,
    seconds_cell,
)

COLUMNS = 100
EVENTS = ("vanishing", "exploding", "dead")


def run(options: argparse.Namespace) -> None:
    """Simulate every activation at every depth, and print what became of the gradient."""
    if options.out is None and (options.layers or options.record):
        raise ValueError("--layers and --record are about the file: give --out too")
    check_interval(options.confidence_level, options.method)
    check_threshold(options.threshold)
    networks = networks_of(options)
    check_setting(options, networks)
    for network in networks:
        checked_record(options.record or (), network)
    depth = min(network.depth for network in networks)
    checked_int("--layer", options.layer, 0, depth, f"depth = {depth}")
    for layer in options.layers or ():
        checked_int("each of --layers", layer, 0, depth, f"depth = {depth}")
    files = _files(options, networks)
    results = simulations(options, networks, files)
    printers = {"text": _print_text, "json": _print_json, "csv": _print_csv}
    printers[options.format](options, results)
    if options.out is not None:
        wrote = f"{len(files)} files in {options.out}" if len(files) > 1 else files[0]
        print(f"wrote {wrote}", file=sys.stdout if options.format == "text" else sys.stderr)


def check_setting(options: argparse.Namespace, networks: Sequence[Network]) -> None:
    """Refuse, before any work, what one of the networks does not allow."""
    for network in networks:
        checked_setting(network, options.batch_size, options.loss, options.engine)
        checked_data(options.inputs, network.widths[0], options.batch_size)


def _files(options: argparse.Namespace, networks: Sequence[Network]) -> list[Path] | list[None]:
    """Where each network's samples go; when this returns, files can be written there."""
    out: Path | None = options.out
    if out is None:
        return [None] * len(networks)
    if out.suffix == ".npz" and not out.is_dir():
        if len(networks) > 1:
            raise ValueError(
                f"--out {out} is one file, but there are {len(networks)} networks: "
                "name a folder, without .npz"
            )
        files = [out]
    else:
        if (out.suffix or out.exists()) and not out.is_dir():
            raise ValueError(
                f"--out {out} must end in .npz, or be a folder: one that exists, or a new one "
                "without a suffix"
            )
        names = [_file_name(options, network) for network in networks]
        with _writing(out):
            out.mkdir(parents=True, exist_ok=True)
        files = [out / name for name in names]
    for file in files:
        _check_new(file)
    return files


def _file_name(options: argparse.Namespace, network: Network) -> str:
    """Return a name that differs where the samples do."""
    activation = spec(network.activation)
    for mark in ":,=":
        activation = activation.replace(mark, "-")
    identity = [
        network.canonical_json(),
        str(options.seed),
        checked_setting(network, options.batch_size, options.loss, options.engine),
        options.dtype,
        str(options.batch_size),
        options.loss,
        data_digest(checked_data(options.inputs, network.widths[0])),
    ]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:8]
    depth = "steps" if isinstance(network, vgsim.RNN) else "depth"
    return f"{activation}-{depth}-{network.depth}-{digest}-first-{options.first}.npz"


def _check_new(file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise ValueError(f"--out: {file} exists, and is not overwritten: remove it or name another")
    with _writing(file):
        _npz.check_writable(file)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Have an OSError name --out and the path given there."""
    try:
        yield
    except OSError as error:
        raise OSError(f"--out {path}: {error.strerror or error}") from error


def simulations(
    options: argparse.Namespace, networks: Sequence[Network], files: Sequence[Path | None]
) -> Iterator[Samples]:
    """Simulate every network, with a line of progress on a terminal; write it if it has a file."""
    layers = tuple(dict.fromkeys([*(options.layers or ()), options.layer]))
    clipped = ["clipped"] if networks[0].clip else []
    record = tuple(dict.fromkeys(["gradient", *(options.record or ()), *clipped]))
    line = None
    if sys.stderr is not None and sys.stderr.isatty():
        tasks = [(title(network), float(sum(network.widths))) for network in networks]
        line = ProgressLine(sys.stderr, tasks)
    try:
        for task, (network, file) in enumerate(zip(networks, files, strict=True)):
            if line:
                line.start(task)
            samples = vgsim.simulate(
                network,
                options.samples,
                seed=options.seed,
                first=options.first,
                batch_size=options.batch_size,
                inputs=options.inputs,
                loss=options.loss,
                layers=layers,
                record=record,
                engine=options.engine,
                dtype=options.dtype,
                n_threads=options.threads,
                progress=line or False,
            )
            if line:
                line.clear()
            if file:
                with _writing(file):
                    samples.save(file)
            yield samples
    finally:
        if line:
            line.clear()


def _probabilities(options: argparse.Namespace, samples: Samples) -> dict[str, Probability]:
    interval = {"confidence_level": options.confidence_level, "method": options.method}
    return {
        event: samples.probability(
            event,
            options.layer,
            **interval,
            **({} if event == "dead" else {"threshold": options.threshold}),
        )
        for event in EVENTS
    }


def _clipped(options: argparse.Namespace, samples: Samples) -> float:
    """Mean share of the entries of G_l that clipping cut."""
    return float(samples.clipped[:, samples.column(options.layer)].mean())


def _print_text(options: argparse.Namespace, results: Iterator[Samples]) -> None:
    began = time.monotonic()
    group = None
    for samples in results:
        digits = decimals(len(samples))
        width = len(probability_cell(0, 0, 1, digits))
        cells = [(f"P({event})", width) for event in EVENTS]
        recurrent = isinstance(samples.network, vgsim.RNN)
        depth = "steps" if recurrent else "depth"
        clipped = [] if samples.network.clip is None else [f"{_clipped(options, samples):.4f}"]
        cut = [("clipped", 7)] if clipped else []
        table = Table(((depth, 5), *cells, (QUANTILES_HEADING, 20), *cut, ("time", 5)))
        if group is None:
            print(_heading(options, samples))
        if (activation := samples.network.activation) != group:
            group = activation
            init = spec(samples.network.init)
            print(f"\n{spec(activation)}, {init}, {samples.engine} engine\n{table.heading()}")
        probabilities = _probabilities(options, samples).values()
        quantiles = samples.quantile(list(QUANTILES.values()), options.layer)
        row = table.line(
            str(samples.network.depth),
            *(probability_cell(p.estimate, p.low, p.high, digits) for p in probabilities),
            numbers_cell(np.asarray(quantiles).tolist()),
            *clipped,
            seconds_cell(samples.elapsed),
        )
        print(row, flush=True)
    print(f"\n{seconds_cell(time.monotonic() - began)} in all")


def _heading(options: argparse.Namespace, samples: Samples) -> str:
    network, layer = samples.network, options.layer
    recurrent = isinstance(network, vgsim.RNN)
    kind, output = ("recurrent ", "state after step l") if recurrent else ("", "output of layer l")
    norms = f"|G_{layer}| / |G_D|"
    low = f"{options.threshold:g}"
    high = f"{1 / options.threshold:g}"
    extra = "".join(
        f", {name} {value:g}"
        for name, value, default in (
            ("gain", network.gain, 1),
            ("bias std", network.bias_std, 0),
            ("first index", options.first, 0),
        )
        if value != default
    )
    inputs = "normal inputs" if samples.inputs == "normal" else "inputs from the file"
    isa = samples.provenance.get("isa", "unknown")
    made = (
        f"{len(samples):,} random {kind}networks a row, width {short_width(network)}{extra}, "
        f"{inputs}, seed {samples.seed}, {samples.dtype}, ISA {isa}"
    )
    return "\n".join(
        [
            f"R = log10({norms}), G_l: gradient of the loss by the {output} of D",
            f"vanishing: {norms} < {low}   exploding: > {high}   "
            "dead: exactly 0; counts as vanishing too",
            *textwrap.wrap(made, COLUMNS),
            *technique_lines(network, options.batch_size, options.loss),
            f"each probability with its {100 * options.confidence_level:g} % interval "
            f"({options.method}); 5 %, median, 95 %: quantiles of R",
            *([f"clipped: mean share of the entries of G_{layer} cut"] if network.clip else []),
        ]
    )


def technique_lines(network: Network, batch_size: int = 1, loss: str = "linear") -> list[str]:
    """Say, in lines, what sets the networks and their batches apart from the plain."""
    return textwrap.wrap(technique(network, batch_size, loss), COLUMNS)


def _row(options: argparse.Namespace, samples: Samples) -> dict[str, Any]:
    """One network's results, flat: what --json and --csv print.

    None is log10 0 in a quantile, and no technique of that name elsewhere.
    """
    network = samples.network
    row = network_row(network) | {
        "n": len(samples),
        "seed": samples.seed,
        "first": int(samples.index[0]),
        "batch_size": samples.batch_size,
        "inputs": samples.inputs,
        "loss": samples.loss,
        "engine": samples.engine,
        "dtype": samples.dtype,
        "layer": options.layer,
        "threshold": options.threshold,
        "confidence_level": options.confidence_level,
        "method": options.method,
    }
    for event, probability in _probabilities(options, samples).items():
        row[event] = probability.estimate
        row[f"{event}_low"] = probability.low
        row[f"{event}_high"] = probability.high
    quantiles = np.asarray(samples.quantile(list(QUANTILES.values()), options.layer))
    row |= {
        name: value if value > -np.inf else None
        for name, value in zip(QUANTILES, quantiles.tolist(), strict=True)
    }
    row["clipped"] = None if network.clip is None else _clipped(options, samples)
    row["seconds"] = samples.elapsed
    return row


def _print_json(options: argparse.Namespace, results: Iterator[Samples]) -> None:
    rows, provenance = [], {}
    for samples in results:
        rows.append(_row(options, samples))
        provenance = samples.provenance
    print(json.dumps({"provenance": provenance, "rows": rows}, indent=2, allow_nan=False))


def _print_csv(options: argparse.Namespace, results: Iterator[Samples]) -> None:
    writer = None
    for samples in results:
        row = _row(options, samples)
        if writer is None:
            writer = csv.DictWriter(sys.stdout, row, lineterminator="\n")
            writer.writeheader()
        row["width"] = width(samples.network)
        row |= {name: "-inf" for name in QUANTILES if row[name] is None}
        writer.writerow(row)
        sys.stdout.flush()


def replay(options: argparse.Namespace) -> None:
    """Replay one sample as explicit weights, evaluate it, and compare with what simulate says."""
    (network,) = networks_of(options, depths=[30])
    check_setting(options, [network])
    checked_int("--index", options.index, 0, INDICES - 1, "2**56 - 1")
    if options.out is not None:
        if options.out.suffix != ".npz":
            raise ValueError(f"--out {options.out} must end in .npz")
        _check_new(options.out)
    common = {
        name: getattr(options, name) for name in ("batch_size", "inputs", "loss", "engine", "dtype")
    }
    simulated = vgsim.simulate(
        network, 1, seed=options.seed, first=options.index, layers=options.layers, **common
    )
    replayed = vgsim.replay(network, options.seed, options.index, **common)
    evaluated = vgsim.evaluate(
        network,
        replayed.weights,
        replayed.biases,
        replayed.inputs,
        replayed.output_gradient,
        gate_weights=replayed.gate_weights,
        input_weights=replayed.input_weights,
        drive=replayed.drive,
        layers=simulated.layers.tolist(),
    )
    print(f"{title(network)}, width {short_width(network)}, {spec(network.init)}")
    for line in technique_lines(network, options.batch_size, options.loss):
        print(line)
    print(
        f"sample {options.index} of seed {options.seed}: log10 |G_l|, simulated "
        f"({simulated.engine}, {simulated.dtype}) and from its weights (float64)"
    )
    table = Table(
        (("layer", 7), ("width", 5), ("simulated", 14), ("weights", 14), ("difference", 10))
    )
    print(f"\n{table.heading()}")
    rows = zip(simulated.layers.tolist(), simulated.gradient[0], evaluated.gradient, strict=True)
    for layer, ours, theirs in sorted(rows):
        off = "0" if ours == theirs else f"{theirs - ours:.1e}"
        cells = str(layer), str(network.widths[layer]), f"{ours:.8f}", f"{theirs:.8f}", off
        print(table.line(*cells))
    if simulated.n_dead:
        print("\nthis network is dead: its G_0 is exactly zero")
    if options.out is not None:
        _write_weights(options, replayed)


def _write_weights(options: argparse.Namespace, replayed: vgsim.Replay) -> None:
    arrays: dict[str, Any] = {
        "inputs": replayed.inputs,
        "output_gradient": replayed.output_gradient,
    }
    if replayed.drive is not None:
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
    with _writing(options.out):
        _npz.write(options.out, "vgsim.Replay", header, arrays)
    print(f"\nwrote {options.out}: inputs, output_gradient, {wrote}")


def info(options: argparse.Namespace) -> None:
    """Print versions, what was compiled, and what this machine uses."""
    vgsim.show_config()
