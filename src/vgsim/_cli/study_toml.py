"""Writer of study files in TOML: the file with which ``vgsim collect`` repeats a study."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from vgsim._cli.study_file import study_from_toml
from vgsim._networks.description import Network
from vgsim._networks.layer_lists import ListOfLayers
from vgsim._studies.precision import Precision
from vgsim._studies.result import Result
from vgsim._studies.task import Task

__all__ = ["study_toml"]

SETTINGS = ("batch_size", "loss", "engine", "dtype")
TEXTBOOK = "textbook"
Sweep = dict[str, list[Any]]  # values of the fields, as JSON types


def study_toml(
    study: Sequence[Result], max_samples: int | None = None, rules: Sequence[Precision] = ()
) -> tuple[str, str]:
    """Return the text of a study file of the networks of a study, and the reason if there is none.

    Parameters
    ----------
    study : sequence of Result
        One or more results, with the same layers and thresholds.
    max_samples : int, optional
        By default the largest number of samples of a network.
    rules : sequence of Precision
        The stop rules.

    Returns
    -------
    text : str
        "" if no study file describes the study. The text was read again: its networks are those of
        the study. The name of data inputs is a placeholder.
    reason : str
        "" if there is a text.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._cli.study_toml import study_toml
    >>> networks = vgsim.sweep(vgsim.MLP, width=8, activation=["tanh", "relu"], depth=[5, 10])
    >>> print(study_toml(vgsim.collect(networks, max_samples=1000))[0])
    max_samples = 1000
    thresholds = [1e-06]
    layers = [0]
    seed = 0
    <BLANKLINE>
    [[sweep]]
    kind = "MLP"
    depth = [5, 10]
    width = 8
    activation = ["tanh", "relu"]
    """
    tasks = [result.task for result in study]
    networks = [task.network for task in tasks]
    if any('"sha256"' in network.canonical_json() for network in networks):
        return "", "a study file cannot hold custom functions, which some of the networks have"
    if any(network.own_engine for network in networks):
        return "", "some of the networks were measured elsewhere"
    if any(first for result in study for _, first, _ in result.ranges[:1]):
        return "", "their indices do not begin at 0"
    try:
        head = _head(study, max_samples, rules)
    except ValueError as error:
        return "", str(error)
    for leave_out in (True, False):
        body = "\n\n".join(_tables(_sweeps(networks, leave_out)))
        try:
            checked = study_from_toml(body, "study.toml").networks
        except ValueError:
            continue
        if set(checked) == set(networks):
            return f"{head}\n\n{body}", ""
    return "", "some of the networks cannot be written in TOML"


def _head(study: Sequence[Result], most: int | None, rules: Sequence[Precision]) -> str:
    """Return the lines above the sweeps; ValueError if the results differ in their settings."""
    first = study[0].task
    for name in ("seed", "inputs", *SETTINGS):
        auto = name == "engine" and all(_is_auto(result.task) for result in study)
        if not auto and len({getattr(result.task, name) for result in study}) > 1:
            raise ValueError(f"one study file describes one {name}, and the networks have several")
    seeds = {seed for result in study for seed, _, _ in result.ranges}
    if len(seeds) > 1:
        known = ", ".join(map(str, sorted(seeds)))
        raise ValueError(f"one study file has one seed, and the samples have {known}")
    given: dict[str, Any] = {
        "max_samples": most or max(1, *(result.n for result in study)),
        "thresholds": list(first.thresholds),
        "layers": list(first.layers),
        "seed": first.seed,
    }
    defaults = Task(first.network)
    for name in SETTINGS:
        own = getattr(first, name)
        if name == "engine":
            if not all(_is_auto(result.task) for result in study):
                given[name] = own
        elif own != getattr(defaults, name):
            given[name] = own
    lines = [f"{name} = {_toml(value)}" for name, value in given.items()]
    if first.inputs == "zeros":
        lines.append('inputs = "zeros"')
    elif first.inputs != "normal":
        lines.append(f'inputs = "inputs.npy"  # the data with {first.inputs}')
    for rule in rules:
        values = asdict(rule)
        own = {f.name: values[f.name] for f in fields(Precision) if values[f.name] != f.default}
        lines += ["", "[[stop]]", *(f"{name} = {_toml(value)}" for name, value in own.items())]
    return "\n".join(lines)


def _is_auto(task: Task) -> bool:
    """Return whether the engine is the one of engine="auto"."""
    other = task.to_dict() | {"engine": "auto"}
    return Task.from_dict(other).engine == task.engine


def _sweeps(networks: Sequence[Network], leave_out: bool) -> list[tuple[type[Network], Sweep]]:
    """Return sweeps that have all the networks, as few as merging finds.

    With `leave_out`, initialisers that are those of the textbook are left out.
    """
    by_kind: dict[type[Network], list[Network]] = {}
    for network in networks:
        by_kind.setdefault(type(network), []).append(network)
    found: list[tuple[type[Network], Sweep]] = []
    for kind, alike in by_kind.items():
        names = {"init"} & set(kind._fields)
        names |= {name for network in alike for name in network.to_dict() if name != "kind"}
        keys = [name for name in kind._fields if name in names]
        rows = [{name: [_value(network, name, leave_out)] for name in keys} for network in alike]
        found += [(kind, sweep) for sweep in _merged(rows, keys)]
    return found


def _value(network: Network, name: str, leave_out: bool) -> Any:
    """Return the value of a field as TOML has it."""
    value = getattr(network, name)
    if value is None:
        return "none"
    if name == "init" and leave_out and network == network._with(init=TEXTBOOK):
        return TEXTBOOK
    described = network._fields[name].domain.to_json(value)
    if not isinstance(described, Mapping):
        return described
    given = {key: part for key, part in described.items() if key != "kind"}
    if not given:  # all fields have their defaults: write the first
        given = dict(list(value._values().items())[:1])
    return given


def _merged(rows: list[Sweep], keys: Sequence[str]) -> list[Sweep]:
    """Unite sweeps that differ in one field, field by field, until none is left to unite."""
    before = 0
    while len(rows) != before:
        before = len(rows)
        for key in keys:
            united: dict[str, Sweep] = {}
            for row in rows:
                rest = json.dumps([row[name] for name in keys if name != key])
                other = united.setdefault(rest, {**row, key: []})
                other[key] += [value for value in row[key] if value not in other[key]]
            rows = list(united.values())
    return rows


def _tables(sweeps: Sequence[tuple[type[Network], Sweep]]) -> Iterator[str]:
    for kind, sweep in sweeps:
        lines = ["[[sweep]]", f'kind = "{kind.__name__}"']
        for name, values in sweep.items():
            if values == [TEXTBOOK]:
                continue
            alone = len(values) == 1 and not _is_list(kind, name, values[0])
            lines.append(f"{name} = {_toml(values[0] if alone else values)}")
        yield "\n".join(lines)


def _is_list(kind: type[Network], name: str, value: Any) -> bool:
    """Return whether one value of a field is a list that needs brackets around it."""
    return isinstance(value, list) and not isinstance(kind._fields[name].domain, ListOfLayers)


def _toml(value: Any) -> str:
    """Return a value of JSON types as TOML, on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name} = {_toml(part)}' for name, part in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    return repr(value)
