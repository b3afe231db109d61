"""What is known of one call: the state that the table keeps for each call key.

Everything except `arrival`, `fetches` and `complete` is a join: merging is commutative, associative and
idempotent, so the same deliveries leave the same knowledge, in any order and any number of times.
What depends on the order of arrival (counters, revisions, what was already reported, what is being read) is
kept apart.

In the store a call is MessagePack, fields by position: a new field goes to the end, with a default.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import msgspec

from stream.core.alerting.episodes import CallAlerts
from stream.core.call.identity_pages import Pages
from stream.core.call.timeline_entry import TimelineEntry
from stream.core.delivery.gap_notes import GapNotes
from stream.core.events import Recording, SentCallback
from stream.core.failures import Failure
from stream.core.sources import SOURCE_BIT, TELNYX_TEXML_CALLBACK
from stream.core.verdicts.evidence import Evidence
from stream.core.verdicts.siblings import AnsweredCall

LIFECYCLE_CAP = 64
TIMELINE_CAP = 48
SEEN_INLINE = 256
"""Up to this many identities are kept in the state itself; above it, all of them are in pages (see
`identity_pages`).
"""
SEEN_CAP = 65_536
"""The maximum number of identities that are remembered of a call, its life cycle not counted."""
NUMBERS_KEPT = 256
"""Sequence numbers below this are checked for gaps."""
VALUES_CAP = 8

UPDATED = frozenset({"price", "price_unit", "stir_attestation"})
"""Facts that a provider fills in or changes later: a new value is an update, not a disagreement."""

HASH_OF = {"from": "from_hash", "to": "to_hash"}
NUMBER_OF = {name: number for number, name in HASH_OF.items()}
"""The hash of a number is a fact that goes with it: of numbers that sources disagree on, one pair is kept."""

_TEXML = SOURCE_BIT[TELNYX_TEXML_CALLBACK]


class ArrivalStats(msgspec.Struct, array_like=True):
    """What depends on the order of arrival: counters, and what was already reported. Never compared.

    - `revision`: of the last record; `content`: a 64-bit hash of what it was derived from.
    - `ended_us`: the stream time at which the call was first seen terminal, or first read if the worker was
      down in between.
    - `gaps`: what was reported as missing and still is, see `gaps.gap_of`; `gap_due_us`: when a grace period
      ends, 0 for none; `gap_notes`: None for a call of which nothing was missing.
    - `unused`, `conflict`: keep the positions of removed fields.
    - `reconciled`: callbacks and resources were compared.
    - `missed`: the bits of the sources that could not be read completely.
    - `failures`: the reports of failures that were compared with each other, so that each raises one alert.
    - `lost`: the last entries of the error log that told of a lost callback, so that each requests one read.
    - `told`: a hash of the outcome, the verdict and the conflicts that the last record told.
    - `changed_us`: when the call's record began to say less than is known, 0 while it says all; `revise_us`:
      when the next revision is due, 0 for none.
    - `conflicts`: the fields whose conflict was counted, but for those of facts.
    """

    deliveries: int = 0
    duplicates: int = 0
    late: int = 0
    first_us: int = 0
    last_us: int = 0
    ended_us: int = 0
    revision: int = 0
    content: int = 0
    unused: bool = False
    gap_due_us: int = 0
    gaps: list[int] = []
    conflict: bool = False
    missed: int = 0
    reconciled: bool = False
    failures: tuple[Failure, ...] = ()
    lost: tuple[str, ...] = ()
    told: int = 0
    changed_us: int = 0
    revise_us: int = 0
    gap_notes: GapNotes | None = None
    conflicts: tuple[str, ...] = ()


class Fetch(msgspec.Struct, array_like=True, gc=False):
    """A resource that is to be read for a call; see `schedule`.

    - `source`: index of `sources.FETCHED_SOURCES`; `edge`: index of `insights_edges.EDGES`, -1 for none.
    - `due_s`: the second from which it is to be requested, 0 while a result is awaited.
    - `step`: of its retry schedule; `attempt`: how often it was requested; `errors`: how many requests in a
      row failed.
    - `content`: of the last read, 0 for none; `overdue`: requested because the call's end is missing.
    - `asked_s`: the second, in stream time, of the last request.
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


class Call(msgspec.Struct, array_like=True):
    """All that is known of one call.

    - `due_s`: the second (Unix time) from which a tick must check it.
    - `ended`: a terminal event was seen, or nothing at all (see `placeholder`); `overdue`: none was, and the
      call is older than a call should be; `gaps_open`: how many missing callbacks were reported and are still
      missing.
    - `account`: as in `facts`; `direction`: `inbound`, `outbound` or None.
    - `facts`: what was said of the call as a whole; `as_of_us`: how new each is, if its source is a resource
      that changes; `disputed`: all values of the facts that sources disagree on, sorted, at most 8 each.
    - `lifecycle`: events that carry a status, unordered, at most 64, those with the highest precedence;
      `others`: the rest of the timeline, at most 48, by retention key; `seen`: sorted fingerprints of all
      events that are not in `lifecycle`, as long as they are few; `paged`: how many are in pages, 0 while
      they are here.
    - `truncated`: some events were not applied, because there were more than can be remembered.
    - `families`, `levels`: counts of distinct events.
    - `fetches`: what is to be read for it; `complete`: the bits of the sources that were read completely.
    - `proven`: `account` owns the call, see `ownership`.
    - `children`: the calls that it has dialled, sorted, at most 48.
    - `evidence`: what may say whose fault its end was, at most 8 values of each fact.
    - `forgotten`: it is the mark of a call that was forgotten, see `forgetting`; it knows nothing else.
    - `sent`: the callbacks that the provider's own records say were sent, see `delivery.audit`.
    - `alerts`: None of a call about which nothing was raised.
    - `winners`: its children that were answered; `siblings`: those of its parent, once there are others, see
      `verdicts.siblings`.
    - `winner`: keeps the position of a removed field.
    """

    due_s: int
    ended: bool
    overdue: bool
    gaps_open: int
    account: str | None
    direction: str | None
    key: str
    arrival: ArrivalStats
    facts: dict[str, str] = {}
    as_of_us: dict[str, int] = {}
    disputed: dict[str, list[str]] = {}
    lifecycle: list[TimelineEntry] = []
    others: list[TimelineEntry] = []
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
    children: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    forgotten: bool = False
    sent: tuple[SentCallback, ...] = ()
    winner: str = ""
    alerts: CallAlerts | None = None
    winners: tuple[AnsweredCall, ...] = ()
    siblings: tuple[AnsweredCall, ...] = ()

    def claim(self, name: str, value: str, as_of_us: int) -> bool:
        """Take in a fact. The newest resource wins, then the greater text; the loser is kept as disputed.

        True if that changes what is known.
        """
        known = self.facts.get(name)
        wins = known is None or (as_of_us, value) > (self.as_of_us.get(name, 0), known)
        if wins:
            self.facts[name] = value
            if as_of_us:
                self.as_of_us[name] = as_of_us
            if known != value and name in HASH_OF:
                self.facts.pop(HASH_OF[name], None)
                self.as_of_us.pop(HASH_OF[name], None)
        if known is None or known == value or name in UPDATED:
            return wins and known != value
        values = self.disputed.setdefault(name, [known])
        if value in values:
            return wins
        insort(values, value)
        del values[VALUES_CAP:]
        return wins or value in values

    def claim_hash(self, name: str, value: str, number: str, as_of_us: int) -> bool:
        """Take in the hash of a number that was just claimed, if that is the one kept. True if it is new.

        Of two numbers with one mask, that of the newest resource stays, then the greater hash.
        """
        told, of = self.as_of_us.get, NUMBER_OF[name]
        known = self.facts.get(name, "")
        if (as_of_us, number) != (told(of, 0), self.facts[of]) or (as_of_us, value) <= (told(name, 0), known):
            return False
        self.facts[name] = value
        if as_of_us:
            self.as_of_us[name] = as_of_us
        return value != known

    @property
    def provider(self) -> str:
        """The first part of its key."""
        return self.key.partition(":")[0]

    @property
    def all_reads_done(self) -> bool:
        """Every resource that is read after the call's end was read completely."""
        return bool(self.complete) and not self.fetches and not self.arrival.missed

    @property
    def is_texml(self) -> bool:
        """Its key is a CallSid, which is not a leg: no resource can be requested by it."""
        return bool(self.sources & _TEXML)

    def knows(self, fingerprint: int, pages: Pages) -> TimelineEntry | bool:
        """The entry with this identity; True if it is known but its entry is not kept, False if it is new."""
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

    def has_room(self, entry: TimelineEntry) -> bool:
        """Whether a new event can be remembered, so that its repetition is recognised.

        When the memory is full, only life-cycle entries above the lowest one kept are accepted. A dropped
        entry is never among those, so it is not applied a second time.
        """
        if self.paged < SEEN_CAP:
            return True
        if entry.status is None:
            return False
        if len(self.lifecycle) < LIFECYCLE_CAP:
            return True
        return entry.lifecycle_precedence() > min(known.lifecycle_precedence() for known in self.lifecycle)

    def add(self, entry: TimelineEntry, pages: Pages) -> None:
        """Take in a new event; `has_room` was True for it."""
        family, families = entry.family, self.families
        families[family] = families.get(family, 0) + 1
        if entry.status is not None:
            self.lifecycle.append(entry)
            if len(self.lifecycle) > LIFECYCLE_CAP:
                self._drop_lightest(pages)
            return
        self._remember(entry.fingerprint, pages)
        insort(self.others, entry, key=TimelineEntry.retention_key)
        del self.others[TIMELINE_CAP:]

    def _drop_lightest(self, pages: Pages) -> None:
        """Drop the life-cycle entry with the lowest precedence, and remember that it was seen."""
        self.lifecycle.sort(key=TimelineEntry.lifecycle_precedence, reverse=True)
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

    def adopt(self, child_call_id: str) -> bool:
        """Take in a call that it has dialled. True if that changes anything."""
        before = self.children
        self.children = tuple(sorted({*before, child_call_id})[:TIMELINE_CAP])
        return self.children != before

    def record_recording(self, said: Recording) -> bool:
        """Take in a recording's furthest status and longest duration. True if that changes anything."""
        for at, known in enumerate(self.recordings):
            if known.id == said.id:
                self.recordings[at] = known.merged(said)
                return self.recordings[at] != known
        insort(self.recordings, said, key=lambda recording: recording.id)
        del self.recordings[TIMELINE_CAP:]
        return True


def new_call(key: str, account: str | None) -> Call:
    """A call that is seen for the first time."""
    return Call(0, False, False, 0, account, None, key, ArrivalStats())


def placeholder(key: str, received_us: int) -> Call:
    """A call of which only its children are known, which counts as ended: nothing is awaited or told of it.
    Its first delivery makes it a new call that knows its children."""
    call = new_call(key, None)
    call.ended, call.arrival.first_us = True, received_us
    return call


def was_only_named(call: Call) -> bool:
    """Whether nothing of a call but its children is known."""
    return call.ended and not call.sources


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Call).decode


def dump(call: Call) -> bytes:
    """A call as stored. Of `seen`, what the entries of `others` have is left out: most often, all of it."""
    whole, others = call.seen, call.others
    if others and not call.paged:
        kept = [] if len(whole) == len(others) else sorted({*whole} - {one.fingerprint for one in others})
        call.seen = kept
    stored, call.seen = _encode(call), whole
    return stored


def load(stored: bytes) -> Call:
    """A call from the store. Raises msgspec.DecodeError if it is not one."""
    call = _decode(stored)
    if call.others and not call.paged:
        call.seen = sorted([*call.seen, *(entry.fingerprint for entry in call.others)])
    return call
