"""Where sources disagree about a call: both values are kept, and one wins by a rule of its field.

The rules are in one table. Times and durations are a conflict beyond how exactly they are given. What a call
is derived from does not depend on the order of arrival, so neither do its conflicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from operator import attrgetter
from typing import Any, NamedTuple

from stream.core.call.lifecycle import Lifecycle, meaning
from stream.core.call.state import Call
from stream.core.call.timeline_entry import PROGRESS, TimelineEntry
from stream.core.effects import StateConflict
from stream.core.events import Event
from stream.core.statuses import RANK
from stream.core.timestamps import SECOND_US, utc

Span = tuple[float | int, float | int]
"""The lowest and the highest value that one event has been reported with."""


class ConflictRule(NamedTuple):
    """How conflicts of a field are found and decided.

    - `span`: of an entry, None if it has no value; no function where entries are not compared.
    - `chosen`: what the record says, None if it says nothing.
    - `status`: of the entries that are compared; empty: those that end the call.
    - `exact`: how far apart two values are that may be the same; `text`: a value as the record shows it.
    - `wins`: which value the record has.
    """

    field: str
    wins: str
    status: str = ""
    span: Callable[[TimelineEntry], Span | None] | None = None
    chosen: Callable[[Lifecycle], float | int | None] = lambda lifecycle: None
    exact: Callable[[float | int, float | int], float] = lambda low, high: 0
    text: Callable[[Any], str] = str


def _second(low: float | int, high: float | int) -> float:
    return 1.0


def _as_exact_as_given(low: float | int, high: float | int) -> float:
    """Times in whole seconds may be cut."""
    return max(0.001, (low % SECOND_US == 0) + (high % SECOND_US == 0)) * SECOND_US


def _time(field: str, status: str, chosen: Callable[[Lifecycle], int | None], wins: str) -> ConflictRule:
    return ConflictRule(field, wins, status, TimelineEntry.times, chosen, _as_exact_as_given, utc)


_EARLIEST = "The earliest of the callbacks and webhooks."
RULES: tuple[ConflictRule, ...] = (
    ConflictRule(
        "duration_s",
        "That of the entry that decides the status; of one event the greatest.",
        span=TimelineEntry.durations,
        chosen=lambda lifecycle: lifecycle.talk_s(),
        exact=_second,
    ),
    ConflictRule(
        "sip_response_code",
        "That of the entry that decides the status, else of the next one; of one event the highest.",
        span=TimelineEntry.sip_response_codes,
        chosen=lambda lifecycle: lifecycle.end.sip_response_code if lifecycle.end else None,
    ),
    _time("initiated_at", "initiated", lambda lifecycle: lifecycle.initiated[0], _EARLIEST),
    _time("ringing_at", "ringing", lambda lifecycle: lifecycle.ringing[0], _EARLIEST),
    _time("answered_at", "in-progress", lambda lifecycle: lifecycle.answered[0], _EARLIEST),
    _time(
        "ended_at",
        "",
        lambda lifecycle: lifecycle.ended[0],
        "That of the entry that decides the status; of one event the earliest.",
    ),
    ConflictRule(
        "status",
        "The Calls resource or a Telnyx hangup, then a callback, then the rest; then the higher sequence "
        "number, then the later status of busy, no-answer, canceled, failed, completed.",
    ),
    ConflictRule("sequence_number", "The later status, in the order of a call."),
    ConflictRule(
        "every other field",
        "The newest state of a resource, then the text that is greater.",
    ),
)
"""Of each field, which value wins. The last three are found where the call is folded."""


_VALUE_OF: dict[Callable[[TimelineEntry], Span | None], Callable[[TimelineEntry], Any]] = {
    TimelineEntry.times: attrgetter("at_us"),
    TimelineEntry.durations: attrgetter("duration_s"),
    TimelineEntry.sip_response_codes: attrgetter("sip_response_code"),
}
_COMPARED = tuple((rule, rule.span, _VALUE_OF[rule.span]) for rule in RULES if rule.span is not None)
_others_of = attrgetter("others")
_NOTHING = frozenset({None})


def conflicts_of(call: Call, lifecycle: Lifecycle) -> list[dict[str, Any]]:
    """The conflicts of a call as its record has them: `field`, `values`, `chosen`; sorted by field.

    Computed once, and kept in the `Lifecycle`.
    """
    if lifecycle.conflicts is None:
        lifecycle.conflicts = _conflicts_of(call, lifecycle)
    return lifecycle.conflicts


def _conflicts_of(call: Call, lifecycle: Lifecycle) -> list[dict[str, Any]]:
    conflicts: list[dict[str, Any]] = [
        {"field": name, "values": values, "chosen": call.facts[name]}
        for name, values in call.disputed.items()
    ]
    several_ends = len(lifecycle.statuses) > 1
    if lifecycle.end is not None and several_ends:
        conflicts.append(
            {"field": "status", "values": sorted(lifecycle.statuses), "chosen": lifecycle.end.status}
        )
    has_double_numbers, is_told_apart = _may_disagree(call)
    if has_double_numbers:
        for number, values in _double_numbers(call).items():
            conflicts.append({"field": f"sequence_number {number}", "values": values, "chosen": values[-1]})
    if is_told_apart:
        told: defaultdict[str | None, list[TimelineEntry]] = defaultdict(list)
        for entry in call.lifecycle:
            told[entry.status].append(entry)
        # Where sources disagree on how it ended, they mean different ends.
        told[""] = [] if several_ends else lifecycle.terminal
        for rule, span_of, value_of in _COMPARED:
            entries = told.get(rule.status)
            if entries and _may_differ(entries, value_of):
                spans = [(span, entry.sources) for entry in entries if (span := span_of(entry)) is not None]
                conflicts += _of_rule(rule, spans, lifecycle)
    if len(conflicts) > 1:
        conflicts.sort(key=lambda conflict: str(conflict["field"]))
    return conflicts


def newly_found(
    call: Call, conflicts: list[dict[str, Any]], *, corrected: bool = False
) -> list[StateConflict]:
    """The effects of conflicts not counted yet. Those of facts are counted when they are learned.

    `corrected`: the call was counted with another outcome, see `is_late_answer`.
    """
    if not conflicts and not corrected:
        return []
    arrival = call.arrival
    fields = {conflict["field"].partition(" ")[0] for conflict in conflicts}
    if corrected:
        fields.add("status")
    new = sorted(fields - {*call.disputed, *arrival.conflicts})
    if new:
        arrival.conflicts = (*arrival.conflicts, *new)
    return [StateConflict(call.provider, field) for field in new]


def is_late_answer(call: Call, lifecycle: Lifecycle, effects: list[Any]) -> bool:
    """Whether a delivery is the first to say that a call was answered, and its hangup means another outcome
    then. `effects`: those of the delivery.
    """
    end = lifecycle.end
    if end is None or end.entry.hangup is None:
        return False
    new = sum(type(one) is Event and one.status == "in-progress" for one in effects)
    known = sum(entry.status == "in-progress" for entry in call.lifecycle)
    return new == known > 0 and meaning(end.entry, answered=False)[1] != end.outcome


def _may_disagree(call: Call) -> tuple[bool, bool]:
    """Whether a sequence number occurs twice; whether there are several sources, or reports of one event."""
    numbers = set()
    has_double_numbers = is_told_apart = False
    sources = 0
    for entry in call.lifecycle:
        number = entry.number
        if number is not None:
            if number in numbers:
                has_double_numbers = True
            numbers.add(number)
        sources |= entry.sources
        if entry.others is not None:
            is_told_apart = True
    return has_double_numbers, is_told_apart or sources & (sources - 1) != 0


def _may_differ(entries: list[TimelineEntry], value_of: Callable[[TimelineEntry], Any]) -> bool:
    """Whether events, or reports of one event, have different values. Most often it says no, and quickly."""
    if len(entries) == 1:
        return entries[0].others is not None
    return len({*map(value_of, entries)} - _NOTHING) > 1 or not _NOTHING.issuperset(map(_others_of, entries))


def _of_rule(rule: ConflictRule, told: list[tuple[Span, int]], lifecycle: Lifecycle) -> list[dict[str, Any]]:
    """`told`: what events have been reported with, and the sources of each."""
    values = {value for span, _ in told for value in span}
    if len(values) < 2:
        return []
    chosen = rule.chosen(lifecycle)
    if chosen is None or not any(_differ(rule, *span) for span in _compared(told)):
        return []
    shown = [rule.text(value) for value in sorted(values)]
    return [{"field": rule.field, "values": shown, "chosen": rule.text(chosen)}]


def _compared(told: list[tuple[Span, int]]) -> list[Span]:
    """The reports of one event, and events of different sources."""
    spans = [span for span, _ in told]
    for (one, of_one), (other, of_other) in combinations(told, 2):
        if not of_one & of_other:
            spans.append((min(one[0], other[0]), max(one[1], other[1])))
    return spans


def _differ(rule: ConflictRule, low: float | int, high: float | int) -> bool:
    return high > low and high - low > rule.exact(low, high)


def _double_numbers(call: Call) -> dict[int, list[str]]:
    by_number: dict[int, list[str]] = {}
    for entry in call.lifecycle:
        if entry.number is not None and entry.family_code == PROGRESS and entry.status is not None:
            by_number.setdefault(entry.number, []).append(entry.status)
    return {n: sorted(s, key=RANK.__getitem__) for n, s in by_number.items() if len(s) > 1}
