"""A request taken apart, once: verification, source detection, records and the doctor all read this.

What may be written to Kafka is apart from the rest, as a `Content`. It exists before the signature is
checked, the signature is checked over what is in it, and a record is made of it alone. Whatever else came
with the request (headers, a query beside a body that is signed alone) has no way into a record's body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from stream.gateway.receive import telnyx_signature, twilio_signature
from stream.gateway.receive.form_body import Pairs, TooManyParametersError, last, pairs
from stream.gateway.receive.public_url import Client
from stream.gateway.receive.request import (
    FORM,
    RequestRefusedError,
    WebhookRequest,
    path_and_query,
    wire_bytes,
)

SMALL_BYTES = 8192
FEW_PARAMETERS = 100
"""A request with no more than these is as large as what a provider sends of one event."""

_ACCOUNT_LIMIT = 255
_JSON_TYPES = ("", "application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
_BLANK = b" \t\r\n"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_SIGNATURES = {
    twilio_signature.SIGNATURE: "twilio",
    telnyx_signature.SIGNATURE: "telnyx",
    telnyx_signature.VERSION_1_SIGNATURE: "telnyx",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The part of a request that may be written to Kafka. Its `repr` shows none of it.

    - `raw`: a body, or a GET's query, byte for byte.
    - `parameters`: of a form or of a GET's query; None for any other body.
    - `query`: the URL's own query beside a body; None where there is none or the signature does not cover it.
    - `is_json`: whether a body without parameters may be read as JSON.
    """

    raw: bytes = field(repr=False)
    parameters: Pairs | None = field(repr=False)
    query: str | None = field(repr=False)
    is_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """One request.

    - `query`: what follows the first `?`, as received; None without a `?`.
    - `provider`: whose request it claims to be.
    - `account`: the account that it names, None where it names none.
    - `is_form`: whether its body is a form.
    - `content`: what a signature over URL and body covers.
    """

    request: WebhookRequest = field(repr=False)
    client: Client
    path: str = field(repr=False)
    query: str | None = field(repr=False)
    provider: str
    account: str | None = field(repr=False)
    is_form: bool
    content: Content

    @property
    def body_content(self) -> Content:
        """What a signature over the body alone covers."""
        content = self.content
        return Content(raw=content.raw, parameters=content.parameters, query=None, is_json=content.is_json)


def parse(request: WebhookRequest, client: Client) -> ParsedRequest:
    """Raises RequestRefusedError: more parameters than a provider sends."""
    path, mark, query = (path_and_query(request.target) or "").partition("?")
    kind = request.media_type
    is_get, is_form = request.method == "GET", request.method == "POST" and kind == FORM
    is_json = not is_get and (kind in _JSON_TYPES or kind.endswith("+json"))
    provider = claimed_provider(request)
    raw = wire_bytes(query) if is_get else request.body
    if provider == "telnyx" and telnyx_signature.SIGNATURE in request.headers and not is_get:
        # Telnyx does not sign the Content-Type. What begins as JSON is JSON, whatever the header says: else
        # a customer's text inside it could be read as a form.
        begins_as_json = raw.lstrip(_BLANK)[:1] in (b"{", b"[")
        is_form, is_json = is_form and not begins_as_json, is_json or begins_as_json
    try:
        parameters = pairs(raw) if is_form or is_get else None
    except TooManyParametersError:
        raise RequestRefusedError("malformed", "more parameters than a provider sends") from None
    account = (last(parameters or [], b"AccountSid") or "")[:_ACCOUNT_LIMIT] or None
    if account and _UUID.fullmatch(account) and not any(name in request.headers for name in _SIGNATURES):
        # Telnyx' TeXML callbacks look like Twilio's, and are set up in the same way for the same URL.
        provider = "telnyx"
    own_query = query if mark else None
    return ParsedRequest(
        request=request,
        client=client,
        path=path,
        query=own_query,
        provider=provider,
        account=account,
        is_form=is_form,
        content=Content(raw=raw, parameters=parameters, query=None if is_get else own_query, is_json=is_json),
    )


def claimed_provider(request: WebhookRequest) -> str:
    """Whose request it claims to be: by its signature, else by its path."""
    signers = {provider for name, provider in _SIGNATURES.items() if name in request.headers}
    if len(signers) == 1:
        return signers.pop()
    path = (path_and_query(request.target) or "").partition("?")[0]
    return "telnyx" if "telnyx" in path.split("/") else "twilio"


def is_cheap_to_verify(request: WebhookRequest) -> bool:
    """Whether to verify it with few keys costs less than to read and answer it does."""
    parameters = request.body.count(b"&") + request.target.count("&")
    return len(request.body) <= SMALL_BYTES and parameters <= FEW_PARAMETERS
