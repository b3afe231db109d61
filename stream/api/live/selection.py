"""What a subscriber follows, and one record as it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from stream.api.access.caller import Caller
from stream.api.numbers import shown

KINDS = ("event", "call", "alert")


class LiveSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are followed, of the accounts of `caller`. An empty field lets everything through.

    A field that a kind of record does not have lets none of that kind through.
    """

    caller: Caller
    kinds: frozenset[str] = frozenset(KINDS)
    accounts: frozenset[str] | None = None
    fields: Mapping[str, frozenset[str]] = {}
    """Values by the name in FIELDS."""

    def admits(self, record: LiveRecord) -> bool:
        """Whether a subscriber is sent this record."""
        account = _field(record.value, "account")
        return (
            record.kind in self.kinds
            and self.caller.may_read(account)
            and (self.accounts is None or account in self.accounts)
            and all(_field(record.value, name) in values for name, values in self.fields.items())
        )


FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "account": (("account",),),
    "key": (("key",), ("scope", "id")),
    "provider": (("provider",),),
    "status": (("status",), ("call", "status")),
    "outcome": (("outcome",), ("call", "outcome")),
    "fault": (("verdict", "fault"), ("call", "verdict", "fault")),
    "family": (("family",),),
    "level": (("level",),),
    "severity": (("severity",),),
    "rule": (("rule", "id"),),
}
"""Where the fields that one filters by are: the first of these paths that a record has."""


def _field(value: Any, name: str) -> str | None:
    for path in FIELDS[name]:
        found = value
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    return None


class LiveRecord:
    """A record of a topic. Its JSON is made once for all subscribers that see the same of it."""

    def __init__(self, kind: str, value: dict[str, Any], position: str) -> None:
        """`position`: of the stream, behind this record."""
        self.kind = kind
        self.value = value
        self.position = position

    @property
    def key(self) -> str:
        return str(_field(self.value, "key"))

    @cached_property
    def _full(self) -> bytes:
        return msgspec.json.encode(self.value)

    @cached_property
    def _masked(self) -> bytes:
        return msgspec.json.encode(shown(self.value, _MASKED))

    def json(self, caller: Caller) -> bytes:
        """As this caller may see it."""
        return self._full if caller.reads_numbers else self._masked


_MASKED = Caller("", None, False)
