"""The names that vgsim.typing lists are those that the package knows, and no others."""

from typing import get_args

import pytest

import vgsim
from vgsim import typing
from vgsim._checks import EVENTS, TABULATED
from vgsim._networks.activations import Activation, Parameters
from vgsim._networks.initializers import Initializer
from vgsim._networks.initializers import Parameters as LawParameters
from vgsim._results.events import LOG10_RANGE
from vgsim._results.norms import Measurements
from vgsim._results.quantities import RECORDS


def names(literal):
    return set(get_args(literal))


def needs_parameters(entry):
    return any(parameter.default is None for parameter in entry.parameters.values())


TABLES = {
    "ActivationName": {*Activation._table, *Activation._aliases} - {"custom"},
    "InitializerName": {
        name for name, entry in Initializer._table.items() if not needs_parameters(entry)
    },
    "LawName": set(Initializer._table),
    "Record": set(RECORDS),
    "NumberFormat": set(LOG10_RANGE),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_type_lists_the_names_of_a_table(name):
    assert names(getattr(typing, name)) == TABLES[name]


def test_events_are_listed_once_and_in_order():
    assert EVENTS == ("vanishing", "exploding", "healthy", "dead", "underflow", "overflow")
    assert set(TABULATED) < names(typing.CountedEvent) < names(typing.Event)


@pytest.mark.parametrize("name", typing.__all__)
def test_every_type_lists_distinct_strings(name):
    listed = get_args(getattr(typing, name))
    assert len(set(listed)) == len(listed) >= 2
    assert all(isinstance(word, str) for word in listed)


def test_every_name_without_parameters_makes_an_instance():
    for name in get_args(typing.ActivationName):
        assert vgsim.MLP(2, 4, activation=name).activation == vgsim.Activation(name)
    for name in get_args(typing.InitializerName):
        assert vgsim.Initializer(name).name == name
    for name in names(typing.LawName) - names(typing.InitializerName):
        with pytest.raises((TypeError, ValueError)):
            vgsim.Initializer(name)


@pytest.mark.parametrize(
    ("table", "typed", "functions"),
    [
        (Activation._table, Parameters, {"function", "derivative", "kinks"}),
        (Initializer._table, LawParameters, {"quantile"}),
    ],
)
def test_the_typed_parameters_are_those_of_the_tables(table, typed, functions):
    known = {name for entry in table.values() for name in entry.parameters}
    assert set(typed.__annotations__) == known | functions


def test_the_typed_measurements_are_the_records():
    assert set(Measurements.__annotations__) == set(RECORDS) - {"gradient"}


@pytest.mark.parametrize(
    ("argument", "literal", "call"),
    [
        ("method", "Method", lambda s, x: s.probability("dead", method=x)),
        ("format", "Format", lambda s, x: s.summary().table(x)),
        ("loss", "Loss", lambda s, x: vgsim.simulate(s.network, 2, loss=x)),
        ("engine", "Engine", lambda s, x: vgsim.simulate(s.network, 2, engine=x)),
        ("dtype", "DType", lambda s, x: vgsim.simulate(s.network, 2, dtype=x)),
        ("norm", "NormKind", lambda s, x: vgsim.MLP(2, 4, norm=x)),
        ("style", "ResidualStyle", lambda s, x: vgsim.Residual(2, style=x)),
        ("mode", "Mode", lambda s, x: vgsim.Initializer("laplace", mode=x)),
        ("event", "CountedEvent", lambda s, x: vgsim.Precision(0.1, event=x)),
    ],
)
def test_an_argument_takes_the_listed_names_only(argument, literal, call):
    samples = vgsim.simulate(vgsim.MLP(2, 4, activation="relu"), 20)
    for name in get_args(getattr(typing, literal)):
        call(samples, name)
    with pytest.raises((TypeError, ValueError), match=argument) as error:
        call(samples, "another")
    assert all(repr(name) in str(error.value) for name in get_args(getattr(typing, literal)))
