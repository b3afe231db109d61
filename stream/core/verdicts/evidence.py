"""Evidence that may say whose fault a call's end was.

Evidence is a join: per fact and value, the latest time and all sources. So it does not depend on the order in
which deliveries come, nor on how often they do. A call that nothing went wrong with has next to none.
"""

from __future__ import annotations

from itertools import groupby, islice

import msgspec

from stream.core.events import Reading
from stream.core.insights_edges import NETWORK_EDGES

VALUES_OF_A_FACT = 8
"""How many values of one fact are kept: the lowest, whatever came first."""

_LONGEST_CODE = 16

_NOT_OF_THE_CALL = frozenset({"recording", "transcription"})
"""Families whose errors cost a feature, not the call."""


class Evidence(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One fact.

    - `fact`: what kind of fact, in the words of `table`; `value`: a code or word, never an address.
    - `at_us`: when it was last so, None if no source says; `sources`: the bits of those that reported it.
    - `detail`: of a request, its URL, masked.
    """

    fact: str
    value: str
    at_us: int | None = None
    sources: int = 0
    detail: str = ""


def gathered(known: tuple[Evidence, ...], reading: Reading, source_bit: int) -> tuple[Evidence, ...]:
    """The evidence of a call with what a reading says; the same tuple if that is nothing new."""
    said = reading.evidence
    if _has_code(reading):
        said = (*said, ("error_code", reading.event.error_code or ""))
    if not said:
        return known
    at_us = reading.occurred_us if reading.event.occurred_at_quality != "received" else None
    found = {(one.fact, one.value): one for one in known}
    is_new = False
    for fact, value in said:
        detail = reading.answer.endpoint if fact == "request" and reading.answer is not None else ""
        new, before = Evidence(fact, value, at_us, source_bit, detail), found.get((fact, value))
        if before is not None:
            new = joined(before, new)
        if new != before:
            found[fact, value], is_new = new, True
    if not is_new:
        return known
    ordered = sorted(found.values(), key=_place)
    if len(ordered) > VALUES_OF_A_FACT:
        kept = tuple(one for _, some in groupby(ordered, key=_fact) for one in islice(some, VALUES_OF_A_FACT))
        return known if kept == known else kept
    return tuple(ordered)


def _has_code(reading: Reading) -> bool:
    """Whether the reading's error code may be why the call ended.

    Of an entry of an error log, its decoder knows. Voice Insights repeats SIP codes as errors of the
    carrier's edge; only what a client or the customer's own socket reports is a fact of its own.
    """
    event = reading.event
    code = event.error_code
    if code is None or len(code) > _LONGEST_CODE or reading.remark is not None:
        return False
    if event.family == "insights":
        return event.level == "error" and (event.edge not in NETWORK_EDGES or code.startswith("64"))
    return event.family not in _NOT_OF_THE_CALL


def joined(one: Evidence, other: Evidence) -> Evidence:
    """Two reports of the same fact."""
    times = [at_us for at_us in (one.at_us, other.at_us) if at_us is not None]
    return Evidence(
        one.fact,
        one.value,
        max(times, default=None),
        one.sources | other.sources,
        max(one.detail, other.detail),
    )


def _fact(one: Evidence) -> str:
    return one.fact


def _place(one: Evidence) -> tuple[str, str]:
    return one.fact, one.value
