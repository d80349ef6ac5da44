"""The results of a study whose networks and settings have given fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vgsim._checks import brief, meant, plain, type_error, value_error
from vgsim._domains import Choice
from vgsim._networks.description import Description
from vgsim._studies.columns import Tasked

__all__ = ["matching"]

OfSetting = Callable[[str, Any], Any]


def matching(
    study: Sequence[Tasked], fields: Mapping[str, Any], of_setting: OfSetting
) -> list[int]:
    """Return the numbers of the results that have all of the given fields: see `Study.find`.

    `of_setting` returns the normal form of the value of a setting, None for other names.

    Examples
    --------
    >>> import vgsim
    >>> from vgsim._studies.find import matching
    >>> study = vgsim.collect(vgsim.sweep(vgsim.MLP, width=8, depth=[5, 50]), max_samples=1000)
    >>> matching(study, {"depth": 50}, lambda name, value: None)
    [1]
    """
    labels = [result.task.labels for result in study]
    known = set().union(*labels)
    if study and (unknown := sorted(fields.keys() - known)):
        near = meant(unknown[0], sorted(known))
        raise value_error(
            unknown[0],
            f"is not a field of any network of the study{near and f' (did you mean {near!r}?)'}"
            f"; those are {', '.join(sorted(known))}",
        )
    wanted = {
        name: _sought(study, name, value, labels, of_setting) for name, value in fields.items()
    }

    def matches(result: Tasked, its: Mapping[str, Any]) -> bool:
        return all(
            name in its and value in (its[name], _of_network(result, name, its[name]))
            for name, value in wanted.items()
        )

    return [i for i, (r, its) in enumerate(zip(study, labels, strict=True)) if matches(r, its)]


def _of_network(result: Tasked, name: str, otherwise: Any) -> Any:
    """Return a field of the network, unless a setting has the same name."""
    return otherwise if name in result.task.setting else getattr(result.network, name, otherwise)


def _sought(
    study: Sequence[Tasked],
    name: str,
    value: Any,
    labels: Sequence[Mapping[str, Any]],
    of_setting: OfSetting,
) -> Any:
    """Return the normal form of a value of a field; raise if the field cannot have it."""
    word, known = plain(value), [its[name] for its in labels if name in its]
    if isinstance(word, str) and word in known:
        return word
    if name == "kind":
        return Choice(tuple(Description.networks)).check(name, value)
    if (normal := of_setting(name, value)) is not None:
        return normal
    set_apart = any(name in result.task.setting for result in study)
    for field in filter(None, (result.network.field(name) for result in study)):
        if set_apart:
            break
        checked = field.check(value)
        return word if isinstance(word, str) else checked
    if word is None and None in known:
        return word
    kinds = {str if isinstance(one, str) else float for one in known if one is not None} or {float}
    if known and not isinstance(word, tuple(kinds | {int} if float in kinds else kinds)):
        allowed = "a string" if str in kinds else "a number"
        raise type_error(name, f"must be {allowed}, got {brief(value)}")
    return word
