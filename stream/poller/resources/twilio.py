"""Twilio's REST resources: Calls, Call Events, Voice Insights Events and Voice Insights call summary.

Twilio pages its lists in two styles:

- `2010-04-01`: the rows are under the resource's name; `next_page_uri` is relative to the base URL.
- Voice Insights: the rows are under the name in `meta.key`; `meta.next_page_url` is absolute.

A link to the next page is opaque: null, missing or empty is the end. Other members are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode, urlsplit

from stream.core.statuses import TERMINAL, status_of
from stream.core.timestamps import SECOND_US, utc
from stream.poller.resources import page_json
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, PageError, Resource, call_id_in_path
from stream.sources import fields

RETENTION_S = 30 * 86_400.0
"""Twilio keeps a call's request log and Voice Insights for 30 days."""

MAX_PAGE_SIZE = 1000

_VERSION = "/2010-04-01/"


# -- Calls


def _calls_url(account: Account) -> str:
    """The account's id is in the path, whichever credentials are used."""
    return f"{account.api_url}{_VERSION}Accounts/{quote(account.id, safe='')}/Calls"


def _call_url(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{_calls_url(account)}/{call_id_in_path(call_id)}.json"


def _window_urls(account: Account, since_us: int, until_us: int | None) -> list[str]:
    urls = []
    for name in ("EndTime", "StartTime"):
        parameters = {f"{name}>": _whole_second(since_us)}
        if until_us is not None:
            parameters[f"{name}<"] = _whole_second(until_us + SECOND_US - 1)
        parameters["PageSize"] = str(MAX_PAGE_SIZE)
        urls.append(f"{_calls_url(account)}.json?{urlencode(parameters)}")
    return urls


def _whole_second(us: int) -> str:
    """A time as Twilio's filters take it, `YYYY-MM-DDTHH:MM:SSZ`, rounded down."""
    return utc(us // SECOND_US * SECOND_US)[:19] + "Z"


def _parse_calls(body: bytes, url: str) -> Page:
    members = page_json.members(body)
    if "calls" in members:
        return _list_page(members, "calls", url)
    if "sid" in members:
        return Page([body.strip()])
    raise PageError("invalid_field", "the page is neither a call nor a list of calls")


def _is_final_call(row: bytes) -> bool:
    call = page_json.decode(row)
    if type(call) is not dict:
        return False
    status, duration_s = call.get("status"), fields.whole_number(call.get("duration"))
    if type(status) is not str or status_of(status) not in TERMINAL:
        return False
    return not duration_s or call.get("price") is not None


CALLS = Resource(
    source="twilio_call",
    call_url=_call_url,
    window_urls=_window_urls,
    parse=_parse_calls,
    is_complete=lambda rows: _all(rows, _is_final_call),
)
"""The current state of each call.

- Path: `/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json`, one object; by window
  `/2010-04-01/Accounts/{AccountSid}/Calls.json`, the array `calls`.
- Parameters: `EndTime>`, `EndTime<`, `StartTime>`, `StartTime<` in whole seconds. The inequality belongs to
  the name and means "or equal". `PageSize` up to 1000. A window needs both times: an ongoing call has no
  end, a call that failed early has no start.
- Paging: `next_page_uri`. Rows move from page to page while one reads: windows overlap.
- Identity of a row: (`sid`, `status`). The same pair with a price is an update.
- Complete: the status is terminal, and a call with a duration has its price. Eventually consistent: the
  first read may be older than the callback.
- Windows: without a limit. On demand: at the call's end and on the worker's retry schedule for `twilio_call`.
"""


# -- Call Events


def _call_events_url(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{_calls_url(account)}/{call_id_in_path(call_id)}/Events.json?PageSize={MAX_PAGE_SIZE}"


def _parse_call_events(body: bytes, url: str) -> Page:
    return _list_page(page_json.members(body), "events", url)


CALL_EVENTS = Resource(
    source="twilio_call_event",
    call_url=_call_events_url,
    parse=_parse_call_events,
    max_lookback_s=RETENTION_S,
)
"""The HTTP requests of a call, with their responses.

- Path: `/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Events.json`, the array `events`.
- Parameters: `PageSize` up to 1000. Paging: `next_page_uri`.
- Identity of a row: its content, and its ordinal among identical rows of one read. It has no id, and does not
  name its call: the path does.
- Complete: the rows do not show it. Available about 15 minutes after the call's end, kept 30 days.
- Windows: none. On demand: on the worker's retry schedule for `twilio_call_event`.
"""


# -- Voice Insights


def _insights_url(account: Account, call_id: str) -> str:
    return f"{account.insights_url}/v1/Voice/{call_id_in_path(call_id)}"


def _insights_events_url(account: Account, call_id: str, edge: str | None) -> str:
    parameters = {} if edge is None else {"Edge": edge}
    parameters["PageSize"] = str(MAX_PAGE_SIZE)
    return f"{_insights_url(account, call_id)}/Events?{urlencode(parameters)}"


def _parse_insights_events(body: bytes, _url: str) -> Page:
    members = page_json.members(body)
    meta = page_json.value(members, "meta")
    meta = meta if type(meta) is dict else {}
    key = meta.get("key")
    rows = page_json.elements(members, key if type(key) is str and key else "events")
    return Page(rows, page_json.link(meta.get("next_page_url")))


INSIGHTS_EVENTS = Resource(
    source="twilio_insights_event",
    call_url=_insights_events_url,
    parse=_parse_insights_events,
    max_lookback_s=RETENTION_S,
)
"""What each edge of the media network observed of a call.

- Path: `/v1/Voice/{CallSid}/Events` on the Insights host.
- Parameters: `Edge`, one of `carrier_edge, sip_edge, sdk_edge, client_edge`. Without it Twilio returns its
  default for the call's type, which is not everything: each applicable edge is a separate read. `PageSize`
  up to 1000.
- Paging: `meta.next_page_url`, absolute; the array's name is in `meta.key`.
- Identity of a row: its content, and its ordinal among identical rows of one read. It has no id.
- Complete: the rows do not show it; they are read again while they still change. Visible within about 90 s,
  kept 30 days.
- Windows: none. On demand: on the worker's retry schedule for `twilio_insights_event`.
"""


def _summary_url(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{_insights_url(account, call_id)}/Summary?ProcessingState=complete"


def _parse_summary(body: bytes, _url: str) -> Page:
    members = page_json.members(body)
    if "call_sid" not in members and "processing_state" not in members:
        raise PageError("invalid_field", "the page is not a call summary")
    return Page([body.strip()])


def _is_final_summary(row: bytes) -> bool:
    summary = page_json.decode(row)
    return type(summary) is dict and summary.get("processing_state") == "complete"


CALL_SUMMARY = Resource(
    source="twilio_call_summary",
    call_url=_summary_url,
    parse=_parse_summary,
    is_complete=lambda rows: _all(rows, _is_final_summary),
    max_lookback_s=RETENTION_S,
)
"""The summary of a call by Voice Insights.

- Path: `/v1/Voice/{CallSid}/Summary` on the Insights host, one object. Paging: none.
- Parameters: `ProcessingState=complete`. Partial summaries are filled with guesses.
- Identity of a row: its content. A summary may still change, and each version is an event.
- Complete: `processing_state` is `complete`, about 30 minutes after the end. Kept 30 days.
- Windows: none. On demand: on the worker's retry schedule for `twilio_call_summary`.
"""


# -- shared by the lists


def _list_page(members: dict[str, bytes], key: str, url: str) -> Page:
    """A page of a `2010-04-01` list that `url` returned. Raises PageError."""
    link = page_json.link(page_json.value(members, "next_page_uri"))
    return Page(page_json.elements(members, key), link and _below_base(link, url))


def _below_base(link: str, url: str) -> str:
    """The link starts at the API's root, which a proxy may serve below a path of its own."""
    base, version, _ = urlsplit(url).path.partition(_VERSION)
    return base + link if version and link.startswith(_VERSION) else link


def _all(rows: Sequence[bytes], is_final: Callable[[bytes], bool]) -> bool:
    return bool(rows) and all(map(is_final, rows))
