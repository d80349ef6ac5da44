"""Checks of the parameters and inputs of a network in JAX, by their shapes.

Shapes are known while JAX traces a function; values are not, and are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vgsim._checks import brief, type_error, value_error
from vgsim._networks.operations import Drive, Normalise, Program
from vgsim._networks.parameter_shapes import drawn_shapes, parameter_shapes, shapes_of

__all__ = [
    "check_inputs",
    "check_rows",
    "check_sequence",
    "check_shapes",
    "checked_mapping",
    "is_sequence",
]

Shape = tuple[int, ...]


def checked_mapping(parameters: Any) -> Mapping[str, Any]:
    """Return a mapping; a TypeError if it is none."""
    if not isinstance(parameters, Mapping):
        problem = f"must be a mapping of names to arrays, got {brief(parameters)}"
        raise type_error("parameters", problem)
    return parameters


def is_sequence(program: Program, shape: Shape) -> bool:
    """Whether inputs of this shape are the drive of a recurrent network, not its state h_0.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._networks.jax.arguments import is_sequence
    >>> is_sequence(vgsim.GRU(10, 8).program, (5, 10, 8))
    True
    """
    return len(shape) == 3 and bool(shapes_of(program, 1))


def check_sequence(program: Program, shape: Shape, parameters: Mapping[str, Any]) -> None:
    """Refuse a sequence that is not of the shape of the drive, or beside a drive."""
    steps, n = len(program.order), int(program.widths[0])
    if not program.of(Drive):
        problem = f"must be h_0, of shape (B, {n}), for a network with input_std 0, got {shape}"
        raise value_error("x", problem)
    if "drive" in parameters:
        problem = f"must be h_0, of shape (B, {n}), if parameters hold the drive, got {shape}"
        raise value_error("x", problem)
    if shape[1:] != (steps, n) or not shape[0]:
        problem = f"must have shape (B, steps, n) = (B, {steps}, {n}), got {shape}"
        raise value_error("x", problem)


def check_inputs(program: Program, shape: Shape) -> None:
    """Refuse inputs that are neither (B, n_0) nor (B, tokens, n_0)."""
    tokens, n = program.tokens, int(program.widths[0])
    if len(shape) == 3 and shape[1:] == (tokens, n) and shape[0]:
        return
    if len(shape) != 2:
        problem = f"must have shape (B, n_0) = (B, {n})"
        if tokens > 1:
            problem = f"must have shape (B, tokens, n_0) = (B, {tokens}, {n})"
        raise value_error("x", f"{problem}, got {shape}")
    check_rows(program, shape)


def check_rows(program: Program, shape: Shape) -> None:
    """Refuse inputs that are not (columns, n_0), with columns that the network can take."""
    tokens, n = program.tokens, int(program.widths[0])
    if len(shape) != 2 or shape[1] != n or not shape[0]:
        raise value_error("x", f"must have shape (columns, n_0) = (columns, {n}), got {shape}")
    if shape[0] % tokens:
        raise value_error("x", f"must have a multiple of tokens = {tokens} rows, got {shape[0]}")
    if shape[0] < 2 and any(o.kind == "batch" for o in program.of(Normalise)):
        raise value_error("x", "must have at least 2 rows for batch normalisation, got 1")


def check_shapes(program: Program, given: Mapping[str, Shape], columns: int) -> None:
    """Refuse parameters that are missing, unknown or of another shape."""
    expected = {**parameter_shapes(program), **drawn_shapes(program, columns)}
    if missing := [name for name in expected if name not in given]:
        raise value_error("parameters", f"must hold {brief(missing)} too")
    if unknown := [name for name in given if name not in expected]:
        names = brief(list(expected))
        raise value_error(
            "parameters", f"must hold nothing else than {names}, got {brief(unknown)}"
        )
    for name, shape in expected.items():
        if given[name] != shape:
            transposed = "; transpose it" if given[name] == shape[::-1] else ""
            problem = f"must have shape {shape}, got {given[name]}{transposed}"
            raise value_error(f"parameters[{name!r}]", problem)
