"""A call's life cycle: its phases and its end. And the sequence numbers of its callbacks.

`lifecycle_of` reads a call and changes nothing. `fold` computes it at most once for a delivery, where an
alert, the end or a conflict depends on it, and hands it on: alerts and record are derived from the same
`Lifecycle`, so they never disagree. The read schedule needs the terminal entries only.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

import msgspec

from stream.core.call.state import NUMBERS_KEPT, Call
from stream.core.call.timeline_entry import PROGRESS, QUALITIES, TimelineEntry
from stream.core.events import Reading
from stream.core.sources import REQUEST_LOG_BIT
from stream.core.statuses import OUTCOMES, RANK, TERMINAL, hangup
from stream.core.verdicts.decision import RINGS_S, Case, Verdict, decide, kind_of, may_have_broken
from stream.core.verdicts.evidence import Evidence
from stream.core.verdicts.siblings import CANCELED_WITHIN_US, lost_dial

RECEIVED = QUALITIES.index("received")
UNKNOWN = QUALITIES.index("unknown")
DERIVED = QUALITIES.index("derived")

Phase = tuple[int | None, int]
"""When a phase began, in microseconds or None, and the index of its quality."""


class FinalStatus(msgspec.Struct):
    """How a call ended: the winning entry and what it means."""

    entry: TimelineEntry
    status: str
    outcome: str
    sip_response_code: int | None
    duration_s: float | int | None


class Lifecycle(msgspec.Struct):
    """The life cycle of a call, derived from its state.

    - `initiated`, `ringing`, `answered`, `ended`: when each phase began. Without an answered event, the
      answer is derived as end minus talk time.
    - `end`: how it ended, None while no terminal event is known; `terminal`: all terminal entries, the
      winning one first.
    - `statuses`: the different terminal statuses that sources gave the call, in order of rank.
    - `status`: how it ended, else the furthest status seen.
    - `verdict`, `conflicts`: see `verdict_of` and `conflicts_of`; unset, None until somebody asks.
    """

    initiated: Phase
    ringing: Phase
    answered: Phase
    ended: Phase
    end: FinalStatus | None
    terminal: list[TimelineEntry]
    statuses: list[str]
    status: str | None
    verdict: Verdict | msgspec.UnsetType | None = msgspec.UNSET
    conflicts: list[dict[str, Any]] | None = None

    def setup_s(self) -> float | None:
        """Initiated to ringing: the post-dial delay."""
        return _between(self.initiated, self.ringing)

    def answer_s(self) -> float | None:
        """Initiated to answered."""
        return _between(self.initiated, self.answered)

    def ring_s(self) -> float | None:
        """Ringing to the answer, or to the end if there was none."""
        return _between(self.ringing, self.answered if self.answered[0] is not None else self.ended)

    def talk_s(self) -> float | int | None:
        """Talk time: as the provider says, else answer to end. None unless the call was answered."""
        end = self.end
        if end is None or end.outcome != "answered":
            return None
        return end.duration_s if end.duration_s is not None else _between(self.answered, self.ended)


class Numbers(NamedTuple):
    """The sequence numbers of a call's callbacks.

    - `seen`: bit set of those from 0 to 255; `last`: the highest, None without one.
    - `whole`: none is missing. The provider's request log has all of them, or they are of a TeXML call:
      Telnyx does not say what they count.
    """

    seen: int
    last: int | None
    whole: bool

    def missing(self) -> list[int]:
        """Those below the highest one seen that were sent, as far as is known, and not seen."""
        return [] if self.whole else missing_numbers(self.seen)


def numbers_of(call: Call) -> Numbers:
    """The sequence numbers of a call."""
    seen, sources = unplaced_numbers(call) if call.others else (0, -1)
    last = seen.bit_length() - 1
    for entry in call.lifecycle:
        number = entry.number
        if number is not None and entry.family_code == PROGRESS:
            last = max(last, number)
            if number < NUMBERS_KEPT:
                seen |= 1 << number
                sources &= entry.sources
    whole = call.is_texml or bool(seen and sources & REQUEST_LOG_BIT)
    return Numbers(seen, last if last >= 0 else None, whole)


def missing_numbers(numbers: int) -> list[int]:
    """The zero bits below the highest one of a bit set of sequence numbers."""
    if not numbers & (numbers + 1):
        return []
    return [number for number in range(numbers.bit_length()) if not numbers >> number & 1]


NEVER: Phase = (None, UNKNOWN)

_RANG = (0, *RINGS_S)
"""How long it rang as a `Case` has it, by how many of RINGS_S that is."""


def verdict_of(call: Call, lifecycle: Lifecycle) -> Verdict | None:
    """Whose fault it was that a call did not succeed; None if it did, or has not ended and is not overdue."""
    if lifecycle.verdict is msgspec.UNSET:
        lifecycle.verdict = _decided(call, lifecycle)
    return lifecycle.verdict


def _decided(call: Call, lifecycle: Lifecycle) -> Verdict | None:
    end = lifecycle.end
    answered = end is not None and end.outcome == "answered"
    if answered and not (call.evidence and may_have_broken(call.evidence)):
        return None
    if end is None and not call.overdue:
        return None
    facts = call.facts.get
    rang_s = None
    if lifecycle.answered[0] is None:
        # Call Control has no event of ringing.
        waits = lifecycle.ringing[0] is None and call.provider == "telnyx"
        since = lifecycle.initiated if waits else lifecycle.ringing
        rang_s = _between(since, lifecycle.ended)
    case = Case(
        provider=call.provider,
        status=end.status if end is not None else None,
        answered=answered,
        was_answered=lifecycle.answered[0] is not None,
        rang=_RANG[bisect_right(RINGS_S, rang_s or 0)],
        sip_response_code=end.sip_response_code if end is not None else None,
        hangup_cause=end.entry.hangup if end is not None else None,
        direction=call.direction,
        is_child="parent_call_id" in call.facts,
        by_api=facts("direction_detail") == "outbound-api",
        calls_from=kind_of(facts("from")),
        calls=kind_of(facts("to")),
        contradicted=len(lifecycle.statuses) > 1,
    )
    sources = end.entry.sources if end is not None else call.sources
    lost = lost_dial_of(call, lifecycle)
    evidence = call.evidence if lost is None else (*call.evidence, lost)
    return decide(case, evidence, lifecycle.ended[0], rang_s, sources)


def lost_dial_of(call: Call, lifecycle: Lifecycle) -> Evidence | None:
    """The fact that it lost a dial against another child of its parent; None if it did not.

    It began long before its callbacks came if these do not say when. Without them, it began shortly before
    its end.
    """
    if not call.siblings:
        return None
    ended_us, quality = lifecycle.ended
    told = [phase[0] for phase in (lifecycle.initiated, lifecycle.ringing) if phase[1] < RECEIVED]
    if ended_us is not None and quality < RECEIVED:
        told = told or [ended_us - CANCELED_WITHIN_US]
    began_us = min((at_us for at_us in told if at_us is not None), default=None)
    own_id = call.key.partition(":")[2]
    return lost_dial([one for one in call.siblings if one.call_id != own_id], began_us, ended_us)


def terminal_entries(call: Call) -> list[TimelineEntry]:
    """The terminal entries of a call, the winning one first."""
    found = [entry for entry in call.lifecycle if entry.status in TERMINAL]
    if len(found) > 1:
        found.sort(key=TimelineEntry.status_precedence, reverse=True)
    return found


def lifecycle_of(call: Call) -> Lifecycle:
    """Derive a call's life cycle from its state."""
    phases: dict[str, Phase] = {}
    terminal: list[TimelineEntry] = []
    was_answered = False
    for entry in call.lifecycle:
        status = entry.status or ""
        if status in TERMINAL:
            terminal.append(entry)
        elif status == "in-progress":
            was_answered = True
        if entry.family_code != PROGRESS:
            continue
        at_us = entry.at_us
        if at_us is not None:
            known = phases.get(status)
            if known is None or (at_us, entry.quality) < known:
                phases[status] = (at_us, entry.quality)
    answered = phases.get("in-progress", NEVER)
    ended, end, statuses = NEVER, None, [""]
    if terminal:
        if len(terminal) > 1:
            terminal.sort(key=TimelineEntry.status_precedence, reverse=True)
        end = _ending(terminal, was_answered)
        ended = end_time(terminal)
        statuses = [end.status]
        if len(terminal) > 1:
            statuses = sorted({meaning(entry, was_answered)[0] for entry in terminal}, key=RANK.__getitem__)
        if answered[0] is None and end.outcome == "answered":
            answered = _derived_answer(ended[0], end.duration_s)
    return Lifecycle(
        phases.get("initiated") or phases.get("queued", NEVER),
        phases.get("ringing", NEVER),
        answered,
        ended,
        end,
        terminal,
        statuses,
        end.status if end is not None else _furthest(call),
    )


def _furthest(call: Call) -> str | None:
    return max([entry.status or "" for entry in call.lifecycle], key=RANK.__getitem__, default=None)


def unplaced_numbers(call: Call) -> tuple[int, int]:
    """(bit set of the sequence numbers of progress events without a known status, the sources that have all
    of them).
    """
    numbers, sources = 0, -1
    for entry in call.others:
        if entry.number is not None and entry.family_code == PROGRESS and entry.number < NUMBERS_KEPT:
            numbers |= 1 << entry.number
            sources &= entry.sources
    return numbers, sources


def meaning(entry: TimelineEntry, answered: bool) -> tuple[str, str]:
    """(status, outcome) of a terminal entry. A Telnyx hangup's depend on whether the call was answered."""
    if entry.hangup is not None:
        return hangup(entry.hangup, entry.sip_response_code, answered=answered)
    status = entry.status or ""
    return status, OUTCOMES[status]


def _ending(terminal: list[TimelineEntry], answered: bool) -> FinalStatus:
    """The entry with the highest precedence wins. A SIP code or duration that it lacks comes from the next
    entry of its status that has one.
    """
    winner = terminal[0]
    sip, duration = winner.sip_response_code, winner.duration_s
    for entry in terminal:
        if entry.status == winner.status:
            if sip is None:
                sip = entry.sip_response_code
            if duration is None:
                duration = entry.duration_s
    status, outcome = meaning(winner, answered)
    return FinalStatus(winner, status, outcome, sip, duration)


def end_time(terminal: list[TimelineEntry]) -> Phase:
    """The winner's time; without one the earliest of its status, else of any of these terminal entries, of
    which the winning one is the first.
    """
    if not terminal:
        return NEVER
    winner = terminal[0]
    if winner.at_us is not None:
        return winner.at_us, winner.quality
    timed = [entry for entry in terminal if entry.at_us is not None]
    same = [entry for entry in timed if entry.status == winner.status] or timed
    return min(((entry.at_us, entry.quality) for entry in same), default=NEVER)


def time_of_request(call: Call, reading: Reading, heard_us: int) -> int:
    """When a request to the application was sent.

    A log gives no time to one without an answer, and tells of it much later. Then it is that of the event of
    a callback, else the beginning of the call, which is when instructions are fetched.
    """
    if reading.occurred_us is not None:
        return reading.occurred_us
    sent = reading.sent
    timed = [entry for entry in call.lifecycle if entry.at_us is not None]
    of_event = [entry for entry in timed if sent is not None and entry.fingerprint == sent.event]
    return min((one.at_us for one in of_event or timed if one.at_us is not None), default=heard_us)


def _derived_answer(ended_us: int | None, duration_s: float | int | None) -> Phase:
    """The end minus talk time. Before 1970 it is discarded: the clock or the duration is wrong."""
    if ended_us is None or duration_s is None:
        return NEVER
    answered_us = ended_us - int(duration_s * 1_000_000)
    return (answered_us, DERIVED) if answered_us >= 0 else NEVER


def _between(start: Phase, end: Phase) -> float | None:
    """Seconds from one phase to another, None unless both are known and in this order."""
    a, b = start[0], end[0]
    return (b - a) / 1_000_000 if a is not None and b is not None and b >= a else None
