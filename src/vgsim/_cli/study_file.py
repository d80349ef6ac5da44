"""Reader of study files in TOML: the networks and arguments of collect, or all errors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vgsim._checks import COUNTERS, INDICES, brief, type_error, value_error
from vgsim._cli.options import INPUTS, data
from vgsim._cli.sweep_table import KeyPath, networks_of, placed, unknown_key, where
from vgsim._cli.text_file import file_name
from vgsim._cli.toml_file import refuse, toml_text, toml_values
from vgsim._domains import checked_int
from vgsim._engine.settings import Settings, checked_layers
from vgsim._networks.description import Network
from vgsim._studies.collect import SECONDS
from vgsim._studies.precision import Precision
from vgsim._studies.task import checked_thresholds

__all__ = ["StudySpec", "read_study", "study_from_toml"]

NO_STOP = "max_samples, max_seconds or [stop] must be given: nothing would stop the study"
RULE_KEYS = [field.name for field in fields(Precision)]


@dataclass(frozen=True)
class StudySpec:
    """The study that a file describes.

    Attributes
    ----------
    networks : tuple of MLP, RNN, LSTM, GRU and Sequential
    arguments : dict
        The other arguments of :func:`collect`: ``collect(spec.networks, **spec.arguments)``.
    """

    networks: tuple[Network, ...]
    arguments: dict[str, Any]


def read_study(path: str | os.PathLike[str], needs_stop: bool = False) -> StudySpec:
    """Read and check a study file. File names in it are relative to its folder.

    With `needs_stop`, the file must have one of max_samples, max_seconds and stop.

    Raises
    ------
    TomlError
        With one line for every error: the file, the path of the key, and the problem.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from vgsim._cli.study_file import read_study
    >>> read_study("no such file.toml")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.toml'
    """
    text = toml_text(path)
    return study_from_toml(text, file_name(path), Path(path).parent, needs_stop)


def study_from_toml(
    text: str, name: str, folder: Path = Path(), needs_stop: bool = False
) -> StudySpec:
    r"""Read and check the text of a study file.

    Parameters
    ----------
    text : str
    name : str
        Name of the file, for messages.
    folder : Path
        Folder to which file names in the text are relative.
    needs_stop : bool, default False
        Whether one of max_samples, max_seconds and stop is required.

    Raises
    ------
    TomlError
        With one line for every error.

    Examples
    --------
    >>> from vgsim._cli.study_file import study_from_toml
    >>> study = study_from_toml('''
    ... max_samples = 1_000
    ... [[sweep]]
    ... width = 8
    ... depth = [10, 30]
    ... ''', "study.toml")
    >>> study.networks, study.arguments
    ((MLP(depth=10, width=8, init='glorot_normal'), MLP(depth=30, width=8, init='glorot_normal')),
     {'max_samples': 1000})
    >>> study_from_toml('seed = -1\n[[sweep]]\nwidth = 8\ndepth = 0', "x.toml")
    Traceback (most recent call last):
    vgsim._cli.toml_file.TomlError: x.toml: seed must be an int >= 0, got -1
    x.toml: sweep[0].depth must be an int from 1 to 4294967295, got 0
    """
    values = toml_values(text, name)
    reader = _Reader(values, folder)
    spec = reader.spec()
    if needs_stop and not values.keys() & {"max_samples", "max_seconds", "stop"}:
        reader.errors.append(NO_STOP)
    refuse(name, reader.errors)
    return spec


def _whole(value: Any) -> Any:
    """Return a whole float as int: 1e6 is a float in TOML."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Reader:
    """Reads the values of a study file and lists their errors."""

    def __init__(self, values: Mapping[str, Any], folder: Path) -> None:
        self.errors: list[str] = []
        self._values = values
        self._folder = folder
        self._checks: dict[str, Callable[[Any], Any]] = {
            **{name: _setting(name) for name in ("seed", "batch_size", "loss", "engine", "dtype")},
            "inputs": self._data,
            "max_samples": lambda x: checked_int("max_samples", _whole(x), 1, INDICES, "2**56"),
            "max_seconds": lambda x: SECONDS.check("max_seconds", x),
            "layers": _layers,
            "thresholds": lambda x: checked_thresholds(_list("thresholds", x)),
        }

    def spec(self) -> StudySpec:
        """Return the study, which is valid only if `errors` is empty."""
        for key in self._values:
            if key not in (known := [*self._checks, "stop", "sweep"]):
                self._say(unknown_key((key,), known))
        arguments: dict[str, Any] = {}
        for key, check in self._checks.items():
            if key in self._values:
                self._take(arguments, key, check)
        sound = not self.errors
        if rules := self._rules(arguments):
            arguments["stop"] = rules
        networks = self._networks()
        if sound:
            self._check_together(networks, arguments)
        return StudySpec(tuple(dict.fromkeys(network for network, _ in networks)), arguments)

    def _say(self, line: str) -> None:
        self.errors.append(line)

    def _take(self, arguments: dict[str, Any], key: str, check: Callable[[Any], Any]) -> None:
        try:
            arguments[key] = check(self._values[key])
        except (TypeError, ValueError) as error:
            self._say(placed((key,), error))

    def _data(self, value: Any) -> Any:
        if not isinstance(value, str):
            problem = f"must be 'normal', 'zeros' or the name of an .npy file, got {brief(value)}"
            raise type_error("inputs", problem)
        try:
            return value if value in INPUTS else data(str(self._folder / value))
        except argparse.ArgumentTypeError as error:
            raise value_error(
                "inputs", f"must be 'normal', 'zeros' or an .npy file: {error}"
            ) from None

    def _tables(self, key: str) -> list[tuple[KeyPath, Mapping[str, Any]]]:
        """Return the tables [key] or [[key]], each after its path."""
        value = self._values.get(key, [])
        if isinstance(value, Mapping):
            return [((key,), value)]
        if isinstance(value, list) and all(isinstance(table, Mapping) for table in value):
            return [((key, i), table) for i, table in enumerate(value)]
        self._say(f"{key} must be a table: [{key}] or [[{key}]], got {brief(value)}")
        return []

    def _rules(self, arguments: Mapping[str, Any]) -> list[Precision]:
        """Return the stop rules."""
        layers = arguments.get("layers", (0,))
        thresholds = arguments.get("thresholds", (1e-6,))
        rules = []
        for path, table in self._tables("stop"):
            before = len(self.errors)
            for key, value in table.items():
                if key not in RULE_KEYS:
                    self._say(unknown_key((*path, key), RULE_KEYS))
                    continue
                width: dict[str, Any] = {} if key in RULE_KEYS[:2] else {"half_width": 0.1}
                try:
                    Precision(**width, **{key: value})
                except (TypeError, ValueError) as error:
                    self._say(placed(path, error))
            if len(self.errors) > before:
                continue
            try:
                rules.append(rule := Precision(**table))
            except (TypeError, ValueError) as error:
                self._say(placed(path, error))
                continue
            watched: dict[str, tuple[Any, Any]] = {"layer": (rule.layer, layers)}
            if rule.event != "dead":
                watched["threshold"] = rule.threshold, thresholds
            for key, (value, counted) in watched.items():
                if value not in counted:
                    place = where((*path, key))
                    self._say(f"{place} must be one of {key}s, {list(counted)}, got {value!r}")
        return rules

    def _networks(self) -> list[tuple[Network, KeyPath]]:
        """Return the networks, each with the path of its sweep."""
        sweeps = self._tables("sweep")
        if not sweeps and not self._values.get("sweep"):
            self._say("a study needs at least one [[sweep]]")
        return [
            (network, path)
            for path, table in sweeps
            for network in networks_of(table, path, self._say)
        ]

    def _check_together(
        self, networks: list[tuple[Network, KeyPath]], arguments: Mapping[str, Any]
    ) -> None:
        """Check the settings and layers of the study with each network."""
        said = set()
        names = "seed", "batch_size", "inputs", "loss", "engine", "dtype"
        settings = Settings.checked(**{n: arguments[n] for n in names if n in arguments})
        for network, path in networks:
            try:
                settings.of(network)
                checked_layers(arguments.get("layers", (0,)), network.depth)
            except (TypeError, ValueError) as error:
                if (path, str(error)) not in said:
                    said.add((path, str(error)))
                    self._say(f"{placed((), error)}; {where(path)} has {network!r}")


def _setting(name: str) -> Callable[[Any], Any]:
    """Return a function that checks the value of a setting."""
    return lambda value: getattr(Settings.checked(**{name: value}), name)


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise type_error(name, f"must be a list, got {brief(value)}")
    return value


def _layers(value: Any) -> tuple[int, ...]:
    deepest = COUNTERS - 1
    return tuple(checked_layers(_list("layers", value), deepest).tolist())
