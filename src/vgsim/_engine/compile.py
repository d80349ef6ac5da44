"""From a network's list of operations to the arrays that the kernels walk.

The kernels store as little as possible on the way forward. So the compiler decides which operation
may work in place, what must be copied, and where the product G · X of narrow normalised networks is
carried (docs/law.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgsim._engine.tables import Tables
from vgsim._kernels import EVERY_ACTIVATION, FLAGS, KINDS, LAWS, NORMS, OPERATION
from vgsim._networks.activation_table import ACTIVATIONS as LAWS_OF_PHI
from vgsim._networks.activations import Activation
from vgsim._networks.operations import (
    Activate,
    Attend,
    Bias,
    Body,
    Copy,
    Drive,
    GateBias,
    Mask,
    Mix,
    Multiply,
    Normalise,
    Operation,
    Program,
    Shift,
    Sum,
    Weights,
)

__all__ = ["RAW_STD", "Compiled", "saturation_limit", "weight_scale"]

# Standard deviations of the raw draws (vg_laws.h), as functions of the parameters of the law.
RAW_STD: dict[str, Callable[..., float]] = {
    "normal": lambda: 1.0,
    "uniform": lambda: 3**-0.5,
    "truncated_normal": lambda: 0.87962566103423978,
    "diagonal": lambda diagonal: 1.0,
    "student_t": lambda df: math.sqrt(df / (df - 2.0)),
    "laplace": lambda: math.sqrt(8.0),
    "rademacher": lambda: 1.0,
    "custom": lambda sha256: 1.0,
    "sparse": lambda density: math.sqrt(1.0 - _least_word(1.0 - density) / WORDS),
}
SATURATED = 0.05  # fraction of the steepest slope below which a unit counts as saturated
INNER = 24  # added to the number of the bias of a GRU's candidate that the reset gate multiplies
MOST_UNITS = 48  # in wider layers the probability n 2^-n of one open unit is negligible
WORDS = 2**32

# φ of degree one: φ'(h) h = φ(h).
DEGREE_ONE = ("linear", "relu", "leaky_relu")
SIGMOID = Activation("sigmoid")  # of the gates of MIX
ODD = tuple(name for name, law in LAWS_OF_PHI.items() if law.is_odd)
Step = dict[str, Any]  # the fields of an operation of the kernels


@dataclass(frozen=True)
class _Ahead:
    """What the backward pass knows at the end of a place.

    `known`: whether G · X is known. `rows`: units of the normalisation from which it follows.
    `masked`: whether the next operation is a mask.
    """

    known: bool = False
    rows: int = 0
    masked: bool = False


@dataclass(frozen=True, eq=False)
class Compiled:
    """A program for the kernels.

    Parameters
    ----------
    program : Program
    columns : int
        Columns of a register, without tangents.
    stores_matrices : bool
        Whether the engine is the dense one.
    clips_values : bool
        Whether the entries of the gradients are clipped.
    tables : Tables
        Of the program.
    """

    program: Program
    columns: int
    stores_matrices: bool
    clips_values: bool
    tables: Tables

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The fields of vg_plan that describe the operations, by name."""
        bodies, order = self._variants()
        every = [step for body in bodies for step in body]
        operations = np.zeros(len(every), dtype=OPERATION)
        for name in OPERATION.names or ():
            operations[name] = [step[name] for step in every]
        program = self.program
        stored = [o.shape for o in program.of(Weights) if self._is_stored(o)]
        return {
            "operations": operations,
            "tables": self.tables.array,
            "bodies": np.cumsum([0, *map(len, bodies)], dtype=np.int64),
            "order": order,
            "matrices": np.ascontiguousarray(program.numbers(Weights)[:-1]),
            "masks": np.ascontiguousarray(program.numbers(Mask)[:-1]),
            "resting": program.resting,
            "registers": 1 + max(max(s["target"], s["source"], s["gate"]) for s in every),
            "widest": max(int(program.widths.max()), *(s["room"] for s in every)),
            "stored_shape": tuple(map(max, zip(*stored, strict=True))) if stored else (0, 0),
            "state": program.state,
            "shared": sum(o.shared for o in program.of(Weights)),
            "driven": len(program.of(Drive)),
            "gate_biases": len(program.of(GateBias)),
            "grouped": self._is_grouped,
        }

    def _is_stored(self, weights: Weights) -> bool:
        return self.stores_matrices and (weights.shared or weights.law == "orthogonal")

    @property
    def _is_grouped(self) -> bool:
        """Whether groups of equal columns are kept: only in chains with batch normalisation."""
        return self.columns > 2 and not self.clips_values and self.program.is_batch_normalised_chain

    @property
    def _follows(self) -> bool:
        """Whether G · X is carried, in narrow networks with layer or RMS normalisation."""
        norms = self.program.of(Normalise)
        kinds = {o.kind for o in norms}
        if not kinds & {"layer", "rms"} or self.clips_values:
            return False
        narrow = min([*(o.shape[0] for o in self.program.of(Weights)), *self.program.widths])
        masks = self.program.of(Mask)
        masked = any(o.rows <= _most_units(1.0 / (1.0 - o.rate)) for o in masks)
        return bool(narrow <= MOST_UNITS) or masked

    def _variants(self) -> tuple[list[list[Step]], NDArray[np.int64]]:
        """Return the compiled bodies, one for each width of the input, and that of each place."""
        program = self.program
        keys = program.order << 32 | program.widths[:-1]
        distinct, order = np.unique(keys, return_inverse=True)
        bodies = [
            _compiled(
                program.bodies[int(key) >> 32], int(key) & (WORDS - 1), program.state, self.tables
            )
            for key in distinct
        ]
        if not self._follows:
            return bodies, np.ascontiguousarray(order.ravel(), dtype=np.int64)
        found: dict[tuple[int, int, _Ahead], tuple[int, _Ahead]] = {}
        variants: list[list[Step]] = []
        ahead, places = _Ahead(), order.ravel().tolist()
        for l in range(len(places) - 1, -1, -1):
            key = places[l], places[l - 1] if l else -1, ahead
            if key not in found:
                variants.append([dict(step) for step in bodies[key[0]]])
                before = bodies[key[1]][-1] if l else None
                found[key] = len(variants) - 1, _follow(variants[-1], ahead, before)
            places[l], ahead = found[key]
        return variants, np.array(places, dtype=np.int64)


def saturation_limit(activation: Activation) -> float:
    """Return the slope below which a unit counts as saturated."""
    return SATURATED * float(activation.max_derivative)


def weight_scale(o: Weights) -> float:
    """Return the factor of the raw draws of a matrix, or the gain of an orthogonal matrix."""
    if o.law in RAW_STD:
        return o.std / RAW_STD[o.law](*o.parameters)
    return o.std * math.sqrt(max(o.shape))


def _law_parameters(o: Weights, tables: Tables) -> tuple[float, float]:
    """Return the parameters of the law for the kernels, of which only the first counts.

    Of "sparse" that is the least word that is kept, of "custom" the place of the table.
    """
    (parameter,) = o.parameters or (0.0,)
    if isinstance(parameter, str):
        return tables.place(parameter)
    return float(_least_word(1.0 - parameter)) if o.law == "sparse" else parameter, 0.0


def _least_word(rate: float) -> int:
    """Return the least of 2**32 words that a mask keeps, which is 0 with probability `rate`."""
    return min(round(rate * WORDS), WORDS - 1)


def _compiled(body: Body, width: int, state: int, tables: Tables) -> list[Step]:
    """Compile the operations of a place whose input has `width` units and `state` registers."""
    steps: list[Step] = []
    rows = {0: width, 1: width}  # of the registers; 1 is the input of a block of several places
    basis: dict[int, int] = {}  # where the operand in a register was factorised
    number = masks = gate_biases = 0  # of matrices, of masks, of biases of gates
    for o in body:
        if isinstance(o, Bias) and o.cancels:
            continue
        if isinstance(o, Weights):
            if o.source not in basis:
                basis[o.source] = len(steps)
                steps.append(_step("basis", target=-1, source=o.source, rows=o.shape[1]))
            operand = steps[basis[o.source]]
            own = max(o.shape) if o.law == "orthogonal" else o.shape[1]
            operand["columns"] = operand["room"] = max(operand["columns"], own)
            number = 1 + o.gate if o.shared else number + 1
        masks += isinstance(o, Mask)
        step = _translated(o, rows, tables)
        if step["number"] == 0:
            step["number"] = masks if isinstance(o, Mask) else number
        if isinstance(o, Weights):
            step["distance"] = len(steps) - basis[o.source]
        elif isinstance(o, GateBias):
            step["distance"] = gate_biases
            gate_biases += 1
        steps.append(step)
        rows[step["target"]] = step["rows"]
        basis.pop(step["target"], None)
    _store_little(steps)
    _add_gradients(steps, state)
    return steps


def _step(kind: str, **fields: Any) -> Step:
    step: Step = dict.fromkeys(OPERATION.names or (), 0)
    step |= {"name": kind, "kind": KINDS[kind], "source": -1, "gate": -1, "parameters": (0.0, 0.0)}
    return step | fields


def _translated(o: Operation, rows: Mapping[int, int], tables: Tables) -> Step:
    """Return the step of one operation; `rows` are those of the registers."""
    match o:
        case Weights(source, target, (n, m), law, _, _, recorded, shared, balanced):
            flags = FLAGS["recorded"] * recorded | FLAGS["shared"] * shared
            flags |= FLAGS["balanced"] * balanced
            fields: Step = {
                "source": source,
                "law": LAWS[law],
                "columns": m,
                "scale": weight_scale(o),
                "parameters": _law_parameters(o, tables),
            }
            return _step("weights", target=target, rows=n, flags=flags, **fields)
        case Bias(register, n, std, limit, _, _, shared):
            fields = {"scale": limit or std, "flags": FLAGS["shared"] * shared}
            fields["law"] = LAWS["uniform" if limit > 0 else "normal"]
            return _step("bias", target=register, rows=n, **fields)
        case Shift(register, value):
            return _step("shift", target=register, rows=rows[register], scale=value)
        case GateBias():
            return _gate_bias(o)
        case Drive(register, n, std, gate, law):
            fields = {"law": LAWS[law], "scale": std / RAW_STD[law](), "number": 1 + gate}
            return _step("drive", target=register, rows=n, **fields)
        case Normalise(register, kind, eps):
            fields = {"law": NORMS[kind], "parameters": (eps, 0.0)}
            return _step("norm", target=register, rows=rows[register], **fields)
        case Activate(register, phi):
            fields = {"law": EVERY_ACTIVATION.index(phi.kernel_name)}
            fields["parameters"] = tables.parameters(phi)
            fields["saturated_below"] = saturation_limit(phi)
            return _step("activate", target=register, rows=rows[register], **fields)
        case Mask(register, n, rate):
            fields = {"scale": 1.0 / (1.0 - rate), "parameters": (float(_least_word(rate)), 0.0)}
            return _step("mask", target=register, rows=n, **fields)
        case Copy(source, target):
            return _step("copy", target=target, source=source, rows=rows[source])
        case Sum(register, other, skip, branch):
            fields = {"source": other, "factor": skip, "scale": branch}
            return _step("sum", target=register, rows=rows[register], **fields)
        case Multiply(register, other):
            return _step("multiply", target=register, source=other, rows=rows[register])
        case Mix(register, other, gate, counted):
            fields = {"source": other, "gate": gate}
            fields["saturated_below"] = saturation_limit(SIGMOID) * counted
            return _step("mix", target=register, rows=rows[register], **fields)
        case Attend(register, query, key, heads, causal):
            fields = {"source": query, "gate": key, "heads": heads}
            fields["flags"] = FLAGS["causal"] * causal
            return _step("attend", target=register, rows=rows[register], **fields)


def _gate_bias(o: GateBias) -> Step:
    """Return the step of the bias of a gate: its `number` is that of ζ in the stream "bias"."""
    fields: Step = {"heads": o.count, "scale": o.limit or o.std, "factor": o.shift}
    fields["law"] = LAWS["uniform" if o.limit > 0 else "normal"]
    fields["number"] = 1 + o.drawn_as + INNER * (o.name == "hidden_bias")
    fields["flags"] = FLAGS["negative"] * (o.sign < 0)
    if o.most > 0:
        fields["parameters"] = (1.0 / o.most, math.log(o.most))
    return _step("gate_bias", target=o.register, rows=o.rows, **fields)


IN_PLACE = ("bias", "shift", "gate_bias", "drive", "mask")
ADDITIONS = ("bias", "shift", "gate_bias", "drive")


def _store_little(steps: Sequence[Step]) -> None:
    """Set the rows of each array, and the flags of operations that need no array of their own.

    An operand may be factorised in place if only products use it. A normalised array is saved as it
    is, if an activation or a sum uses it next. An orthogonal matrix with more rows than columns has
    its operand in a longer array.
    """
    for i, step in enumerate(steps):
        name, register, rest = step["name"], step["target"], steps[i + 1 :]
        step["room"] = max(step["room"], step["rows"])
        if name == "basis":
            register = step["source"]
            use = _next_use(
                rest, register, lambda s, r: s["name"] == "weights" and s["target"] != r
            )
            last = use is not None and (use["name"] == "weights" or _overwrites(use, register))
            step["flags"] |= FLAGS["copies"] * (not last or step["columns"] > step["rows"])
        elif name == "norm":
            use = _next_use(rest, register, lambda s, r: s["name"] == "copy" and s["source"] == r)
            reads = use is not None and use["name"] in ("activate", "sum")
            saved = use is not None and reads and use["target"] == register
            step["flags"] |= FLAGS["copies"] * (not saved)
        elif name in ("weights", "activate", "multiply", "attend"):
            use = _next_use(rest, register, lambda s, r: s["name"] in IN_PLACE)
            if use is not None and use["name"] == "sum" and use["target"] == register:
                step["flags"] |= FLAGS["transient"]
            if name == "weights" and rest and rest[0]["name"] in ADDITIONS:
                step["flags"] |= FLAGS["added"] * (rest[0]["target"] == register)


def _add_gradients(steps: Sequence[Step], state: int) -> None:
    """Set the flag of products whose operand `source` has other terms of its gradient.

    These come from later uses of it, at this place or, if it is of the state, at the next.
    """
    for i, step in enumerate(steps):
        name, register = step["name"], step["source"]
        if name not in ("weights", "multiply") or register == step["target"]:
            continue
        use = _next_use(steps[i + 1 :], register, lambda s, r: s["name"] == "basis")
        used = register < state if use is None else not _overwrites(use, register)
        step["flags"] |= FLAGS["adds"] * used


def _overwrites(step: Step, register: int) -> bool:
    """Whether a step that uses a register writes to it without reading it."""
    return step["name"] in ("copy", "weights") and step["source"] != register


def _next_use(
    rest: Iterable[Step], register: int, passes: Callable[[Step, int], bool]
) -> Step | None:
    """Return the next step of the place that uses a register, except those that `passes`."""
    for step in rest:
        if register in (step["target"], step["source"], step["gate"]) and not passes(
            step, register
        ):
            return step
    return None


def _follow(steps: Sequence[Step], ahead: _Ahead, before: Step | None) -> _Ahead:
    """Set the flags of G · X, from the last operation back; return what is known before the first.

    `before` is the last step of the place before.
    """
    for i in range(len(steps) - 1, -1, -1):
        step, earlier = steps[i], steps[i - 1] if i else before
        name = step["name"]
        if name == "basis" or (step["target"] != 0 and name in ("bias", "shift")):
            continue
        if name == "norm" and step["law"] != NORMS["batch"]:
            pair = step["law"] == NORMS["layer"] and step["rows"] == 2 < ahead.rows
            step["flags"] |= (
                FLAGS["follows"] | (FLAGS["known"] | FLAGS["pair"] * pair) * ahead.known
            )
            ahead = _Ahead(True, step["rows"])
        elif not ahead.known:
            continue
        elif name == "mask":
            lone = step["rows"] <= _most_units(step["scale"])
            step["flags"] |= FLAGS["lone"] * lone
            ahead = replace(ahead, masked=lone)
            continue
        elif name == "weights" and step["source"] == step["target"] == 0:
            step["flags"] |= FLAGS["lone"] * (step["columns"] == 1)
        elif name == "activate":
            phi = EVERY_ACTIVATION[step["law"]]
            two = earlier and earlier["name"] == "norm" and earlier["law"] == NORMS["layer"]
            if phi in DEGREE_ONE:
                lone = ahead.masked or step["rows"] <= MOST_UNITS
                step["flags"] |= FLAGS["lone"] * lone | FLAGS["masked"] * ahead.masked
            elif two and step["rows"] == 2 and phi in ODD:
                step["flags"] |= FLAGS["follows"]
            else:
                ahead = _Ahead()
        elif name == "copy" and step["source"] == 0:
            useful = earlier is not None and earlier["name"] == "activate"
            useful = useful and steps[i + 1]["name"] == "basis" and steps[i + 1]["source"] == 0
            step["flags"] |= FLAGS["follows"] * useful
            ahead = ahead if useful else _Ahead()
        else:
            ahead = _Ahead()
        ahead = replace(ahead, masked=False)
    return ahead


def _most_units(scale: float) -> float:
    """Return the width up to which a mask may leave one open unit, with a probability as above."""
    return MOST_UNITS * math.log(0.5) / math.log1p(-0.5 / scale)
