"""Numbers in what is shown: masked for those who may not read them, logged for those who do."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stream.api.access.caller import Caller
from stream.archive.questions import StoredCall
from stream.core.privacy.masking import Privacy

KEYS_IN_A_LINE = 20

_PRIVACY = Privacy("masked")
"""Masking is idempotent: what the worker has masked already stays as it is."""

audit_log = logging.getLogger("callstream.api.audit")


def shown(record: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """A call record, an event or an alert as this caller may see it."""
    if caller.reads_numbers:
        return record
    masked: dict[str, Any] = _PRIVACY.json(record)
    return masked


def shown_call(call: StoredCall, caller: Caller) -> StoredCall:
    """A call of a list as this caller may see it."""
    if caller.reads_numbers:
        return call
    ends = {"from_": _masked(call.from_), "to": _masked(call.to)}
    record = None if call.record is None else shown(call.record, caller)
    return msgspec.structs.replace(call, **ends, record=record)


def audit(caller: Caller, told: Iterable[tuple[str, Mapping[str, Any] | StoredCall]]) -> None:
    """Log who has read the numbers of which calls; `told`: keys, with what was shown of each.

    Where only masks or hashes are kept, nobody has read a number, and nothing is logged.
    """
    if not caller.reads_numbers:
        return
    keys = [*dict.fromkeys(key for key, one in told if any(map(is_number, _ends(one))))]
    for at in range(0, len(keys), KEYS_IN_A_LINE):
        audit_log.info("the token %s has read the numbers of %s", caller.name, keys[at : at + KEYS_IN_A_LINE])


def is_number(end: Any) -> bool:
    """Whether it is a number or an address as a provider sends it, not a mask or a hash."""
    return isinstance(end, str) and _masked(end) != end


def _ends(of: Mapping[str, Any] | StoredCall) -> tuple[Any, Any]:
    if isinstance(of, StoredCall):
        return of.from_, of.to
    return of.get("from"), of.get("to")


def _masked(end: str | None) -> str | None:
    return None if end is None else _PRIVACY.address(end)
