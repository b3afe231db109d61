"""Every method of the Python SDKs that reads what callstream answers, with every filter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from stream.provider_api.time_formats import microseconds, rfc2822_seconds
from tests.api.compatible.sdk_servers import About

Client = Any
Filters = dict[str, Any]
Plain = Callable[[Any], Any]


def moment(text: str) -> datetime:
    return datetime.fromtimestamp(rfc2822_seconds(text) or 0, UTC)


def call_filters(about: About) -> list[Filters]:
    call, busy = about.call, about.busy
    start, end = moment(call["start_time"]), moment(busy["end_time"])
    return [
        {},
        {"to": call["to"]},
        {"from_": call["from"]},
        {"parent_call_sid": about.child["parent_call_sid"]},
        *({"status": one} for one in ("completed", "busy", "failed", "no-answer", "canceled", "queued")),
        {"start_time": start.date()},
        {"start_time_before": start},
        {"start_time_after": start},
        {"end_time": end.date()},
        {"end_time_before": end},
        {"end_time_after": end, "status": "busy"},
        {"start_time_after": start - timedelta(hours=1), "end_time_before": end + timedelta(hours=1)},
    ]


def a_call(one: Any) -> Any:
    return (
        one.sid,
        one.status,
        one.to,
        one.from_formatted,
        one.duration,
        one.price,
        one.start_time,
        one.end_time,
    )


def an_exchange(one: Any) -> Any:
    """Of the request log: it has no order."""
    asked, answered = one.request, one.response or {}
    names = ("response_code", "request_duration", "content_type", "date_created")
    return str((asked["method"], asked["url"].partition("?")[0], sorted(asked["parameters"].items()))) + str(
        [answered.get(name) for name in names]
    )


def an_insight(one: Any) -> Any:
    return str((one.timestamp, one.edge, one.group, one.name, one.level, one.carrier_edge, one.sdk_edge))


Resource = Callable[[Client, About], Any]
TWILIO_LISTS: dict[str, tuple[Resource, Callable[[About], Sequence[Filters]], Plain]] = {
    "calls": (lambda client, about: client.calls, call_filters, a_call),
    "calls(sid).events": (
        lambda client, about: client.calls(about.call["sid"]).events,
        lambda about: [{}],
        an_exchange,
    ),
    "insights.v1.calls(sid).events": (
        lambda client, about: client.insights.v1.calls(about.call["sid"]).events,
        lambda about: [{}, *({"edge": f"{edge}_edge"} for edge in ("carrier", "sdk", "sip", "client"))],
        an_insight,
    ),
}


def walk(page: Any) -> list[Any]:
    """All pages, by `next_page`; and one page back, which is the one before the last."""
    pages = []
    while page is not None:
        rows = [*page]
        pages.append(rows)
        page, last = page.next_page(), page
    if len(pages) > 1:
        assert len([*last.previous_page()]) == len(pages[-2])
    return [row for rows in pages for row in rows]


async def walk_async(page: Any) -> list[Any]:
    pages = []
    while page is not None:
        pages.append([*page])
        page, last = await page.next_page_async(), page
    if len(pages) > 1:
        assert len([*await last.previous_page_async()]) == len(pages[-2])
    return [row for rows in pages for row in rows]


LIST_METHODS: dict[str, Callable[[Any, Filters], list[Any]]] = {
    "list": lambda one, filters: one.list(**filters),
    "list, page_size": lambda one, filters: one.list(**filters, page_size=5),
    "list_with_http_info": lambda one, filters: one.list_with_http_info(**filters).data,
    "stream": lambda one, filters: [*one.stream(**filters, page_size=5)],
    "stream_with_http_info": lambda one, filters: [*one.stream_with_http_info(**filters, page_size=5)[0]],
    "page": lambda one, filters: walk(one.page(**filters, page_size=5)),
    "page_with_http_info": lambda one, filters: walk(one.page_with_http_info(**filters, page_size=5).data),
    "get_page": lambda one, filters: walk(one.get_page(_url_of(one, one.page(**filters, page_size=5)))),
}


def _url_of(one: Any, page: Any) -> str:
    """The URL of the first page, from the page itself."""
    said = page._payload
    return str(said["meta"]["url"] if "meta" in said else page._version.domain.absolute_url(said["uri"]))


async def _all(rows: Any) -> list[Any]:
    return [row async for row in rows]


async def _list_info(one: Any, filters: Filters) -> list[Any]:
    return [*(await one.list_with_http_info_async(**filters)).data]


async def _stream(one: Any, filters: Filters) -> list[Any]:
    return await _all(await one.stream_async(**filters, page_size=5))


async def _stream_info(one: Any, filters: Filters) -> list[Any]:
    return await _all((await one.stream_with_http_info_async(**filters, page_size=5))[0])


async def _page(one: Any, filters: Filters) -> list[Any]:
    return await walk_async(await one.page_async(**filters, page_size=5))


async def _page_info(one: Any, filters: Filters) -> list[Any]:
    return await walk_async((await one.page_with_http_info_async(**filters, page_size=5)).data)


async def _get_page(one: Any, filters: Filters) -> list[Any]:
    url = _url_of(one, await one.page_async(**filters, page_size=5))
    return await walk_async(await one.get_page_async(url))


LIST_METHODS_ASYNC: dict[str, Callable[[Any, Filters], Awaitable[list[Any]]]] = {
    "list_async": lambda one, filters: one.list_async(**filters),
    "list_with_http_info_async": _list_info,
    "stream_async": _stream,
    "stream_with_http_info_async": _stream_info,
    "page_async": _page,
    "page_with_http_info_async": _page_info,
    "get_page_async": _get_page,
}


def a_summary(one: Any) -> Any:
    names = ("call_sid", "call_type", "call_state", "processing_state", "start_time", "end_time", "duration")
    return [getattr(one, name) for name in (*names, "connect_duration", "_from", "to", "properties", "tags")]


TWILIO_FETCHES: dict[str, tuple[Resource, Sequence[Filters], Plain]] = {
    "calls(sid)": (lambda client, about: client.calls(about.call["sid"]), [{}], a_call),
    "insights.v1.calls(sid).summary()": (
        lambda client, about: client.insights.v1.calls(about.summary_sid).summary(),
        [{}, {"processing_state": "complete"}, {"processing_state": "partial"}],
        a_summary,
    ),
}


def log_filters(about: About) -> list[Filters]:
    row, payload = about.row, about.payload
    at = row["event_timestamp"]
    day_before = datetime.fromtimestamp(microseconds(at) / 1e6 - 3600, UTC).isoformat()
    return [
        {},
        {"leg_id": row["call_leg_id"]},
        {"application_session_id": row["call_session_id"]},
        {"connection_id": payload["connection_id"]},
        *({"product": one} for one in ("call_control", "fax", "texml")),
        {"failed": True},
        {"failed": False},
        {"from": payload["from"]},
        {"to": payload["to"]},
        {"name": "call.hangup"},
        {"type": "command"},
        {"type": "webhook"},
        {"application_name": {"contains": "some"}},
        {"outbound_outbound_voice_profile_id": "9"},
        *({"occurred_at": {how: at}} for how in ("eq", "gt", "gte", "lt", "lte")),
        {"occurred_at": {"gte": day_before}, "type": "webhook", "name": "call.answered"},
    ]


def a_row(one: Any) -> Any:
    said = {**(one.metadata or {})}
    event = said.get("event") or {}
    payload = {name: what for name, what in (event.get("payload") or {}).items() if name != "client_state"}
    return (
        *(one.record_type, one.type, one.name, one.event_timestamp, one.call_leg_id, one.call_session_id),
        *(
            said.get("status"),
            event.get("event_type"),
            event.get("occurred_at"),
            sorted(payload.items(), key=str),
        ),
    )
