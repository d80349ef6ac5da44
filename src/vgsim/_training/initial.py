"""The argument `initial` of a training: parameters to start from, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vgsim._checks import brief, real_array, type_error, value_error
from vgsim._networks.functions import FunctionDomain
from vgsim._training.data import require_range

__all__ = ["Given", "Initial", "checked_initial"]

Initial = Mapping[str, ArrayLike] | Callable[[int], Mapping[str, ArrayLike]]
Arrays = dict[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Given:
    """Initial parameters that are given: one set for all samples, or one for each index.

    Attributes
    ----------
    identity : str
        "drawn" if none are given; "sha256:…" of one set; the name of a callable.
    value : mapping, callable or None
    """

    identity: str
    value: Initial | None

    def check(self, shapes: Shapes, unused: Shapes, dtype: str) -> None:
        """Check the parameters of all samples for a network, unless a callable returns them."""
        if self.value is not None and not callable(self.value):
            _checked("initial", self.value, shapes, unused, dtype)

    def stacked(self, first: int, count: int, shapes: Shapes, unused: Shapes, dtype: str) -> Arrays:
        """Return the parameters of samples first … first + count − 1, (count, …) each, by name.

        Raises
        ------
        TypeError, ValueError
            If a parameter is unknown, has another shape or is not finite in this dtype. Those of
            the names `unused` are left out.
        """
        if self.value is None:
            return {}
        if not callable(self.value):
            one = _checked("initial", self.value, shapes, unused, dtype)
            return {name: np.repeat(array[None], count, axis=0) for name, array in one.items()}
        given = [
            _checked(f"initial({index})", self.value(index), shapes, unused, dtype)
            for index in range(first, first + count)
        ]
        if any(one.keys() != given[0].keys() for one in given):
            raise value_error("initial", "must give the same parameters for every index")
        return {name: np.stack([one[name] for one in given]) for name in given[0]}


def checked_initial(initial: object, *, stored: bool) -> Given:
    """Check the argument `initial` of :func:`vgsim.train`, as far as networks do not matter.

    Raises
    ------
    TypeError, ValueError
        If it is neither a mapping nor callable; or if it is a callable without a name that lasts,
        and there is a store.

    Examples
    --------
    >>> from vgsim._training.initial import checked_initial
    >>> checked_initial(3, stored=False)
    Traceback (most recent call last):
    TypeError: initial must be a mapping of names to arrays or a callable of the index, got 3
    """
    if initial is None:
        return Given("drawn", None)
    if isinstance(initial, Mapping):
        content = hashlib.sha256()
        if wrong := [name for name in initial if not isinstance(name, str)]:
            raise type_error("initial", f"must have strings as names, got {brief(wrong[0])}")
        for name, value in sorted(initial.items()):
            array = real_array(f"initial[{name!r}]", value, "must be an array of real numbers")
            content.update(repr((name, array.shape)).encode())
            content.update(np.ascontiguousarray(array, dtype="<f8").data)
        return Given(f"sha256:{content.hexdigest()}", initial)
    if not callable(initial):
        problem = "must be a mapping of names to arrays or a callable of the index"
        raise type_error("initial", f"{problem}, got {brief(initial)}")
    if not getattr(initial, "__qualname__", ""):
        if stored:
            problem = "must be a function with a name, by which a store compares it"
            raise type_error("initial", f"{problem}, got {brief(initial)}")
        return Given("given by index", initial)
    function = FunctionDomain().check("initial", initial)
    if stored and not function.lasts:
        problem = "must be a function that a later session finds by its name"
        raise value_error("initial", f"{problem}, got {function.name!r}")
    return Given(function.name, initial)


def _checked(where: str, parameters: Any, shapes: Shapes, unused: Shapes, dtype: str) -> Arrays:
    """Return one set of parameters."""
    if not isinstance(parameters, Mapping):
        problem = f"must be a mapping of names to arrays, got {brief(parameters)}"
        raise type_error(where, problem)
    found = {}
    for name, value in parameters.items():
        if name in unused:
            continue
        if name not in shapes:
            problem = f"must hold nothing else than {brief(list(shapes))}, got {name!r}"
            raise value_error(where, problem)
        label = f"{where}[{name!r}]"
        array = real_array(label, value, "must be an array of real numbers")
        if array.shape != shapes[name]:
            raise value_error(label, f"must have shape {shapes[name]}, got {array.shape}")
        if not np.isfinite(array).all():
            raise value_error(label, "must be finite, got NaN or infinity")
        require_range(label, array, dtype)
        found[name] = array.astype(dtype)
    return found
