"""One logical event of a call, as much of it as the call's state keeps.

Merging two reports of an event is commutative, associative and idempotent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from stream.core.events import FAMILIES, Event
from stream.core.insights_edges import EDGES
from stream.core.sources import TWILIO_CALL
from stream.core.statuses import RANK, TERMINAL

QUALITIES: tuple[str, ...] = ("exact", "second", "derived", "received", "unknown")
QUALITY_CODE: dict[str, int] = {quality: code for code, quality in enumerate(QUALITIES)}

LEVELS: tuple[str, ...] = ("debug", "info", "warning", "error")
LEVEL_CODE: dict[str, int] = {level: code for code, level in enumerate(LEVELS)}

FAMILY_CODE: dict[str, int] = {family: code for code, family in enumerate(FAMILIES)}
PROGRESS = FAMILY_CODE["progress"]
EDGE_CODE: dict[str, int] = {edge: code for code, edge in enumerate(EDGES)}

LOGS = frozenset(FAMILY_CODE[family] for family in ("insights", "request_log"))
"""Families whose events are identified by their whole content (rule 4), the time in it included."""

_NO_OTHERS = (None, None, None)

AUTHORITY_RESOURCE, AUTHORITY_PROGRESS, AUTHORITY_OTHER = 3, 2, 1


class TimelineEntry(msgspec.Struct, array_like=True, gc=False):
    """One logical event. Its words of a closed vocabulary are stored as numbers: a call has many entries.

    - `fingerprint`: its identity, 64 bits of the id.
    - `family_code`: an index of FAMILIES; `level_code`: of LEVELS; `edge_code`: of EDGES, or the name of
      another edge.
    - `quality`: an index of QUALITIES; `sources`: the bits of the sources that reported it.
    - `authority`: how much its status counts (3 the Calls resource or a Telnyx hangup, 2 a progress callback,
      1 everything else).
    - `hangup`: Telnyx' cause where the status depends on whether the call was answered.
    - `others`: the latest time, the least duration and the lowest SIP code that it was reported with, each
      None unless it differs from its own; None if none differs.
    """

    fingerprint: int
    family_code: int
    name: str
    status: str | None = None
    number: int | None = None
    at_us: int | None = None
    quality: int = 4
    sources: int = 0
    authority: int = AUTHORITY_OTHER
    sip_response_code: int | None = None
    duration_s: float | int | None = None
    hangup: str | None = None
    level_code: int | None = None
    edge_code: int | str | None = None
    others: tuple[int | None, float | int | None, int | None] | None = None

    @property
    def family(self) -> str:
        return FAMILIES[self.family_code]

    @property
    def level(self) -> str | None:
        return None if self.level_code is None else LEVELS[self.level_code]

    @property
    def edge(self) -> str | None:
        code = self.edge_code
        return EDGES[code] if isinstance(code, int) else code

    def sort_key(self) -> tuple[int, int, str, str, int]:
        """Its position in the timeline: by time, number, family, name. Unknown times come last."""
        at = self.at_us if self.at_us is not None else 1 << 62
        number = self.number if self.number is not None else 1 << 30
        return (at, number, FAMILIES[self.family_code], self.name, self.fingerprint)

    def is_behind_any(self, others: Iterable[TimelineEntry]) -> bool:
        """Whether a successor of this progress event is among others that came before it."""
        if self.family_code != PROGRESS:
            return False
        number, at_us = self.number, self.at_us
        for other in others:
            if other.family_code != PROGRESS:
                continue
            if number is not None and other.number is not None:
                if other.number > number:
                    return True
            elif at_us is not None and other.at_us is not None and other.at_us > at_us:
                return True
        return False

    def retention_key(self) -> tuple[int, int, int]:
        """Which entries are kept when there are too many, lowest first: all but logs, then the earliest logs.

        The key never changes for an event, otherwise the order of arrival would decide what is kept. A log's
        time is part of its identity; another event's time may still be replaced by an earlier one.
        """
        if self.family_code in LOGS:
            return (1, self.at_us if self.at_us is not None else 1 << 62, self.fingerprint)
        return (0, 0, self.fingerprint)

    def status_precedence(self) -> tuple[int, int, int, int]:
        """How strongly its status counts: the terminal entry with the highest precedence decides the call's
        status.
        """
        number = self.number if self.number is not None else -1
        return (self.authority, number, RANK.get(self.status or "", -1), self.fingerprint)

    def lifecycle_precedence(self) -> tuple[bool, tuple[int, int, int, int]]:
        """Which of too many life-cycle entries are kept, highest first: terminal ones before the others."""
        return self.status in TERMINAL, self.status_precedence()

    def standing(self) -> tuple[Any, ...]:
        """What it has to say in how the call ended, and in what sources disagree."""
        return (self.status, self.authority, self.hangup, self.sip_response_code, self.others)

    def times(self) -> tuple[int, int] | None:
        """The earliest and the latest time that it was reported with."""
        at_us = self.at_us
        return None if at_us is None else (at_us, at_us if self.others is None else self.others[0] or at_us)

    def durations(self) -> tuple[float | int, float | int] | None:
        """The least and the greatest duration that it was reported with."""
        most = self.duration_s
        least = self.others[1] if self.others is not None else None
        return None if most is None else (most if least is None else least, most)

    def sip_response_codes(self) -> tuple[int, int] | None:
        """The lowest and the highest SIP code that it was reported with."""
        highest = self.sip_response_code
        return (
            None
            if highest is None
            else (highest if self.others is None else self.others[2] or highest, highest)
        )

    def _note_others(self, other: TimelineEntry) -> None:
        """Keep what another report says in place of the values that will win."""
        if (
            self.others is None
            and self.at_us == other.at_us
            and self.duration_s == other.duration_s
            and self.sip_response_code == other.sip_response_code
        ):
            return
        mine, theirs = (
            (entry.times(), entry.durations(), entry.sip_response_codes()) for entry in (self, other)
        )
        times, durations, codes = (
            tuple(sorted((*(one or ()), *(another or ())))) for one, another in zip(mine, theirs, strict=True)
        )
        found = (
            times[-1] if times and times[-1] != times[0] else None,
            durations[0] if durations and durations[0] != durations[-1] else None,
            codes[0] if codes and codes[0] != codes[-1] else None,
        )
        self.others = None if found == _NO_OTHERS else found

    def merge(self, other: TimelineEntry) -> None:
        """Take in another report of the same event: the earliest time, and the greater of other values."""
        self._note_others(other)
        self.sources |= other.sources
        if other.at_us is not None:
            mine = (self.at_us, self.quality) if self.at_us is not None else (1 << 62, 4)
            self.at_us, self.quality = min(mine, (other.at_us, other.quality))
        self.authority = max(self.authority, other.authority)
        if self.status is not None and other.status is not None:
            self.status = max(self.status, other.status, key=RANK.__getitem__)
        if other.sip_response_code is not None:
            self.sip_response_code = max(self.sip_response_code or 0, other.sip_response_code)
        if other.duration_s is not None:
            self.duration_s = (
                other.duration_s if self.duration_s is None else max(self.duration_s, other.duration_s)
            )
        if other.hangup is not None:
            self.hangup = max(self.hangup or "", other.hangup)
        if other.level_code is not None:
            self.level_code = max(self.level_code or 0, other.level_code)


def entry_of(
    event: Event, fingerprint: int, at_us: int | None, source_bit: int, hangup: str | None
) -> TimelineEntry:
    """The entry of an event, with the authority that its source and family give it."""
    if event.family == "progress":
        authority = AUTHORITY_RESOURCE if hangup is not None else AUTHORITY_PROGRESS
    elif event.source == TWILIO_CALL:
        authority = AUTHORITY_RESOURCE
    else:
        authority = AUTHORITY_OTHER
    entry = TimelineEntry(
        fingerprint,
        FAMILY_CODE[event.family],
        event.name,
        event.status,
        event.sequence_number,
        at_us,
        QUALITY_CODE[event.occurred_at_quality] if at_us is not None else 4,
        source_bit,
        authority,
        event.sip_response_code,
        event.duration_s,
        hangup,
    )
    if event.level is not None:
        entry.level_code = LEVEL_CODE[event.level]
    if event.edge is not None:
        entry.edge_code = EDGE_CODE.get(event.edge, event.edge)
    return entry
