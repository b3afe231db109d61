"""What the names of an object say of its values, worked out once for names that come together.

The rule of this file: what is remembered is bounded in number and in length, for names and values are their
sender's choice.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from stream.core.privacy.masked_forms import masked_number
from stream.core.privacy.phone_numbers import replaced
from stream.core.privacy.sensitive_names import Kind, kind_of

LONGEST_REMEMBERED = 128
"""Characters of the longest text, or of texts that came together, of which is remembered what is shown."""

REMEMBERED = 32_768
"""Texts of each kind that are remembered."""

MOST_PLANS = 512
MOST_NAMES = 64
LONGEST_NAMES = 4096
"""Characters of all names of an object whose plan is remembered."""


_HEADER_NAMES = ("name", "key", "header", "parameter", "param", "field")
_HEADER_VALUES = ("value", "values")
"""How the two fields of a header or a parameter are called."""


class Plan(NamedTuple):
    """What the names of an object say of its values."""

    kinds: dict[str, Kind | None]
    secrets: list[str]
    texts: list[str]
    addresses: list[str]
    urls: list[str]
    plain: list[str]
    free: list[str]
    others: Callable[[dict[str, Any]], Any] | None
    """The values of `free`, `plain` and `urls` together."""
    harmless: set[Any]
    """Those of which nothing was masked."""
    pair: tuple[str, str] | None
    """The names of a header that is sent as two fields."""
    named: bool
    """A name holds a number or an address itself."""


class Plans:
    """The plans of one privacy mode, with the values that are harmless in it."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._harmless = 0

    def of(self, fields: dict[str, Any]) -> Plan:
        names = tuple(fields)
        plan = self._plans.get(names)
        if plan is None:
            plan = _planned(names)
            if len(names) <= MOST_NAMES and sum(map(len, names)) <= LONGEST_NAMES:
                if len(self._plans) >= MOST_PLANS:
                    self._plans.clear()
                    self._harmless = 0
                self._plans[names] = plan
        return plan

    def remember(self, plan: Plan, told: Any) -> None:
        """Nothing is to be masked of these values of `plan.others`."""
        if len("".join(told)) > LONGEST_REMEMBERED:
            return
        if self._harmless >= REMEMBERED:
            for planned in self._plans.values():
                planned.harmless.clear()
            self._harmless = 0
        plan.harmless.add(told)
        self._harmless += 1

    def remembered(self) -> list[str]:
        """Every text that is remembered."""
        names = [name for planned in self._plans for name in planned]
        return names + [str(told) for plan in self._plans.values() for told in plan.harmless]


def _planned(names: tuple[str, ...]) -> Plan:
    kinds = {name: kind_of(name) for name in names}
    by_kind: dict[Kind, list[str]] = {
        kind: [] for kind in ("secret", "digits", "text", "address", "url", "plain", "free")
    }
    for name, kind in kinds.items():
        by_kind[kind or "free"].append(name)
    lowered = {name.lower(): name for name in names}
    header = next((lowered[one] for one in _HEADER_NAMES if one in lowered), None)
    content = next((lowered[one] for one in _HEADER_VALUES if one in lowered), None)
    return Plan(
        kinds,
        by_kind["secret"] + by_kind["digits"],
        by_kind["text"],
        by_kind["address"],
        by_kind["url"],
        by_kind["plain"],
        by_kind["free"],
        itemgetter(*others) if (others := by_kind["free"] + by_kind["plain"] + by_kind["url"]) else None,
        set(),
        (header, content) if header is not None and content is not None else None,
        any(replaced(name, masked_number) != name for name in names),
    )
