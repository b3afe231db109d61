"""Telnyx' resources, against pages as documented and as its library writes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from stream.core.timestamps import iso8601
from stream.poller.resources import RESOURCES
from stream.poller.resources.resource import Page
from tests.poller.accounts import LEG, telnyx

ACCOUNT = telnyx()
SINCE_US = iso8601("2026-03-02T10:00:00.123456Z") or 0
UNTIL_US = iso8601("2026-03-02T11:00:00Z") or 0

CALL_EVENTS = RESOURCES["telnyx_call_event"]
DELIVERIES = RESOURCES["telnyx_webhook_delivery"]
PAGE = [("page[number]", "1"), ("page[size]", "250")]


def parameters(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)


def test_the_events_of_a_leg_are_requested_by_the_filters_name() -> None:
    """Case 54."""
    assert CALL_EVENTS.call_url is not None
    url = CALL_EVENTS.call_url(ACCOUNT, LEG, None)
    assert url.startswith("https://api.telnyx.com/v2/call_events?")
    assert parameters(url) == [("filter[leg_id]", LEG), *PAGE]


def test_a_window_of_events_has_exactly_one_operator() -> None:
    assert CALL_EVENTS.window_urls is not None
    for until_us in (None, UNTIL_US):
        (url,) = CALL_EVENTS.window_urls(ACCOUNT, SINCE_US, until_us)
        assert parameters(url) == [("filter[occurred_at][gte]", "2026-03-02T10:00:00.123456Z"), *PAGE]
    assert CALL_EVENTS.max_lookback_s == 86_400


def test_a_window_of_deliveries_has_both_ends() -> None:
    assert DELIVERIES.window_urls is not None
    since, until = "2026-03-02T10:00:00.123456Z", "2026-03-02T11:00:00.000000Z"
    (url,) = DELIVERIES.window_urls(ACCOUNT, SINCE_US, UNTIL_US)
    assert url.startswith("https://api.telnyx.com/v2/webhook_deliveries?")
    assert parameters(url) == [("filter[started_at][gte]", since), ("filter[started_at][lte]", until), *PAGE]
    (url,) = DELIVERIES.window_urls(ACCOUNT, SINCE_US, None)
    assert parameters(url) == [("filter[started_at][gte]", since), *PAGE]
    assert (DELIVERIES.call_url, DELIVERIES.max_lookback_s) == (None, None)


def test_both_filters_are_written_as_the_official_library_writes_them() -> None:
    assert CALL_EVENTS.call_url is not None
    assert CALL_EVENTS.window_urls is not None
    of_leg = _as_the_library_writes({"leg_id": LEG})
    by_time = _as_the_library_writes({"occurred_at": {"gte": "2026-03-02T10:00:00.123456Z"}})
    assert parameters(CALL_EVENTS.call_url(ACCOUNT, LEG, None)) == [*of_leg, *PAGE]
    assert [parameters(url) for url in CALL_EVENTS.window_urls(ACCOUNT, SINCE_US, None)] == [
        [*by_time, *PAGE]
    ]


def _as_the_library_writes(filters: dict[str, Any]) -> list[tuple[str, str]]:
    """The query that the library would send, by its own encoder, without a server.

    Not by `call_events.list`, which imports the types of every product; the simulator's tests use that.
    """
    import telnyx as official  # takes a second

    client = official.Telnyx(api_key="KEY_stub", base_url="http://127.0.0.1:9/v2", max_retries=0)
    seen: list[str] = []

    def look(request: Any) -> None:
        seen.append(request.url.query.decode())
        raise LookupError

    client._client.event_hooks["request"].append(look)
    with pytest.raises(official.APIConnectionError):
        client.get("/call_events", cast_to=object, options={"params": {"filter": filters}})
    client.close()
    return parse_qsl(seen[0], strict_parsing=True)


ROW = (
    b'{"record_type":"call_event","call_leg_id":"l",'
    b'"event_timestamp":"2026-03-02T10:00:19.450211Z","metadata":{}}'
)


def parse(number: int, rows: int, meta: str | None, size: int = 2) -> tuple[int, int | None, int | None]:
    """(rows, number of the next page, total) of page `number`."""
    url = f"https://api.telnyx.com/v2/call_events?filter%5Bleg_id%5D=l&page%5Bnumber%5D={number}&page%5Bsize%5D={size}"
    meta_json = "" if meta is None else f',"meta":{meta}'
    page = CALL_EVENTS.parse(b'{"data":[' + b",".join([ROW] * rows) + b"]" + meta_json.encode() + b"}", url)
    assert page.rows == [ROW] * rows
    if page.next_url is None:
        return rows, None, page.total
    next_parameters = parameters(page.next_url)
    assert next_parameters == [
        ("filter[leg_id]", "l"),
        ("page[number]", next_parameters[1][1]),
        ("page[size]", str(size)),
    ]
    assert page.next_url.startswith("https://api.telnyx.com/v2/call_events?")
    return rows, int(next_parameters[1][1]), page.total


@pytest.mark.parametrize(
    ("number", "rows", "meta", "onwards"),
    [
        (1, 2, '{"page_number":1,"total_pages":3,"total_results":5,"page_size":2}', (2, 2, 5)),
        (2, 2, '{"page_number":2,"total_pages":3,"total_results":5}', (2, 3, 5)),
        (3, 1, '{"page_number":3,"total_pages":3,"total_results":5}', (1, None, 5)),
        # A page that is not full is not the end while there are more.
        (1, 1, '{"page_number":1,"total_pages":3}', (1, 2, None)),
        (1, 0, '{"page_number":1,"total_pages":3}', (0, None, None)),
        # If the provider always returns the same number, ours counts.
        (2, 2, '{"page_number":1,"total_pages":3}', (2, 3, None)),
        (1, 2, '{"page_number":9,"total_pages":3}', (2, None, None)),
        (1, 2, '{"total_pages":"2","total_results":"3"}', (2, 2, 3)),
        # Without `meta` a full page has a next one.
        (1, 2, None, (2, 2, None)),
        (1, 2, "null", (2, 2, None)),
        (1, 2, '{"total_pages":null,"total_results":-1}', (2, 2, None)),
        (1, 1, None, (1, None, None)),
        (1, 0, None, (0, None, None)),
    ],
)
def test_pages_are_numbered_to_the_last(
    number: int, rows: int, meta: str | None, onwards: tuple[int, int | None, int | None]
) -> None:
    assert parse(number, rows, meta) == onwards


def test_deliveries_are_parsed_like_events() -> None:
    assert DELIVERIES.parse(
        b'{"data":[{"id":"d1"}]}', "https://api.telnyx.com/v2/webhook_deliveries"
    ) == Page([b'{"id":"d1"}'])


def test_deliveries_of_other_products_are_left_out_and_their_pages_go_on() -> None:
    kept = [
        b'{"id":"d1","webhook":{"event_type":"call.hangup","payload":{"call_leg_id":"c3"}}}',
        b'{"id":"d2","webhook":{"event_type":"call_answered","payload":{}}}',
        b'{"id":"d3","webhook":{"event_type":"unheard.of","payload":{"call_leg_id":"c3"}}}',
        b'{"id":"d4","webhook":{"event_type":"room.left","payload":{"conference_id":"f1"}}}',
        b'{"id":"d5","webhook":{}}',
        b'{"id":"d6","webhook":{"event_type":"\\ud800"}}',
        b'{"id":"d7"}',
        b"12",
    ]
    others = [
        b'{"id":"o1","webhook":{"event_type":"message.received","payload":{"text":"your code is 1234"}}}',
        b'{"id":"o2","webhook":{"event_type":"fax.delivered","payload":{}}}',
        b'{"id":"o3","webhook":{"event_type":"number_order.complete"}}',
    ]
    url = "https://api.telnyx.com/v2/webhook_deliveries?page[number]=1&page[size]=11"
    body = b'{"data":[' + b",".join([*others, *kept]) + b"]}"
    page = DELIVERIES.parse(body, url)
    assert (page.rows, page.left_out) == (kept, len(others))
    assert page.next_url is not None, "the page is full"
    none = DELIVERIES.parse(b'{"data":[' + b",".join(others) + b'],"meta":{"total_pages":3}}', url)
    assert (none.rows, none.next_url is not None) == ([], True)
