"""An archive with calls of the last hour: those of `tests/replay/traces`, moved to now, with own ids."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from stream.archive.reader import Archive
from tests.api.clients import ACCOUNT_A, ACCOUNT_B
from tests.archive.kept import an_archive, told_by
from tests.replay.replaying import read_trace, written_by

STARTED = datetime(2026, 3, 2, 10, tzinfo=UTC)
"""When the calls of all traces began."""

FOREIGN = "twilio:CA" + "0" * 24 + "88880000"
"""A call of another account."""

FAILING = "webhook-fails-with-fallback"
MISSING = "gap-expired"
EDGES = "client-network-trouble"
TRACES = (
    "amd", "busy", "canceled-while-queued", EDGES, "conflict-of-durations", MISSING, "gap-healed-by-a-poll",
    "recording-after-end", "spam-block", "telnyx-v1-v2-mix", FAILING,
)  # fmt: skip

MASKS = {b"+15*******06": b"+15005550006", b"+15*******09": b"+15005550009"}
"""Of the traces' numbers. With CALLSTREAM_PRIVACY=full the numbers are kept."""

Record = tuple[str, bytes | None, bytes | None]

_CALL_ID = re.compile(rb"(CA[0-9a-f]{24}|c3f1d6a0-0000-11ef-8000-0242)[0-9a-f]{8}")
_TIME = re.compile(rb"2026-03-02T1\d:\d\d:\d\d(?:\.\d+)?Z")


def moved(
    records: Iterable[Record],
    started: datetime,
    call: str,
    account: str = ACCOUNT_A,
    masks: Mapping[bytes, bytes] = MASKS,
) -> list[Record]:
    """The records of a trace as of a call that began at another time. `call`: eight digits of its ids."""
    by = started - STARTED

    def at(found: re.Match[bytes]) -> bytes:
        then = datetime.fromisoformat(found[0].decode()) + by
        return then.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()

    def changed(text: bytes | None) -> bytes | None:
        if text is None:
            return None
        text = _TIME.sub(at, text)
        # The ids of events and alerts differ with the call, as they do in truth.
        text = re.sub(
            rb'"(id|episode_id|fingerprint|event_id)":"[0-9a-f]{8}', rb'"\1":"' + call.encode(), text
        )
        text = text.replace(b"AC" + b"0a" * 16, account.encode())
        for mask, number in masks.items():
            text = text.replace(mask, number)
        return _CALL_ID.sub(rb"\g<1>" + call.encode(), text)

    return [(role, changed(key), changed(value)) for role, key, value in records]


@cache
def replayed(trace: str) -> tuple[Record, ...]:
    """What a worker writes of a trace, conditions over many calls included."""
    return tuple(told_by(written_by(read_trace(trace))))


def _open_condition(now: datetime) -> list[Record]:
    """The alert about a failing endpoint, before it recovers."""
    told = moved(replayed("failing-endpoint-that-recovers"), now - timedelta(minutes=20), "99990000")
    firing = [one for one in told if one[0] == "alerts" and b'"webhook.failing"' in (one[2] or b"")]
    return firing[:1]


@contextmanager
def stored(
    folder: Path, now: datetime, traces: tuple[str, ...] = TRACES, times: int = 1
) -> Iterator[Archive]:
    """An archive with each trace so many times, spread over the hour before `now`; and a call of another
    account.
    """
    chance = random.Random(7)
    with an_archive(folder) as (keeper, archive):
        for number in range(times):
            for place, trace in enumerate(traces):
                began = now - timedelta(seconds=chance.uniform(60, 3500))
                keeper.keep(moved(replayed(trace), began, f"{number:04d}{place:04d}"))
        keeper.keep(moved(replayed("busy"), now - timedelta(minutes=5), FOREIGN[-8:], ACCOUNT_B))
        keeper.keep(_open_condition(now))
        yield archive


def key_of(trace: str, number: int = 0) -> str:
    """The key of a stored call of Twilio."""
    return f"twilio:CA{'0' * 24}{number:04d}{TRACES.index(trace):04d}"
