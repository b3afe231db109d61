"""Numbers in what is shown: masked for those who may not read them, logged for those who do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any

import msgspec

from stream.api.access.caller import Caller
from stream.archive.questions import StoredCall
from stream.core.call.state import HASH_OF
from stream.core.privacy.masking import Privacy

KEYS_IN_A_LINE = 20
HASHES = frozenset(HASH_OF.values())
"""Beside a mask, a hash would tell which calls are of one number."""


class _OfThread(threading.local):
    """Masking, for each thread its own: a `Privacy` has state while it works.

    It is idempotent: what the worker has masked already stays as it is.
    """

    def __init__(self) -> None:
        self.privacy = Privacy("masked")


_OF_THREAD = _OfThread()

log = logging.getLogger("callstream.api.audit")


def shown(record: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """A call record, an event, an alert or a provider's row as this caller may see it."""
    if caller.reads_numbers:
        return record
    masked: dict[str, Any] = _OF_THREAD.privacy.json(record)
    return {name: value for name, value in masked.items() if name not in HASHES}


def shown_call(call: StoredCall, caller: Caller) -> StoredCall:
    """A call of a list as this caller may see it."""
    if caller.reads_numbers:
        return call
    ends = {"from_": _masked(call.from_), "to": _masked(call.to)}
    record = None if call.record is None else shown(call.record, caller)
    return msgspec.structs.replace(call, **ends, record=record)


def audit(caller: Caller, told: Iterable[tuple[str, dict[str, Any] | StoredCall]]) -> list[str]:
    """Log who has read the numbers of which calls, and return their keys.

    `told`: keys, with what was shown of each. Where only masks or hashes are kept, nobody has read a number,
    and nothing is logged.
    """
    if not caller.reads_numbers:
        return []
    keys = [*dict.fromkeys(key for key, one in told if _has_numbers(one))]
    for at in range(0, len(keys), KEYS_IN_A_LINE):
        log.info("the token %s has read the numbers of %s", caller.name, keys[at : at + KEYS_IN_A_LINE])
    return keys


def _has_numbers(told: dict[str, Any] | StoredCall) -> bool:
    """Whether there is anything in it that another token would not be shown."""
    if isinstance(told, StoredCall):
        return any(_masked(end) != end for end in (told.from_, told.to))
    return bool(_OF_THREAD.privacy.json(told) != told)


def _masked(end: str | None) -> str | None:
    return None if end is None else _OF_THREAD.privacy.address(end)
