"""The routes: each reads the archive once, within the caller's accounts, and answers what it may show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from stream.api.access.authentication import caller_of
from stream.api.numbers import audit, shown_call
from stream.api.parts import parts_of
from stream.api.problems import Refused, documented
from stream.api.questions.answers import (
    AlertList,
    CallAnswer,
    CallList,
    CallsByMinute,
    EventList,
    FoundCalls,
    alert_list,
    call_answer,
    event_list,
)
from stream.api.questions.filters import (
    PAGE,
    PRINTABLE,
    After,
    Limit,
    alert_filter,
    call_filter,
    invalid,
)
from stream.api.questions.known_parameters import only_known
from stream.archive.questions import AlertFilter, BadCursorError, CallFilter

SHORTEST_PART = 3
MOST_FOUND = 50

CallKey = Annotated[
    str,
    PathParameter(
        description="`<provider>:<id of the call>`, as in `twilio:CA…`.", max_length=300, pattern=PRINTABLE
    ),
]
BAD_CURSOR = "must be the `next` of a page of the same list"
NO_CALL = "There is no such call."


@get("/calls", operation_id="listCalls", tags=["calls"], responses=documented(400))
async def list_calls(
    request: Request[Any, Any, Any],
    wanted: NamedDependency[CallFilter],
    limit: Limit = PAGE,
    after: After = None,
) -> CallList:
    """Calls, newest first, by the time of their start. Pages are stable while calls come in."""
    parts, caller = parts_of(request), caller_of(request)
    try:
        page = await parts.reads.run(parts.archive.calls, wanted, limit, after)
    except BadCursorError:
        raise invalid("after", BAD_CURSOR) from None
    audit(caller, ((one.key, one) for one in page.items))
    return CallList([shown_call(one, caller) for one in page.items], page.next)


@get("/calls/find", operation_id="findCalls", tags=["calls"], responses=documented(400))
async def find_calls(
    request: Request[Any, Any, Any],
    part: Annotated[
        str,
        QueryParameter(
            description="A part of the call's id.",
            min_length=SHORTEST_PART,
            max_length=200,
            pattern=PRINTABLE,
        ),
    ],
) -> FoundCalls:
    """Keys of calls whose id contains a text. A whole id is found at once."""
    parts = parts_of(request)
    accounts = caller_of(request).accounts
    return FoundCalls(await parts.reads.search(parts.archive.find, part, accounts, MOST_FOUND))


@get("/calls/by-minute", operation_id="countCallsByMinute", tags=["calls"], responses=documented(400))
async def count_calls(request: Request[Any, Any, Any], wanted: NamedDependency[CallFilter]) -> CallsByMinute:
    """How many calls began in each minute, by outcome: of the last seven days, or before `until`."""
    parts = parts_of(request)
    return CallsByMinute(await parts.reads.run(parts.archive.calls_by_minute, wanted))


@get("/calls/{key:str}", operation_id="getCall", tags=["calls"], responses=documented(400, 404))
async def get_call(request: Request[Any, Any, Any], key: CallKey) -> CallAnswer:
    """All that is kept of one call: its record, events and alerts, and the timeline of all of them."""
    parts, caller = parts_of(request), caller_of(request)
    history = await parts.reads.run(parts.archive.call, key, caller.accounts)
    if history is None:
        raise Refused(404, NO_CALL)
    audit(caller, [(key, history.call)])
    history.call = shown_call(history.call, caller)
    return await parts.reads.run(call_answer, history, caller)


@get("/calls/{key:str}/events", operation_id="listEvents", tags=["calls"], responses=documented(400, 404))
async def list_events(
    request: Request[Any, Any, Any], key: CallKey, limit: Limit = PAGE, after: After = None
) -> EventList:
    """Events of a call in the order of its timeline, or of a conference (`twilio:conference:CF…`)."""
    parts, caller = parts_of(request), caller_of(request)
    try:
        page = await parts.reads.run(parts.archive.events, key, caller.accounts, limit, after)
    except BadCursorError:
        raise invalid("after", BAD_CURSOR) from None
    if page is None:
        raise Refused(404, NO_CALL)
    return await parts.reads.run(event_list, page, caller)


@get("/alerts", operation_id="listAlerts", tags=["alerts"], responses=documented(400))
async def list_alerts(
    request: Request[Any, Any, Any],
    wanted: NamedDependency[AlertFilter],
    limit: Limit = PAGE,
    after: After = None,
) -> AlertList:
    """Alerts, newest first: of each episode the latest revision."""
    parts, caller = parts_of(request), caller_of(request)
    try:
        page = await parts.reads.run(parts.archive.alerts, wanted, limit, after)
    except BadCursorError:
        raise invalid("after", BAD_CURSOR) from None
    return await parts.reads.run(alert_list, page, caller)


def routes() -> Sequence[ControllerRouterHandler]:
    calls = [list_calls, find_calls, count_calls, get_call, list_events]
    return [
        Router(
            "/v1",
            route_handlers=calls,
            dependencies={"wanted": Provide(call_filter)},
            guards=[only_known],
        ),
        Router(
            "/v1",
            route_handlers=[list_alerts],
            dependencies={"wanted": Provide(alert_filter)},
            guards=[only_known],
        ),
    ]
