"""The state of a scope: an endpoint of the application, or the failures of an account and direction.

Calls tell of it in records of `calls.scopes.v1`; its state is beside the calls in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from stream.core.alerting.episodes import Episode
from stream.core.effects import Observed
from stream.core.events import DecodeError
from stream.core.timestamps import SECOND_US

MINUTE_US = 60 * SECOND_US
HORIZON_MIN = 90
LONGEST_WINDOW_MIN = 60
HALF_LIFE_MIN = 30
"""Of the usual share: what happened an hour ago counts a quarter."""
HISTORY = 50
"""Occurrences of anything that a usual share needs."""
SAMPLES = 5
TOLD_SAMPLES = 20
CODES = 32
"""Different codes of failure that are counted of one scope; the others are counted as one."""
OTHER = "other"
AHEAD_S = 300
"""How far a report may be ahead of the time at which it was written: clocks differ by less."""
LATE_S = 60
"""A tick comes so long after a scope was due only if nothing was processed in between."""
IDLE_S = 86_400
"""A scope of which nothing was heard for so long leaves the table."""


class Told(msgspec.Struct, kw_only=True):
    """What one batch of calls tells about a scope: a record of `calls.scopes.v1`.

    - `heard_us`: the newest `received_at` of its deliveries.
    - `minutes`: by minute of event time (since 1970), how often each counter occurred.
    - `samples`: (counter, event time in microseconds, call key, text), the last TOLD_SAMPLES.
    """

    v: Literal[1] = 1
    kind: Literal["told"] = "told"
    scope: str
    heard_us: int
    minutes: dict[int, dict[str, int]] = {}
    samples: list[tuple[str, int, str, str]] = []

    def add(self, observed: Observed) -> None:
        """One more observation of the batch."""
        self.heard_us = max(self.heard_us, observed.heard_us)
        counts = self.minutes.setdefault(observed.at_us // MINUTE_US, {})
        for name in observed.counters:
            counts[name] = counts.get(name, 0) + 1
        if observed.sample is not None:
            self.samples.append((observed.counters[-1], observed.at_us, *observed.sample))
            if len(self.samples) > TOLD_SAMPLES:
                del self.samples[0]


class Trend(msgspec.Struct, array_like=True):
    """How a condition stood after a minute.

    - `minute`: that minute; `opened`: the minute since which it holds, None while it does not;
      `closed`: the minute in which it held no longer.
    - `bad`, `all`: the usual ones, without those of the window, halved every HALF_LIFE_MIN.
    - `baseline`: their share when it opened.
    - `count`: occurrences since it opened; `confirmed`: the log that has all of them says so.
    - `known`: whether good ones were known, or a usual number, in the newest window.
    - `window`: (minute, bad, all) of the newest window.
    """

    minute: int | None = None
    opened: int | None = None
    closed: int | None = None
    bad: float = 0.0
    all: float = 0.0
    baseline: float | None = None
    count: int = 0
    confirmed: bool = False
    known: bool = True
    threshold: float = 0.0
    window: tuple[int, int, int] = (0, 0, 0)


class Condition(NamedTuple):
    """Which counters a rule compares: `bad` of `all`; `early`: bad ones that a log without good ones told."""

    rule_id: str
    bad: str
    all: str
    early: str | None = None


class Scope(msgspec.Struct, array_like=True):
    """All that is known of one scope.

    - `due_s`: the second from which a tick must look at it; `heard_us`: the newest time that it was told.
    - `minutes`: counts by minute, sorted; `bad_us`: when each bad counter was last told of.
    - `past`: each condition at the horizon; `quiet`: up to which minute a condition is over, because nothing
      more came of it; `episodes`: the newest one of each condition.
    - `resumed_us`: when it was last looked at long after it was due, because no worker ran: that nothing came
      until then says nothing.
    """

    due_s: int
    heard_us: int
    key: str
    minutes: list[tuple[int, dict[str, int]]] = []
    bad_us: dict[str, int] = {}
    samples: dict[str, list[tuple[int, str, str]]] = {}
    past: dict[str, Trend] = {}
    quiet: dict[str, int] = {}
    episodes: dict[str, Episode] = {}
    resumed_us: int = 0

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """(provider, kind, account's id or empty, the rest): an endpoint's URL, a direction."""
        provider, kind, account, rest = self.key.split(":", 3)
        return provider, kind, account, rest


_MARK = b"\xfe"
"""A call's key never begins with it: keys are UTF-8 text."""


def scope_key(scope: str) -> bytes:
    """The key of a scope's state in the table."""
    return _MARK + scope.encode()


def is_scope(key: bytes) -> bool:
    """Whether this entry of the table is a scope."""
    return key[:1] == _MARK and key.count(b":") >= 3


dump_scope = msgspec.msgpack.Encoder().encode
load_scope = msgspec.msgpack.Decoder(Scope).decode
_read_told = msgspec.json.Decoder(Told).decode


def read_told(key: bytes | None, value: bytes | None) -> Told:
    """A record of the scopes topic. Raises DecodeError."""
    try:
        told = _read_told(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(
            "invalid_field", f"the report about a scope cannot be read: {type(error).__name__}"
        ) from None
    if key != told.scope.encode():
        raise DecodeError("key_mismatch", "the record's key is not the scope that it is about")
    parts = told.scope.split(":", 3)
    if len(parts) != 4 or parts[1] not in CONDITIONS:
        raise DecodeError("invalid_field", "the scope is of no known kind")
    return told


def held_back(told: Told, scope: Scope | None, written_us: int) -> Told:
    """A report that is ahead of the time at which it was written, with the newest time that can be true.

    Such a time is that of a gateway or poller whose clock is wrong. Taken as it is, it would be the scope's
    present: all that is true would be older than the horizon and ignored.
    """
    limit_us = written_us + AHEAD_S * SECOND_US
    if told.heard_us <= limit_us:
        return told
    known_us = [minute * MINUTE_US for minute in told.minutes if minute * MINUTE_US <= limit_us]
    if scope is not None and scope.heard_us <= limit_us:
        known_us.append(scope.heard_us)
    newest_us = max(known_us, default=written_us)
    samples = [(name, min(at_us, newest_us), key, text) for name, at_us, key, text in told.samples]
    return msgspec.structs.replace(told, heard_us=newest_us, samples=samples)


CONDITIONS: Mapping[str, tuple[Condition, ...]] = {
    "endpoint": (
        Condition("webhook.failing", "failing", "answers", "reported"),
        Condition("webhook.slow", "slow", "answers"),
        Condition("delivery.callback_missing", "missing", "callbacks"),
    ),
    "failures": (Condition("calls.failing", "", "ended"),),
}
"""By kind of scope. The failures of a scope are a condition for each code that occurs."""


def conditions_of(scope: Scope) -> Iterable[tuple[str, Condition]]:
    """(name within the scope, condition) of everything that may hold, sorted."""
    for one in CONDITIONS[scope.parts[1]]:
        if one.bad:
            if one.bad in scope.bad_us or (one.early or "") in scope.bad_us or one.rule_id in scope.episodes:
                yield one.rule_id, one
        else:
            for code in sorted(scope.bad_us):
                yield code, one._replace(bad=code)
