"""Odd arguments: every public call accepts them or refuses them by name, without warnings."""

import decimal
import fractions
import itertools
import math
import random
import warnings

import numpy as np
import pandas as pd
import pytest

import vgsim
from vgsim import theory


class Raising:
    """An object whose every operation raises."""

    def __repr__(self):
        raise RuntimeError("repr")

    def __index__(self):
        raise RuntimeError("index")

    def __bool__(self):
        raise RuntimeError("bool")

    def __array__(self, *args, **settings):
        raise RuntimeError("array")

    def __len__(self):
        raise RuntimeError("len")


class Word(str):
    """A string that cannot be compared."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        raise RuntimeError("eq")


class Half(float):
    """A float that cannot be converted."""

    def __float__(self):
        raise RuntimeError("float")


def deep(levels):
    nested = []
    for _ in range(levels):
        nested = [nested]
    return nested


ODD = {  # functions, because iterators can be used only once
    name: (lambda value=value: value)
    for name, value in {
        "None": None,
        "True": True,
        "np.True_": np.True_,
        "array without axes": np.array(3),
        "vector": np.array([0.1, 0.2]),
        "matrix": np.ones((2, 2)),
        "empty array": np.array([]),
        "masked": np.ma.masked_array([0.1, 0.2], [True, False]),
        "list of masked": [np.ma.masked_array([1.0, 2.0], [True, False])],
        "objects": np.array([1, None], dtype=object),
        "records": np.zeros(2, dtype=[("a", "f4")]),
        "words": np.array(["vanishing", "gradient"]),
        "pd.NA": pd.NA,
        "Series": pd.Series([1, None], dtype="Int64"),
        "timedelta64": np.timedelta64(3, "s"),
        "bare timedelta64": np.timedelta64(3),
        "datetimes": np.array(["2020-01-01"], dtype="M8"),
        "large long double": np.longdouble("1e4000"),
        "large long doubles": np.array([np.longdouble("1e4000"), 1]),
        "complex": 1j,
        "Decimal": decimal.Decimal("0.5"),
        "Fraction": fractions.Fraction(1, 2),
        "large Fraction": fractions.Fraction(10**400, 3),
        "bytes": b"ab",
        "bytearray": bytearray(b"\1\2"),
        "memoryview": memoryview(b"\1\2"),
        "set": {1, 2},
        "dict": {},
        "nan": math.nan,
        "-inf": -math.inf,
        "2**63": 2**63,
        "10**400": 10**400,
        "10**5000": 10**5000,
        "1e308": 1e308,
        "5e-324": 5e-324,
        "''": "",
        "word": "tanh",
        "long": "x" * 10_000,
        "surrogate": "\ud800",
        ">f4": ">f4",
        "raising": Raising(),
        "incomparable": Word("tanh"),
        "unconvertible": Half(0.5),
        "type": int,
        "module": math,
        "ragged": [[1], [1, 2]],
        "deep": deep(3000),
        "network": vgsim.MLP(3, 4),
    }.items()
} | {"generator": lambda: (i for i in (1, 2)), "counter": lambda: iter(range(1000))}

NET = vgsim.MLP(3, 4, activation="relu", init="he_normal")
SIGMOID = vgsim.MLP(20, 4, activation="sigmoid")
FIELDS = {"activation": "tanh", "init": "textbook", "gain": 1.0, "bias_std": 0.0, "clip": None}
MLP_FIELDS = {"norm": None, "norm_eps": 1e-5, "residual": None, "highway": None}
DRAWN = {"seed": 0, "batch_size": 1, "inputs": "normal", "engine": "auto", "dtype": "float32"}
RUN = {"network": NET, "n_samples": 2, "n_threads": 1, "progress": False, **DRAWN}
EVENT = {"event": "vanishing", "threshold": 1e-6, "dtype": None, "confidence_level": 0.95}


def calls():
    samples = vgsim.simulate(SIGMOID, 30, layers=(0, 5, 20))
    curve = vgsim.depth_curve(vgsim.MLP(1, 4, activation="sigmoid"), (3, 9), 20)
    study = vgsim.collect([SIGMOID, NET, vgsim.RNN(3, 4)], max_samples=20)
    law, result = theory.relu_law(4, 3), study[0]
    sample = vgsim.replay(vgsim.MLP(3, 4))
    eyes = {"weights": [np.eye(2)] * 2, "biases": None}
    return {
        "MLP": (vgsim.MLP, {"depth": 4, "width": 4, **FIELDS, **MLP_FIELDS}),
        "RNN": (vgsim.RNN, {"steps": 4, "width": 4, "input_std": 0.5, **FIELDS}),
        "Residual": (
            vgsim.Residual,
            {"every": 1, "skip": 1.0, "branch": 1.0, "style": "pre", "last_gain": 1.0},
        ),
        "Highway": (vgsim.Highway, {"gate_bias": 1.0}),
        "ClipNorm": (vgsim.ClipNorm, {"max_norm": 1.0}),
        "from_dict": (lambda **k: vgsim.MLP.from_dict(k), {"kind": "MLP", "depth": 2, "width": 3}),
        "section": (vgsim.MLP(5, 4).section, {"first": 1, "last": 3}),
        "value": (vgsim.Activation("gelu").value, {"h": 1.0}),
        "weight_std": (vgsim.Initializer("he_normal").weight_std, {"fan_in": 2, "fan_out": 2}),
        "sweep": (vgsim.sweep, {"kind": vgsim.MLP, "depth": 4, "width": 4, "residual__every": 2}),
        "simulate": (
            vgsim.simulate,
            {"first": 0, "loss": "linear", "layers": (0,), "record": ("gradient",), **RUN},
        ),
        "depth_curve": (vgsim.depth_curve, {"depths": (1, 2), "loss": "linear", **RUN}),
        "lyapunov": (vgsim.lyapunov, {"k": 1, "layers": (0, 1), "first": 0, **RUN}),
        "replay": (vgsim.replay, {"network": NET, "index": 0, "loss": "linear", **DRAWN}),
        "evaluate": (
            vgsim.evaluate,
            {"network": vgsim.MLP(2, 2), "inputs": [1.0, 2.0], "output_gradient": [1.0, 0.0]}
            | {"layers": None, "return_arrays": True, **eyes},
        ),
        "evaluate by name": (
            vgsim.evaluate,
            {"network": sample.network, "parameters": sample.parameters, "inputs": sample.inputs}
            | {"output_gradient": sample.output_gradient},
        ),
        "gradients": (sample.gradients, {"layers": [0]}),
        "collect": (
            vgsim.collect,
            {"tasks": [NET], "max_samples": 2, "stop": None, "max_seconds": None, "layers": (0,)}
            | {"thresholds": (1e-6,), "n_threads": 1, "loss": "linear", **DRAWN},
        ),
        "probability": (samples.probability, {"layer": 0, "method": "wilson", **EVENT}),
        "quantile": (samples.quantile_interval, {"q": 0.5, "layer": 0, "confidence_level": 0.9}),
        "cdf": (samples.cdf, {"x": 0.0, "layer": 0}),
        "summary": (samples.summary, {"threshold": 1e-6, "method": "wilson"}),
        "profile": (vgsim.LayerProfile, {"samples": samples}),
        "curve": (curve.probability, {"method": "wilson", **EVENT}),
        "critical_depth": (curve.critical_depth, {"level": 0.5, "method": "wilson", **EVENT}),
        "table": (curve.table, {"format": "csv", "theory": False, **EVENT}),
        "result": (result.probability, {"layer": None, "method": None, **EVENT, "threshold": None}),
        "result.quantile": (result.quantile, {"q": 0.5, "layer": None}),
        "Study": (vgsim.Study, {"results": list(study), "provenance": None}),
        "study[]": (lambda place: study[place], {"place": 0}),
        "find": (study.find, {"depth": 3, "width": 4, "activation": "relu", "loss": "linear"}),
        "Precision": (vgsim.Precision, {"half_width": 0.1, "layer": 0, "event": "dead"}),
        "reached": (vgsim.Precision(0.1).reached, {"events": 3, "n": 10}),
        "critical_line": (theory.critical_line, {"activation": "relu", "bias_std": [0.1]}),
        "relu_law": (theory.relu_law, {"width": 4, "depth": 3}),
        "ProductLaw": (theory.ProductLaw, {"factors": law._terms.factors, "log_scale": 0.0}),
        "law.cdf": (law.cdf_log10, {"ratio": 1.0}),
        "law.probability": (law.probability, {"event": "dead", "threshold": 1e-6}),
        "law.sample": (law.sample, {"size": 3, "rng": np.random.default_rng(0)}),
        "moments": (theory.log_gradient_moments, {"network": NET, "batch_size": 1, "layer": 0}),
        "rate": (theory.normalisation_rate, {"norm": "layer", "activation": "relu"}),
    }


@pytest.fixture(scope="module")
def table():
    return calls()


def outcome(call, arguments):
    """Return None if the call accepts its argument or refuses it by name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(**arguments)
    except (ValueError, TypeError) as error:
        if getattr(error, "argument", None) and len(str(error)) < 1000:
            return None
        return repr(error)
    except MemoryError as error:
        return None if "are available" in str(error) else repr(error)
    except IndexError as error:  # sequences raise it
        return None if str(error).startswith("place must be") else repr(error)
    except Exception as error:
        return repr(error)
    return None


@pytest.mark.parametrize("part", range(4))
def test_odd_arguments_are_taken_or_refused_by_name(table, part):
    every = [
        (name, argument, odd)
        for (name, (_, usual)), odd in itertools.product(table.items(), ODD)
        for argument in usual
    ]
    wrong = {}
    for name, argument, odd in random.Random(part).sample(every, 150):
        call, usual = table[name]
        if said := outcome(call, {**usual, argument: ODD[odd]()}):
            wrong[name, argument, odd] = said
    assert not wrong


def test_the_valid_calls_are_valid(table):
    for call, usual in table.values():
        call(**usual)
