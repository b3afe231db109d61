"""What is landed of a request: no more than what its signature covers.

The rule of this file: a `Content` is made before the signature is checked, the signature is checked over what
is in it, and a record is made of it alone. What else came with the request (headers, a query beside a body
that is signed alone) has no way into a record's body.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.gateway.receive.form_body import Pairs, pairs
from stream.gateway.receive.request import WebhookRequest, wire_bytes

_JSON_TYPES = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The part of a request that may be landed. A `repr` shows none of it.

    - `raw`: a body, or a GET's query, byte for byte.
    - `parameters`: of a form or of a GET's query; None for any other body.
    - `query`: the URL's own query beside a body; None where there is none or the signature does not cover it.
    - `is_json`: whether a body without parameters may be read as JSON.
    """

    raw: bytes = field(repr=False)
    parameters: Pairs | None = field(repr=False)
    query: str | None = field(repr=False)
    is_json: bool


def of_url_and_body(request: WebhookRequest) -> Content:
    """What Twilio's signature covers, and what is taken of a request that nobody signed.

    Raises TooManyParametersError.
    """
    if request.method == "GET":
        raw = wire_bytes(request.query or "")
        return Content(raw=raw, parameters=pairs(raw), query=None, is_json=False)
    parameters = pairs(request.body) if request.is_form else None
    return Content(
        raw=request.body, parameters=parameters, query=request.query, is_json=_is_said_to_be_json(request)
    )


def of_body(request: WebhookRequest) -> Content:
    """What Telnyx' signature covers: the body and nothing beside it.

    Nobody signed its Content-Type: what begins as JSON is JSON, whatever the header says, or a customer's
    text inside it could be read as a form. Raises TooManyParametersError.
    """
    raw = request.body
    looks_like_json = raw.lstrip(_BLANK)[:1] in (b"{", b"[")
    parameters = pairs(raw) if request.is_form and not looks_like_json else None
    return Content(
        raw=raw,
        parameters=parameters,
        query=None,
        is_json=looks_like_json or _is_said_to_be_json(request),
    )


def _is_said_to_be_json(request: WebhookRequest) -> bool:
    kind = request.media_type
    return not kind or kind in _JSON_TYPES or kind.endswith("+json")
