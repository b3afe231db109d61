"""The pages, each a route under `/ui`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from stream.api.access.authentication import caller_of
from stream.api.access.caller import Caller
from stream.api.numbers import audit, shown, shown_call
from stream.api.parts import parts_of
from stream.api.problems import HANDLERS, Refused, documented
from stream.api.ui import session
from stream.api.ui.call_page import call_context
from stream.api.ui.fields import ALERT_FIELDS, CALL_FIELDS, LIVE_FIELDS, Asked, alert_filter, call_filter
from stream.api.ui.overview import overview
from stream.api.ui.rendering import HEADERS, call_path, here, page, short_page
from stream.archive.questions import BadCursorError, CallFilter, CallHistory, StoredCall

ROWS = 50
CANDIDATES = 20
LONGEST_PART = 200
_DIGITS = re.compile(r"[0-9]{7,15}")

HTML_ANSWER: Mapping[str, Any] = {"media_type": MediaType.HTML, "responses": documented(400, 404, html=True)}

AnyRequest = Request[Any, Any, Any]


@get("/", **HTML_ANSWER)
async def start(request: AnyRequest) -> Response[str]:
    """What calls do now."""
    return await page(
        request, "overview.html", {"title": "Overview", **await _overview(request)}, section="Overview"
    )


@get("/parts/overview", **HTML_ANSWER)
async def overview_part(request: AnyRequest) -> Response[str]:
    """The same without its frame: the page asks for it every ten seconds."""
    return await page(request, "overview_parts.html", await _overview(request))


async def _overview(request: AnyRequest) -> dict[str, Any]:
    parts, caller = parts_of(request), caller_of(request)
    found = await parts.reads.run(overview, parts.archive, caller.accounts, datetime.now(UTC))
    for name in ("conditions", "endpoints"):
        found[name] = [shown(one, caller) for one in found[name]]
    return found


@get("/calls", **HTML_ANSWER)
async def calls(request: AnyRequest, after: FromQuery[str | None] = None) -> Response[str]:
    """Calls that fit a form, newest first."""
    parts, caller = parts_of(request), caller_of(request)
    asked = Asked(CALL_FIELDS, request.query_params, datetime.now(UTC))
    wanted = call_filter(asked, caller.accounts)
    found = None
    if not asked.wrong:
        try:
            found = await parts.reads.run(parts.archive.calls, wanted, ROWS, after)
        except BadCursorError:
            asked.wrong.append("The link to the next page is not one of this page.")
    items = _told(found.items, caller) if found else []
    context = {
        "title": "Calls",
        "asked": {**asked.values, "after": after or ""},
        "calls": items,
        "fields": CALL_FIELDS,
        "newest": _link("/ui/calls", asked.values),
        "older": _link("/ui/calls", {**asked.values, "after": found.next}) if found and found.next else None,
        "wrong": asked.wrong,
    }
    return await page(request, "calls.html", context, section="Calls", status=400 if asked.wrong else 200)


@get("/calls/{key:str}", **HTML_ANSWER)
async def call(request: AnyRequest, key: FromPath[str]) -> Response[Any]:
    """One call: its ladder, its timeline, its verdict and what they are based on."""
    parts, caller = parts_of(request), caller_of(request)
    found = None
    if key.isprintable():
        found = await parts.reads.run(parts.archive.call, key, caller.accounts)
    if found is None or not (found.record or found.events or found.alerts):
        part = key[:LONGEST_PART]
        return await _candidates(request, part, await _keys(request, part))
    audit(caller, [(key, found.call)])
    address = f"{request.url.scheme}://{request.url.netloc}"
    # In a thread: a call may have thousands of events.
    context = await asyncio.to_thread(_call_context, found, caller, address)
    return await page(request, "call.html", {**context, "more_events": found.more_events}, section="Calls")


def _call_context(found: CallHistory, caller: Caller, address: str) -> dict[str, Any]:
    """What the page of a call shows, as this caller may see it."""
    record = None if found.record is None else shown(found.record, caller)
    events = [shown(one, caller) for one in found.events]
    alerts = [shown(one, caller) for one in found.alerts]
    return call_context(record, events, alerts, address=address)


@get("/find", **HTML_ANSWER)
async def find(request: AnyRequest, q: FromQuery[str] = "") -> Response[Any]:
    """A call by a part of its id, or calls by a number."""
    part = q.strip()[:LONGEST_PART]
    number = _link("/ui/calls", {"number": part})
    if part.startswith("+"):
        return _see(number)
    keys = await _keys(request, part)
    if not keys and _DIGITS.fullmatch(part):
        return _see(number)
    return _see(call_path(keys[0])) if len(keys) == 1 else await _candidates(request, part, keys)


async def _keys(request: AnyRequest, part: str) -> list[str]:
    """Keys of calls that contain a part of an id."""
    parts, accounts = parts_of(request), caller_of(request).accounts
    if not part or not part.isprintable():
        return []
    return await parts.reads.search(parts.archive.find, part, accounts, CANDIDATES)


async def _candidates(request: AnyRequest, part: str, keys: list[str]) -> Response[Any]:
    """The calls that a part of an id may mean."""
    title = "Which call?" if keys else "No such call"
    context = {"title": title, "keys": keys, "most": CANDIDATES, "part": part}
    return await page(request, "found.html", context, section="Calls", status=200 if keys else 404)


@get("/alerts", **HTML_ANSWER)
async def alerts(request: AnyRequest, after: FromQuery[str | None] = None) -> Response[str]:
    """Episodes of alerts, newest first."""
    parts, caller = parts_of(request), caller_of(request)
    asked = Asked(ALERT_FIELDS, request.query_params, datetime.now(UTC))
    wanted = alert_filter(asked, caller.accounts)
    found = None
    if not asked.wrong:
        try:
            found = await parts.reads.run(parts.archive.alerts, wanted, ROWS, after)
        except BadCursorError:
            asked.wrong.append("The link to the next page is not one of this page.")
    context = {
        "title": "Alerts",
        "alerts": [shown(one, caller) for one in found.items] if found else [],
        "asked": asked.values,
        "fields": ALERT_FIELDS,
        "of_call": False,
        "older": _link("/ui/alerts", {**asked.values, "after": found.next}) if found and found.next else None,
        "wrong": asked.wrong,
    }
    return await page(request, "alerts.html", context, section="Alerts", status=400 if asked.wrong else 200)


@get("/live", **HTML_ANSWER)
async def live(request: AnyRequest) -> Response[str]:
    """Events as they come; without scripts, the newest calls."""
    parts, caller = parts_of(request), caller_of(request)
    found = await parts.reads.run(parts.archive.calls, CallFilter(accounts=caller.accounts), ROWS)
    asked = Asked(LIVE_FIELDS, request.query_params, datetime.now(UTC))
    context = {
        "title": "Live",
        "asked": asked.values,
        "calls": _told(found.items, caller),
        "fields": LIVE_FIELDS,
        "stream": _link("/v1/live", {"kind": "event", **asked.values}),
    }
    return await page(request, "live.html", context, section="Live")


def _told(calls: Sequence[StoredCall], caller: Caller) -> list[StoredCall]:
    """As this caller may see them; who has read their numbers is logged."""
    audit(caller, [(one.key, one) for one in calls])
    return [shown_call(one, caller) for one in calls]


def _link(path: str, values: Mapping[str, Any]) -> str:
    said = {name: str(value) for name, value in values.items() if value not in (None, "")}
    return f"{path}?{urlencode(said)}" if said else path


def _see(path: str) -> Response[Any]:
    return Redirect(path, status_code=303, headers=HEADERS)


# -- when a page cannot be shown

TITLES = {
    403: "Not allowed",
    404: "There is no such page",
    429: "Too many requests",
    503: "The archive does not answer",
}


def _refused(request: AnyRequest, error: Refused) -> Response[Any]:
    """Without a token, the form to sign in; of a part of a page, only the status."""
    if error.status == 401:
        if request.url.path.startswith("/ui/parts/"):
            return Response("", status_code=401, media_type=MediaType.HTML, headers=HEADERS)
        return _see(_link("/ui/login", {"next": here(request)}))
    return _trouble(request, error.status, error.detail, error.headers)


def _of_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    return _trouble(request, error.status_code, "", {})


def _of_bug(request: AnyRequest, error: Exception) -> Response[Any]:
    HANDLERS[Exception](request, error)  # is logged there
    return _trouble(request, 500, "The page could not be made because of an error of ours.", {})


def _trouble(request: AnyRequest, status: int, detail: str, headers: Mapping[str, str]) -> Response[Any]:
    context = {"title": TITLES.get(status, "This did not work"), "text": detail or f"HTTP status {status}."}
    answer = short_page(request, "trouble.html", context, status)
    answer.headers.update(headers)
    return answer


def routes() -> Sequence[ControllerRouterHandler]:
    return [
        Router(
            "/ui",
            route_handlers=[start, overview_part, calls, call, find, alerts, live, *session.ROUTES],
            exception_handlers={
                Refused: _refused,
                ValidationException: _of_http,
                HTTPException: _of_http,
                Exception: _of_bug,
            },
        )
    ]
