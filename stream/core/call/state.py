"""What is known of one call: the state that the table keeps for each call key.

The rule of this file: everything but `arrival`, `fetches` and `complete` is a join. Merging is commutative,
associative and idempotent, so the same deliveries leave the same knowledge in whatever order and however
often they come.
What depends on arrival (counters, revisions, what was already said, what is being read) is apart.

In the store a call is MessagePack, fields by position: a new field goes to the end, with a default. The first
fields are `Head`'s, so that recovery reads them without the rest.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import msgspec

from stream.core.call.identity_pages import Pages
from stream.core.events import Event, Recording
from stream.core.sources import SOURCE_BIT, TELNYX_TEXML_CALLBACK, TWILIO_CALL
from stream.core.statuses import RANK, TERMINAL

LIFECYCLE_CAP = 64
TIMELINE_CAP = 48
SEEN_INLINE = 256
"""So many identities are kept in the state itself; with more, all of them are in pages (see `pages`)."""
SEEN_CAP = 65_536
"""So many identities are remembered of a call, its life cycle not counted."""
NUMBERS_KEPT = 256
"""Sequence numbers below this are watched for gaps."""
VALUES_CAP = 8

QUALITIES: tuple[str, ...] = ("exact", "second", "derived", "received", "unknown")
QUALITY_CODE: dict[str, int] = {quality: code for code, quality in enumerate(QUALITIES)}

LOGS = frozenset({"insights", "request_log"})
"""Families whose events are identified by their whole content (rung 4), the time in it included."""

AUTHORITY_RESOURCE, AUTHORITY_PROGRESS, AUTHORITY_OTHER = 3, 2, 1

_TEXML = SOURCE_BIT[TELNYX_TEXML_CALLBACK]


class Entry(msgspec.Struct, array_like=True):
    """One logical event, as much of it as the state keeps.

    `fingerprint` is its identity (64 bits of the id), `quality` an index of QUALITIES, `sources` a bit mask
    over `sources.SOURCES` of who reported it, `authority` how much its status counts (3 the Calls resource or
    a Telnyx hangup, 2 a progress callback, 1 everything else), `hangup` Telnyx' cause where the status
    depends on an answer.
    """

    fingerprint: int
    family: str
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
    level: str | None = None
    edge: str | None = None

    def place(self) -> tuple[int, int, str, str, int]:
        """Where it stands in the timeline: by time, number, family, name; unknown times come last."""
        at = self.at_us if self.at_us is not None else 1 << 62
        number = self.number if self.number is not None else 1 << 30
        return (at, number, self.family, self.name, self.fingerprint)

    def precedence(self) -> tuple[int, int, int]:
        """Which of too many are kept, lowest first: all but logs, then of the logs the earliest.

        It never changes for an event, or what is kept would depend on who came first: a log's time is part of
        its identity, another event's may still become an earlier one.
        """
        if self.family in LOGS:
            return (1, self.at_us if self.at_us is not None else 1 << 62, self.fingerprint)
        return (0, 0, self.fingerprint)

    def weight(self) -> tuple[int, int, int, int]:
        """How strongly its status counts: the highest terminal weight decides the call's status."""
        number = self.number if self.number is not None else -1
        return (self.authority, number, RANK.get(self.status or "", -1), self.fingerprint)

    def merge(self, other: Entry) -> None:
        """Take in another report of the same event: the earliest time, and of other values what is more."""
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


class Arrival(msgspec.Struct, array_like=True):
    """What depends on the order of arrival: counters and what has been said already. Never compared.

    `revision` of the last record, `content` a 64-bit hash of what it said; `ended_us` when (stream time)
    the call was first seen terminal, or first read where the worker was away meanwhile; `gaps` the missing
    numbers that were reported as gaps; `failed_alert` whether `call.failed` was raised; `gap_due_us` when a
    gap's grace ends, 0 for none; `conflict` whether a conflict of terminal statuses was counted; `missed` a
    bit mask of the sources that could not be read to their end; `reconciled` whether callbacks and resources
    were compared.
    """

    deliveries: int = 0
    duplicates: int = 0
    late: int = 0
    first_us: int = 0
    last_us: int = 0
    ended_us: int = 0
    revision: int = 0
    content: int = 0
    failed_alert: bool = False
    gap_due_us: int = 0
    gaps: list[int] = []
    conflict: bool = False
    missed: int = 0
    reconciled: bool = False


class Fetch(msgspec.Struct, array_like=True):
    """Something that is to be read of a call; see `schedule`.

    - `source`: index of `sources.FETCHED_SOURCES`; `edge`: index of `schedule.EDGES`, -1 for none.
    - `due_s`: from which second on it is to be asked for, 0 while a result is awaited.
    - `step`: of its ladder; `attempt`: how often it was asked for; `errors`: how often in a row for nothing.
    - `content`: of the last read, 0 for none; `overdue`: read because the call's end is missing.
    - `asked_s`: the second, by stream time, at which it was asked for last.
    """

    source: int
    edge: int
    due_s: int
    step: int = 0
    attempt: int = 0
    errors: int = 0
    content: int = 0
    overdue: bool = False
    asked_s: int = 0


class Head(msgspec.Struct, array_like=True):
    """The first fields of a stored call: what recovery needs of each."""

    due_s: int
    ended: bool
    overdue: bool
    gaps_open: int
    account: str | None
    direction: str | None


class Call(msgspec.Struct, array_like=True):
    """All that is known of one call.

    - `due_s`: the second (Unix time) from which a tick must look at it.
    - `ended`: a terminal event was seen; `overdue`: it is older than a call should be, and none was;
      `gaps_open`: how many missing numbers were reported and are still missing.
    - `account`, `direction`: as in `facts`.
    - `facts`: what is said of the call as a whole; `as_of_us`: how new, for those of a changing resource;
      `disputed`: all values of the facts that sources disagree on, sorted, at most 8 each.
    - `lifecycle`: events that carry a status, in no order, at most 64, the weightiest; `others`: the rest of
      the timeline, at most 48, by precedence; `seen`: sorted fingerprints of all events that are not in
      `lifecycle`, as long as they are few; `paged`: how many there are in pages, 0 while they are here.
    - `truncated`: there were more events than are remembered, and some were not taken in.
    - `families`, `levels`: counts of distinct events.
    - `fetches`: what is to be read of it; `complete`: bit mask of the sources that were read to their end.
    - `proven`: `account` owns the call, see `ownership`.
    """

    due_s: int
    ended: bool
    overdue: bool
    gaps_open: int
    account: str | None
    direction: str | None
    key: str
    arrival: Arrival
    facts: dict[str, str] = {}
    as_of_us: dict[str, int] = {}
    disputed: dict[str, list[str]] = {}
    lifecycle: list[Entry] = []
    others: list[Entry] = []
    seen: list[int] = []
    families: dict[str, int] = {}
    levels: dict[str, int] = {}
    edges: list[str] = []
    error_codes: list[str] = []
    recordings: list[Recording] = []
    sources: int = 0
    fetches: list[Fetch] = []
    complete: int = 0
    proven: bool = False
    paged: int = 0
    truncated: bool = False

    def claim(self, name: str, value: str, as_of_us: int) -> str | None:
        """Take in a fact. The newest resource wins, then the greater text; what lost is disputed, not
        forgotten.

        Returns the name if this is the first time that sources disagree on it, else None.
        """
        known = self.facts.get(name)
        if known is None:
            self.facts[name] = value
            if as_of_us:
                self.as_of_us[name] = as_of_us
            return None
        rank = self.as_of_us.get(name, 0)
        if known == value:
            if as_of_us > rank:
                self.as_of_us[name] = as_of_us
            return None
        if (as_of_us, value) > (rank, known):
            self.facts[name] = value
            if as_of_us:
                self.as_of_us[name] = as_of_us
        return self._dispute(name, known, value)

    def _dispute(self, name: str, known: str, value: str) -> str | None:
        if name in UPDATED:
            return None
        values = self.disputed.get(name)
        if values is None:
            self.disputed[name] = sorted((known, value))
            return name
        if value not in values:
            insort(values, value)
            del values[VALUES_CAP:]
        return None

    @property
    def whole(self) -> bool:
        """All that is read after its end was read."""
        return bool(self.complete) and not self.fetches and not self.arrival.missed

    @property
    def is_texml(self) -> bool:
        """Its key is a CallSid, which is no leg: nothing can be asked about it."""
        return bool(self.sources & _TEXML)

    def unplaced_numbers(self) -> int:
        """Bit set of the sequence numbers of progress events whose status nobody knows."""
        numbers = 0
        for entry in self.others:
            if entry.number is not None and entry.family == "progress" and entry.number < NUMBERS_KEPT:
                numbers |= 1 << entry.number
        return numbers

    def knows(self, fingerprint: int, pages: Pages) -> Entry | bool:
        """The event with this identity: its entry, True if it is known without one, False if it is new."""
        for entry in self.lifecycle:
            if entry.fingerprint == fingerprint:
                return entry
        if self.paged:
            if not pages.has(self.key, fingerprint):
                return False
        else:
            seen = self.seen
            if not seen:
                return False
            at = bisect_left(seen, fingerprint)
            if at == len(seen) or seen[at] != fingerprint:
                return False
        for entry in self.others:
            if entry.fingerprint == fingerprint:
                return entry
        return True

    def has_room(self, entry: Entry) -> bool:
        """Can a new event be taken in, so that it is known when it comes again?

        Of a full memory's life cycle the weightiest are kept, and what is forgotten of it is never among
        them: so it is not taken in a second time.
        """
        if (self.paged or len(self.seen)) < SEEN_CAP:
            return True
        if entry.status is None:
            return False
        return len(self.lifecycle) < LIFECYCLE_CAP or _standing(entry) > min(map(_standing, self.lifecycle))

    def add(self, entry: Entry, pages: Pages) -> None:
        """Take in a new event, for which there is room."""
        self.families[entry.family] = self.families.get(entry.family, 0) + 1
        if entry.status is not None:
            self.lifecycle.append(entry)
            if len(self.lifecycle) > LIFECYCLE_CAP:
                self._shed(pages)
            return
        self._remember(entry.fingerprint, pages)
        insort(self.others, entry, key=Entry.precedence)
        del self.others[TIMELINE_CAP:]

    def _shed(self, pages: Pages) -> None:
        """More life-cycle events than a call can have: keep the weightiest, remember that the other was
        seen.
        """
        self.lifecycle.sort(key=_standing, reverse=True)
        self._remember(self.lifecycle.pop().fingerprint, pages)

    def _remember(self, fingerprint: int, pages: Pages) -> None:
        if (self.paged or len(self.seen)) >= SEEN_CAP:
            self.truncated = True
            return
        if not self.paged:
            insort(self.seen, fingerprint)
            if len(self.seen) <= SEEN_INLINE:
                return
            moving, self.seen = self.seen, []
        else:
            moving = [fingerprint]
        for one in moving:
            pages.add(self.key, one)
        self.paged += len(moving)

    def record_recording(self, said: Recording) -> bool:
        """Take in what is said of a recording: its furthest status, its longest duration. True if that is
        news.
        """
        for at, known in enumerate(self.recordings):
            if known.id == said.id:
                durations = [d for d in (known.duration_s, said.duration_s) if d is not None]
                status = max(known.status, said.status, key=lambda s: (RECORDING_RANK.get(s, 0), s))
                self.recordings[at] = Recording(said.id, status, max(durations, default=None))
                return self.recordings[at] != known
        insort(self.recordings, said, key=lambda recording: recording.id)
        del self.recordings[TIMELINE_CAP:]
        return True


def _standing(entry: Entry) -> tuple[bool, tuple[int, int, int, int]]:
    """By which of too many life-cycle events the weightiest are kept."""
    return entry.status in TERMINAL, entry.weight()


UPDATED = frozenset({"price", "price_unit"})
"""Facts that a provider fills in or changes later: an update, not a disagreement."""

RECORDING_RANK: dict[str, int] = {
    "in-progress": 1,
    "paused": 2,
    "absent": 3,
    "failed": 4,
    "completed": 5,
    "saved": 5,
}


def entry_of(event: Event, fingerprint: int, at_us: int | None, source_bit: int, hangup: str | None) -> Entry:
    """The entry for an event, with the authority that its source and family give it."""
    if event.family == "progress":
        authority = AUTHORITY_RESOURCE if hangup is not None else AUTHORITY_PROGRESS
    elif event.source == TWILIO_CALL:
        authority = AUTHORITY_RESOURCE
    else:
        authority = AUTHORITY_OTHER
    return Entry(
        fingerprint,
        event.family,
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
        event.level,
        event.edge,
    )


def new_call(key: str, account: str | None) -> Call:
    """A call that is heard of for the first time."""
    return Call(0, False, False, 0, account, None, key, Arrival())


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Call).decode
_decode_head = msgspec.msgpack.Decoder(Head).decode


def dump(call: Call) -> bytes:
    """A call as the store and the changelog keep it."""
    return _encode(call)


def load(stored: bytes) -> Call:
    """A call from the store. Raises msgspec.DecodeError where it is not one."""
    return _decode(stored)


def load_head(stored: bytes) -> Head:
    """The first fields of a stored call, at a fraction of the cost."""
    return _decode_head(stored)
