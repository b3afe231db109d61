"""How the values of an object are masked, derived once from names that often come together.

The caches are bounded in number and in length, because the sender chooses names and values.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from stream.core.privacy.free_text import REDACTED, without_secrets
from stream.core.privacy.phone_numbers import masked_number, replaced
from stream.core.privacy.sensitive_names import Kind, kind_of

LONGEST_CACHED = 128
"""Characters of the longest text, or of all texts of an object, that is cached."""

CACHE_SIZE = 32_768
"""The number of texts of each kind that are cached."""

MAX_PLANS = 512
MAX_NAMES = 64
LONGEST_NAMES = 4096
"""Characters of all names of an object whose plan is cached."""


_HEADER_NAMES = ("name", "key", "header", "parameter", "param", "field")
_HEADER_VALUES = ("value", "values")
"""The names of the two fields of a header or a parameter."""


class FieldPlan(NamedTuple):
    """How the values of an object are masked: its names by kind."""

    kinds: dict[str, Kind | None]
    secrets: list[str]
    texts: list[str]
    text_values: Callable[[dict[str, Any]], tuple[Any, ...]]
    """Gives the values of `texts`."""
    redacted: dict[str, str]
    """`texts`, each redacted."""
    addresses: list[str]
    urls: list[str]
    plain: list[str]
    free: list[str]
    others: Callable[[dict[str, Any]], tuple[Any, ...]]
    """Gives the values of `free`, `plain` and `urls` together."""
    harmless: set[tuple[Any, ...]]
    """Values of `others` in which nothing had to be masked."""
    pair: tuple[str, str] | None
    """The names of the two fields, if the object is a header."""
    by_value: bool
    """Each value is looked at by itself: it is a header, or a value may be a form that cannot be parsed."""
    named: bool
    """A name itself contains a number, an address or a secret."""


class FieldPlans(dict[tuple[str, ...], FieldPlan]):
    """The plans of one privacy mode by names, with the values that need no masking in it."""

    def __init__(self) -> None:
        super().__init__()
        self._harmless = 0

    def __missing__(self, names: tuple[str, ...]) -> FieldPlan:
        plan = _plan_of(names)
        if len(names) <= MAX_NAMES and sum(map(len, names)) <= LONGEST_NAMES:
            if len(self) >= MAX_PLANS:
                self.clear()
                self._harmless = 0
            self[names] = plan
        return plan

    def add_harmless(self, plan: FieldPlan, values: tuple[Any, ...]) -> None:
        """Cache that nothing is to be masked in these values of `plan.others`."""
        if len("".join(values)) > LONGEST_CACHED:
            return
        if self._harmless >= CACHE_SIZE:
            for planned in self.values():
                planned.harmless.clear()
            self._harmless = 0
        plan.harmless.add(values)
        self._harmless += 1


def _values_of(names: list[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Gives the values of these names as a tuple, which `itemgetter` does of two names and more."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda fields: tuple(fields[name] for name in names)


def _plan_of(names: tuple[str, ...]) -> FieldPlan:
    kinds = {name: kind_of(name) for name in names}
    by_kind: dict[Kind, list[str]] = {
        kind: [] for kind in ("secret", "digits", "text", "form", "address", "url", "plain", "free")
    }
    for name, kind in kinds.items():
        by_kind[kind or "free"].append(name)
    lowered = {name.lower(): name for name in names}
    header = next((lowered[one] for one in _HEADER_NAMES if one in lowered), None)
    content = next((lowered[one] for one in _HEADER_VALUES if one in lowered), None)
    pair = (header, content) if header is not None and content is not None else None
    return FieldPlan(
        kinds,
        by_kind["secret"] + by_kind["digits"],
        by_kind["text"],
        _values_of(by_kind["text"]),
        dict.fromkeys(by_kind["text"], REDACTED),
        by_kind["address"],
        by_kind["url"],
        by_kind["plain"],
        by_kind["free"],
        _values_of(by_kind["free"] + by_kind["plain"] + by_kind["url"]),
        set(),
        pair,
        pair is not None or bool(by_kind["form"]),
        any(replaced(without_secrets(name), masked_number) != name for name in names),
    )
