"""Rows of Twilio's resources, from what the archive keeps of a call. Pure.

An archived event has what its source carried: some fields by our names, the rest as `attributes`. What no
source has carried is null, and what a call's record has derived is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream.archive.questions import StoredCall
from stream.core.sources import TWILIO_CALL
from stream.core.statuses import RANK, TERMINAL
from stream.core.timestamps import SECOND_US, iso8601
from stream.provider_api.http_types import Row
from stream.provider_api.time_formats import iso, iso_ms, iso_us, rfc2822

Record = Mapping[str, Any]
ArchivedEvent = Mapping[str, Any]

_NULL_CALL: Row = dict.fromkeys(
    (
        *("sid", "account_sid", "parent_call_sid", "phone_number_sid", "group_sid", "trunk_sid", "status"),
        *("direction", "from", "from_formatted", "to", "to_formatted", "date_created", "date_updated"),
        *("start_time", "end_time", "duration", "price", "price_unit", "queue_time", "answered_by"),
        *("caller_name", "forwarded_from", "annotation", "api_version", "uri", "subresource_uris"),
    )
)
"""Every field of a row of Calls."""

_TOLD = frozenset(("exact", "second"))
"""The qualities of times that a provider has told."""

_EVENTS_OF_EDGES = ("carrier_edge", "sip_edge", "sdk_edge", "client_edge")


def call_row(call: StoredCall, events: Iterable[ArchivedEvent]) -> Row:
    """The row of Calls. `call` is with its record, if it has ended; `events`: at least those of Calls, of a
    call that has not ended all.
    """
    read = [one for one in events if one["source"] == TWILIO_CALL]
    if not read:
        return {**_NULL_CALL, **_from_callbacks(call, events)}
    best = max(read, key=lambda one: (one["status"] == call.status, _rank(one["status"])))
    row = {**_NULL_CALL, **_as_read(best)}
    record = call.record or {}
    if best["status"] != call.status and _rank(call.status) > _rank(best["status"]):
        # The row was read before the call came so far.
        row |= {"status": _status(call.status), "date_updated": None, **_end_of(record)}
    if row["price"] is None and record.get("price") is not None:
        # The price comes later, with a row that is not an event of its own.
        row |= {"price": record["price"], "price_unit": record["price_unit"], "date_updated": None}
    return row


def _as_read(event: ArchivedEvent) -> Row:
    """The row that an event of Calls was read from."""
    said = event["attributes"]
    duration_s = event["duration_s"]
    return {
        **said,
        "sid": event["call_id"],
        "account_sid": event["account"],
        "parent_call_sid": event["parent_call_id"] or said.get("parent_call_sid"),
        "status": event["status"] or said.get("status"),
        "duration": said.get("duration") if duration_s is None else str(duration_s),
    }


def _from_callbacks(call: StoredCall, events: Iterable[ArchivedEvent]) -> Row:
    """The row of a call whose resource was not read, or not yet."""
    record = call.record or {}
    account, sid = call.account, call.call_id
    direction = record.get("direction_detail") or next(
        (said for one in events if (said := one["attributes"].get("Direction"))), None
    )
    uri = f"/2010-04-01/Accounts/{account}/Calls/{sid}"
    return {
        "sid": sid,
        "account_sid": account,
        "parent_call_sid": call.parent_call_id,
        "status": _status(call.status),
        "direction": direction,
        "from": call.from_,
        "to": call.to,
        "answered_by": record.get("answered_by"),
        "price": record.get("price"),
        "price_unit": record.get("price_unit"),
        **_end_of(record),
        "api_version": "2010-04-01",
        "uri": f"{uri}.json",
        "subresource_uris": {"events": f"{uri}/Events.json"},
    }


def _end_of(record: Record) -> Row:
    """What a record says of a call's end. A talk time that we have measured ourselves is not told."""
    told = record.get("ended_at_quality") in _TOLD
    ended_us = iso8601(record["ended_at"]) if told and record.get("ended_at") else None
    talk_s = record.get("duration_s")
    return {
        "end_time": None if ended_us is None else rfc2822(ended_us),
        "duration": str(talk_s) if isinstance(talk_s, int) and record["status"] == "completed" else None,
    }


def _status(status: str | None) -> str | None:
    """A status in the words of Calls, which has none for a call that is dialled and does not ring yet."""
    return "queued" if status == "initiated" else status


def _rank(status: str | None) -> int:
    return -1 if status is None else RANK.get(status, -1) + (len(RANK) if status in TERMINAL else 0)


def request_log(events: Iterable[ArchivedEvent]) -> list[Row]:
    """The rows of the request log, in the order of their answers. A body is never kept: it is null."""
    return [_request_row(one) for one in events if one["family"] == "request_log"]


def _request_row(event: ArchivedEvent) -> Row:
    row = {**event["attributes"]}
    response = row.get("response")
    if isinstance(response, dict):
        rest = {name: said for name, said in response.items() if name != "response_body_hash"}
        at_us = _told_us(event)
        answered = {} if at_us is None else {"date_created": rfc2822(at_us)}
        row["response"] = {**rest, "response_body": None, **answered}
    return row


def insights_events(events: Iterable[ArchivedEvent]) -> list[Row]:
    """The rows of Voice Insights' events, in the order of their times."""
    return [_insights_row(one) for one in events if one["family"] == "insights"]


def _insights_row(event: ArchivedEvent) -> Row:
    said, at_us = event["attributes"], _told_us(event)
    level = event["level"]
    return {
        **dict.fromkeys(_EVENTS_OF_EDGES),
        **said,
        "timestamp": said.get("timestamp") if at_us is None else _iso(at_us),
        "call_sid": event["call_id"],
        "account_sid": event["account"],
        "edge": event["edge"],
        "group": said.get("group", event["group"]),
        "name": said.get("name", event["name"]),
        "level": said.get("level") if level is None else level.upper(),
    }


def summary(events: Iterable[ArchivedEvent]) -> Row | None:
    """The newest version of the summary; a complete one is newer than a partial one."""
    versions = [one for one in events if one["name"] == "call_summary" and one["family"] == "resource"]
    if not versions:
        return None
    newest = max(versions, key=lambda one: (_is_complete(one), one["received_at"], one["id"]))
    return {**newest["attributes"], "call_sid": newest["call_id"], "account_sid": newest["account"]}


def _is_complete(event: ArchivedEvent) -> bool:
    return bool(event["attributes"].get("processing_state") == "complete")


def _told_us(event: ArchivedEvent) -> int | None:
    """An event's time, if its provider has told it."""
    return iso8601(event["occurred_at"]) if event["occurred_at_quality"] in _TOLD else None


def _iso(at_us: int) -> str:
    """A time as precise as it was told: in seconds, milliseconds or microseconds."""
    if at_us % SECOND_US == 0:
        return iso(at_us)
    return iso_ms(at_us) if at_us % 1000 == 0 else iso_us(at_us)
