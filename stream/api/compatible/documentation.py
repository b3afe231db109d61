"""What the OpenAPI document says of the providers' paths: their parameters, and how errors look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Reference, Schema

from stream.api.problems import MEANINGS
from stream.provider_api.http_types import Route
from stream.provider_api.telnyx_api import TELNYX
from stream.provider_api.twilio_api import EDGES
from stream.provider_api.twilio_calls import STATUSES


class TwilioErrorBody(msgspec.Struct):
    """An error as Twilio words it."""

    code: Annotated[int, msgspec.Meta(description="A number of Twilio's error dictionary.")]
    message: str
    more_info: str
    status: Annotated[int, msgspec.Meta(description="The HTTP status.")]


class TelnyxErrorBody(msgspec.Struct):
    """Errors as Telnyx words them."""

    errors: list[dict[str, Any]]


_TEXT = Schema(type=OpenAPIType.STRING)


def _whole(most: int | None) -> Schema:
    return Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=most)


def _words(words: Any) -> Schema:
    return Schema(type=OpenAPIType.STRING, enum=sorted(words))


_PAGING = {
    "PageSize": ("Rows of a page; 50 if it is not given.", _whole(1000)),
    "Page": ("Repeated in links, and ignored.", Schema(type=OpenAPIType.INTEGER, minimum=0)),
    "PageToken": ("Where the page begins: from a link.", _TEXT),
}
_TIME = "A day (`2026-03-01`) or a time (`2026-03-01T10:00:00Z`), UTC."
_CALL_FILTERS = {
    "To": ("Of these calls only.", _TEXT),
    "From": ("Of these calls only.", _TEXT),
    "ParentCallSid": ("Of the legs that this call has dialled.", _TEXT),
    "Status": ("Of calls with this status.", _words(STATUSES)),
    **{f"{name}{how}": (_TIME, _TEXT) for name in ("StartTime", "EndTime") for how in ("", "<", ">")},
}
_LOG_FILTERS = {
    **{
        f"filter[{name}]": (what, _TEXT)
        for name, what in {
            "leg_id": "The leg's `call_leg_id`.",
            "application_session_id": "The session's `call_session_id`.",
            "connection_id": "Of the event's payload.",
            "from": "Of the event's payload.",
            "to": "Of the event's payload.",
            "name": "The event's or command's name.",
            "application_name][contains": "A part of the name, at least three characters.",
            "outbound.outbound_voice_profile_id": "Of the event's payload.",
        }.items()
    },
    "filter[product]": ("Of the event's payload.", _words(("call_control", "fax", "texml"))),
    "filter[failed]": ("Whether the webhook's delivery failed.", _words(("false", "true"))),
    "filter[type]": ("What the row is about.", _words(("command", "webhook"))),
    **{
        f"filter[occurred_at][{how}]": ("An ISO 8601 time; only one of these filters.", _TEXT)
        for how in ("eq", "gt", "gte", "lt", "lte")
    },
    "page[number]": ("The page; 1 if it is not given.", _whole(None)),
    "page[size]": ("Rows of a page; 20 if it is not given.", _whole(250)),
}
_QUERIES = {
    "calls": {**_CALL_FILTERS, **_PAGING},
    "call": {},
    "request_log": _PAGING,
    "insights": {"Edge": ("Of this edge; the usual one of the kind of call.", _words(EDGES)), **_PAGING},
    "summary": {
        "ProcessingState": ("Only in this state.", _words(("complete", "partial", "all"))),
    },
    "call_events": _LOG_FILTERS,
}
_PATHS = {
    "account": "The account's SID.",
    "call": "The call's SID.",
}


def operation_of(route: Route) -> type[Operation]:
    named = [name for name in _PATHS if f"{{{name}}}" in route.path]
    suffixed = route.path.endswith("{call}.json")
    parameters: list[Parameter | Reference] = [
        Parameter(
            name=name,
            param_in="path",
            required=True,
            schema=_TEXT,
            description=_PATHS[name] + (" With `.json` behind it." if suffixed and name == "call" else ""),
        )
        for name in named
    ]
    parameters += [
        Parameter(name=name, param_in="query", required=False, schema=schema, description=what)
        for name, (what, schema) in _QUERIES[route.name].items()
    ]

    @dataclass
    class CompatibleOperation(Operation):
        def __post_init__(self) -> None:
            self.parameters = parameters

    return CompatibleOperation


def error_responses(provider: str) -> dict[int, ResponseSpec]:
    body = TelnyxErrorBody if provider == TELNYX else TwilioErrorBody
    return {
        status: ResponseSpec(body, generate_examples=False, description=MEANINGS[status])
        for status in (400, 401, 404, 429, 503)
    }
