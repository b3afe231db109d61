"""Twilio's REST resources: Calls, Call Events, Voice Insights Events and Voice Insights call summary.

Lists of `2010-04-01` have their rows under the resource's name and a relative `next_page_uri`; those of newer
APIs under the name in `meta.key` and an absolute `meta.next_page_url`. A link that is null, missing or
empty is the end.
"""

from __future__ import annotations

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


def calls_url(account: Account) -> str:
    """The account's id is in the path, whichever credentials are used."""
    return f"{account.api_url}{_VERSION}Accounts/{quote(account.id, safe='')}/Calls"


def _call_url(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{calls_url(account)}/{call_id_in_path(call_id)}.json"


def _window_urls(account: Account, since_us: int, until_us: int | None) -> list[str]:
    urls = []
    since, until = window_seconds(since_us, until_us)
    for name in ("EndTime", "StartTime"):
        parameters = {f"{name}>": since, **({} if until is None else {f"{name}<": until})}
        parameters["PageSize"] = str(MAX_PAGE_SIZE)
        urls.append(f"{calls_url(account)}.json?{urlencode(parameters)}")
    return urls


def window_seconds(since_us: int, until_us: int | None) -> tuple[str, str | None]:
    """A time range as Twilio's filters take it, `YYYY-MM-DDTHH:MM:SSZ`, in whole seconds that contain it."""
    return _whole_second(since_us), None if until_us is None else _whole_second(until_us + SECOND_US - 1)


def _whole_second(us: int) -> str:
    return utc(us // SECOND_US * SECOND_US)[:19] + "Z"


def _parse_calls(body: bytes, url: str) -> Page:
    members = page_json.members(body)
    if "calls" in members:
        return list_page(members, "calls", url)
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
    is_final=_is_final_call,
)
"""The current state of each call. The first read may be older than the callback: eventually consistent.

A window needs both times: an ongoing call has no end, a call that failed early has no start. The inequality
belongs to a filter's name, and means "or equal". Rows move from page to page while one reads: windows
overlap. A final row has a terminal status and, if the call has a duration, its price.
"""


# -- Call Events


def _call_events_url(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{calls_url(account)}/{call_id_in_path(call_id)}/Events.json?PageSize={MAX_PAGE_SIZE}"


def _parse_call_events(body: bytes, url: str) -> Page:
    return list_page(page_json.members(body), "events", url)


CALL_EVENTS = Resource(
    source="twilio_call_event",
    call_url=_call_events_url,
    parse=_parse_call_events,
    max_lookback_s=RETENTION_S,
)
"""The HTTP requests of a call, with their responses: available about 15 minutes after its end, kept 30 days.

A row has no id and does not name its call: the path does.
"""


# -- Voice Insights


def _insights_url(account: Account, call_id: str) -> str:
    return f"{account.insights_url}/v1/Voice/{call_id_in_path(call_id)}"


def _insights_events_url(account: Account, call_id: str, edge: str | None) -> str:
    parameters = {} if edge is None else {"Edge": edge}
    parameters["PageSize"] = str(MAX_PAGE_SIZE)
    return f"{_insights_url(account, call_id)}/Events?{urlencode(parameters)}"


def _parse_insights_events(body: bytes, _url: str) -> Page:
    return meta_page(page_json.members(body), "events")


INSIGHTS_EVENTS = Resource(
    source="twilio_insights_event",
    call_url=_insights_events_url,
    parse=_parse_insights_events,
    max_lookback_s=RETENTION_S,
)
"""What each edge of the media network observed of a call. A row has no id.

Without `Edge` Twilio returns its default for the call's type, which is not everything: each applicable edge
is a separate read. Visible within about 90 s, changing for a while, kept 30 days.
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
    is_final=_is_final_summary,
    max_lookback_s=RETENTION_S,
)
"""The summary of a call by Voice Insights: complete about 30 minutes after the end, kept 30 days.

Partial summaries are filled with guesses, so only a complete one is requested. It may still change.
"""


# -- shared by the lists


def list_page(members: dict[str, bytes], key: str, url: str) -> Page:
    """A page of a `2010-04-01` list that `url` returned. Raises PageError."""
    link = page_json.link(page_json.value(members, "next_page_uri"))
    return Page(page_json.elements(members, key), link and _below_base(link, url))


def meta_page(members: dict[str, bytes], usual_key: str) -> Page:
    """A page of a list of the newer APIs. Raises PageError."""
    meta = page_json.value(members, "meta")
    meta = meta if type(meta) is dict else {}
    key = meta.get("key")
    rows = page_json.elements(members, key if type(key) is str and key else usual_key)
    return Page(rows, page_json.link(meta.get("next_page_url")))


def _below_base(link: str, url: str) -> str:
    """The link starts at the API's root, which a proxy may serve below a path of its own."""
    base, version, _ = urlsplit(url).path.partition(_VERSION)
    return base + link if version and link.startswith(_VERSION) else link
