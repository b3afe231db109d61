"""The call record: the value of `calls.ended.v1`, derived from the call's state alone.

The same knowledge gives the same bytes, in any order of arrival. Only `revision`, `id`, `arrival` and
`updated_at` depend on arrival. `revise` notes in `call.arrival` what was written; nothing else here changes a
call.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any
from zlib import crc32

import msgspec
from msgspec.structs import asdict

from stream.core.call.gaps import audit_of, expected_sources, gap_items
from stream.core.call.lifecycle import Lifecycle, lost_dial_of, verdict_of
from stream.core.call.state import Call
from stream.core.call.timeline_entry import QUALITIES, TimelineEntry
from stream.core.conflicts import conflicts_of
from stream.core.delivery.audit import AuditedCallback
from stream.core.events import FAMILIES, SCHEMA_VERSION
from stream.core.identity import name_id
from stream.core.policy import CallPolicy
from stream.core.sources import SOURCES, source_names
from stream.core.timestamps import SECOND_US, utc
from stream.core.verdicts.decision import Verdict

LATEST_S = 60
"""Seconds from a change to the revision that says it, however much more changes meanwhile."""


class TimelineItem(msgspec.Struct, gc=False):
    """One event in a record's timeline."""

    family: str
    name: str
    status: str | None
    sequence_number: int | None
    occurred_at: str | None
    occurred_at_quality: str
    level: str | None
    edge: str | None
    sources: list[str]


class CallRecord(msgspec.Struct, rename={"from_": "from"}):
    """A call record. Times are RFC 3339 or None, each with its quality; durations are seconds or None.

    `direction` is `inbound`, `outbound` or None, `direction_detail` the provider's own word.
    `setup_s` runs from initiated to ringing (post-dial delay, the proxy of RFC 6076's session request delay),
    `ring_s` from ringing to the answer or the end, `duration_s` is talk time and None unless the call was
    answered.
    """

    schema_version: int
    id: str
    key: str
    provider: str
    account: str | None
    account_alias: str | None
    call_id: str
    parent_call_id: str | None
    child_call_ids: list[str]
    session_id: str | None
    leg_id: str | None
    direction: str | None
    direction_detail: str | None
    from_: str | None
    to: str | None
    from_hash: str | msgspec.UnsetType
    to_hash: str | msgspec.UnsetType
    status: str | None
    outcome: str | None
    revision: int
    settled: bool
    terminal_source: str | None
    initiated_at: str | None
    initiated_at_quality: str
    ringing_at: str | None
    ringing_at_quality: str
    answered_at: str | None
    answered_at_quality: str
    ended_at: str | None
    ended_at_quality: str
    setup_s: float | None
    ring_s: float | None
    duration_s: float | int | None
    sip_response_code: int | None
    error_codes: list[str]
    answered_by: str | None
    price: str | None
    price_unit: str | None
    recordings: list[dict[str, Any]]
    edges: list[str]
    insights_levels: dict[str, int]
    counts: dict[str, Any]
    gaps: list[dict[str, Any]]
    delivery_audit: list[AuditedCallback]
    conflicts: list[dict[str, Any]]
    verdict: Verdict | None
    truncated: bool
    sources: list[str]
    completeness: dict[str, list[str]]
    timeline: list[TimelineItem]
    arrival: dict[str, Any] | None = None
    updated_at: str | None = None


def _timeline(call: Call) -> list[TimelineItem]:
    entries = sorted([*call.lifecycle, *call.others], key=TimelineEntry.sort_key)
    return [
        TimelineItem(
            FAMILIES[e.family_code],
            e.name,
            e.status,
            e.number,
            _moment(e.at_us),
            QUALITIES[e.quality],
            None if e.level_code is None else e.level,
            None if e.edge_code is None else e.edge,
            source_names(e.sources),
        )
        for e in entries
    ]


def _describe(call: Call, lifecycle: Lifecycle, policy: CallPolicy, *, settled: bool) -> CallRecord:
    """The record of a call as it is known now, without what `_stamp` adds: the id, and how it arrived."""
    provider, _, call_id = call.key.partition(":")
    end = lifecycle.end
    facts = call.facts.get
    sources = source_names(call.sources)
    # By position, in the order of the fields: msgspec searches for each keyword's field, which for so many of
    # them takes a fiftieth of the worker's time.
    return CallRecord(
        SCHEMA_VERSION,
        "",  # id
        call.key,
        provider,
        call.account,
        policy.alias(call.account),
        call_id,
        facts("parent_call_id"),
        list(call.children),
        facts("session_id"),
        facts("leg_id"),
        call.direction,
        facts("direction_detail"),
        facts("from"),
        facts("to"),
        facts("from_hash", msgspec.UNSET),
        facts("to_hash", msgspec.UNSET),
        lifecycle.status,
        end.outcome if end else None,
        call.arrival.revision,
        settled,
        SOURCES[_lowest_bit(end.entry.sources)] if end else None,  # terminal_source
        _moment(lifecycle.initiated[0]),
        QUALITIES[lifecycle.initiated[1]],
        _moment(lifecycle.ringing[0]),
        QUALITIES[lifecycle.ringing[1]],
        _moment(lifecycle.answered[0]),
        QUALITIES[lifecycle.answered[1]],
        _moment(lifecycle.ended[0]),
        QUALITIES[lifecycle.ended[1]],
        lifecycle.setup_s(),
        lifecycle.ring_s(),
        lifecycle.talk_s(),  # duration_s
        end.sip_response_code if end else None,
        call.error_codes,
        facts("answered_by"),
        facts("price"),
        facts("price_unit"),
        [asdict(recording) for recording in call.recordings],
        call.edges,
        dict(sorted(call.levels.items())),
        {"events": sum(call.families.values()), "by_family": dict(sorted(call.families.items()))},
        gap_items(call, settled=settled),
        [one for one in audit_of(call, policy.public_url) if one.result != "delivered"] if call.sent else [],
        conflicts_of(call, lifecycle),
        verdict_of(call, lifecycle),
        call.truncated,
        sources,
        {
            "expected": expected_sources(call, policy),
            "seen": sources,
            # In between, it would depend on the order of arrival.
            "complete": source_names(call.complete) if call.all_reads_done or settled else [],
        },
        _timeline(call),
    )


def _lowest_bit(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


@lru_cache(maxsize=16_384)
def _moment(us: int | None) -> str | None:
    """The text of a time. Most times of records are whole seconds, and many calls share them."""
    return utc(us) if us is not None else None


_encode = msgspec.msgpack.Encoder().encode


def _knowledge_hash(call: Call, lifecycle: Lifecycle, *, settled: bool) -> int:
    """A 64-bit hash of all that a record is derived from: a change of it means another revision."""
    told: tuple[Any, ...] = (
        settled,
        call.facts,
        call.disputed,
        call.lifecycle,
        call.others,
        call.families,
        call.levels,
        call.edges,
        call.error_codes,
        call.recordings,
        call.sources,
        call.all_reads_done,
    )
    if call.truncated:
        told += (True,)
    if call.children or call.evidence:
        told += (call.children, call.evidence)
    if call.siblings:
        told += (lost_dial_of(call, lifecycle),)
    if call.sent:
        told += (call.sent,)
    notes = call.arrival.gap_notes
    if call.arrival.gaps or (notes is not None and notes.late):
        told += (call.arrival.gaps, notes and notes.late)
    return int.from_bytes(hashlib.blake2b(_encode(told), digest_size=8).digest(), "big")


def _stamp(record: CallRecord, call: Call, updated_at: str) -> CallRecord:
    """Add when and how it arrived, and the id: a function of everything that the record says."""
    arrival = call.arrival
    record.arrival = {
        "deliveries": arrival.deliveries,
        "duplicates": arrival.duplicates,
        "late": arrival.late,
        "first_received_at": utc(arrival.first_us),
        "last_received_at": utc(arrival.last_us),
    }
    record.updated_at = updated_at
    record.id = name_id(
        call.key,
        arrival.revision,
        arrival.content,
        arrival.deliveries,
        arrival.duplicates,
        arrival.late,
        arrival.first_us,
        arrival.last_us,
        updated_at,
    )
    return record


def decisive_hash(call: Call, lifecycle: Lifecycle) -> int:
    """A hash of what no consumer should wait for: the outcome, the verdict and the conflicts."""
    end, verdict = lifecycle.end, verdict_of(call, lifecycle)
    outcome = (end.status, end.outcome) if end else None
    blamed = (verdict.fault, verdict.confidence, verdict.reason) if verdict is not None else None
    return crc32(_encode((outcome, blamed, conflicts_of(call, lifecycle))))


def note_change(call: Call, policy: CallPolicy) -> None:
    """The record of an ended call says less than is known now: a revision is due when nothing more has
    changed for a while, and LATEST_S after the first change at the latest. Time is that of the call's newest
    delivery, because the clocks of gateways and pollers differ.
    """
    arrival = call.arrival
    now_us = arrival.last_us
    arrival.changed_us = arrival.changed_us or now_us
    arrival.revise_us = min(
        now_us + int(policy.revision_quiet_s * SECOND_US), arrival.changed_us + LATEST_S * SECOND_US
    )


def revise(
    call: Call,
    lifecycle: Lifecycle,
    updated_at: str,
    policy: CallPolicy,
    *,
    settled: bool,
) -> CallRecord | None:
    """The next revision of the call's record, None if it would repeat the previous one."""
    content = _knowledge_hash(call, lifecycle, settled=settled)
    arrival = call.arrival
    arrival.changed_us = arrival.revise_us = 0
    if content == arrival.content:
        return None
    arrival.content = content
    arrival.revision += 1
    return _stamp(_describe(call, lifecycle, policy, settled=settled), call, updated_at)
