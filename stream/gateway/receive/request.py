"""A webhook request as it came over the wire, the same taken apart, once, and the refusal of one.

A signature is over bytes, so target, headers, body and parameters stay as they were received. Verification,
source detection, records and the doctor all read a `ParsedRequest`. What may be written to Kafka is apart
from the rest of it, as a `Content`: it exists before the signature is checked, the signature is checked over
what is in it, and a record is made of it alone. Whatever else came with the request (headers, a query beside
a body that is signed alone) has no way into a record's body.

A refusal has one word, which is counted, and a sentence for the operator. Neither holds anything that was
sent. The sender gets the status alone: what is wrong with a signature is the operator's business only.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

FORM = "application/x-www-form-urlencoded"

TWILIO_SIGNATURE = "X-Twilio-Signature"
TELNYX_SIGNATURE = "telnyx-signature-ed25519"
TELNYX_VERSION_1_SIGNATURE = "X-Telnyx-Signature"
"""Of webhook API version 1: an HMAC whose exact form Telnyx no longer documents."""

GET_PATH = "/callbacks/twilio"
"""The only path that a GET may be sent to."""

PARAMETERS_LIMIT = 1000
"""Parameters of one request. Twilio sends about forty; a body of a hundred thousand is an attack."""

SMALL_BYTES = 8192
FEW_PARAMETERS = 100
"""A request with at most these is as large as what a provider sends of one event."""

STATUSES = {
    "missing_signature": 403,
    "bad_signature": 403,
    "stale_timestamp": 403,
    "unknown_account": 403,
    "malformed": 400,
    "unsupported_media_type": 415,
    "too_large": 413,
}
"""The HTTP status of each reason for a refusal."""

Headers = CIMultiDictProxy[str]
"""In their order, names in any case: aiohttp's own type, so that a request's headers are not copied."""

Pairs = list[tuple[bytes, bytes]]

_SIGNERS = {TWILIO_SIGNATURE: "twilio", TELNYX_SIGNATURE: "telnyx", TELNYX_VERSION_1_SIGNATURE: "telnyx"}
_PLAIN_CODINGS = (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked"))
_JSON_TYPES = ("", "application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
_BLANK = b" \t\r\n"
_ACCOUNT_LIMIT = 255
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class RequestRefusedError(Exception):
    """The request is refused. `reason` is one of `STATUSES`, `detail` explains it without what was sent."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = STATUSES[reason]


def headers_of(pairs: Iterable[tuple[str, str]] = ()) -> Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """One request. Its `repr` shows nothing that a provider or a customer sent.

    - `target`: the request line's target, path and query byte for byte; bytes that are not UTF-8 as lone
      surrogates.
    - `remote`: the address of the other end of the socket, None where it has none.
    - `secure`: whether that socket is TLS.
    """

    method: str
    target: str = field(repr=False)
    headers: Headers = field(default_factory=headers_of, repr=False)
    body: bytes = field(default=b"", repr=False)
    remote: str | None = None
    secure: bool = False

    def header(self, name: str) -> str | None:
        """A header's value. Repeated ones are joined as HTTP joins them, so two signatures never fit."""
        values = self.headers.getall(name, None)
        return None if values is None else ", ".join(values)


class Client(NamedTuple):
    """The request's sender, as far as it can be believed.

    - `remote`: its address, None where it is unknown.
    - `scheme`, `host`: of the URL that it asked for, None where no trusted proxy says so.
    - `told_by`: `forwarded`, `x_forwarded` or `request`.
    """

    remote: str | None
    scheme: str | None = None
    host: str | None = None
    told_by: str = "request"


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

    - `target`: its path and query, empty where the request's target has none.
    - `query`: what follows the first `?`, as received; None without a `?`.
    - `provider`: whose request it claims to be.
    - `account`: the account that it names, None where it names none.
    - `is_form`: whether its body is a form.
    - `content`: what a signature over URL and body covers.
    """

    request: WebhookRequest = field(repr=False)
    client: Client
    target: str = field(repr=False)
    path: str = field(repr=False)
    query: str | None = field(repr=False)
    provider: str
    account: str | None = field(repr=False)
    is_form: bool
    content: Content


def parse(request: WebhookRequest, client: Client) -> ParsedRequest:
    """Raises RequestRefusedError: more parameters than a provider sends."""
    target = path_and_query(request.target)
    path, mark, query = target.partition("?")
    kind = (request.header("Content-Type") or "").partition(";")[0].strip().lower()
    is_get, is_form = request.method == "GET", request.method == "POST" and kind == FORM
    is_json = not is_get and (kind in _JSON_TYPES or kind.endswith("+json"))
    provider = claimed_provider(request)
    raw = wire_bytes(query) if is_get else request.body
    if provider == "telnyx" and TELNYX_SIGNATURE in request.headers and not is_get:
        # Telnyx does not sign the Content-Type. What begins as JSON is JSON, whatever the header says: else
        # a customer's text inside it could be read as a form.
        begins_as_json = raw.lstrip(_BLANK)[:1] in (b"{", b"[")
        is_form, is_json = is_form and not begins_as_json, is_json or begins_as_json
    parameters = pairs(raw) if is_form or is_get else None
    account = (last(parameters or [], b"AccountSid") or "")[:_ACCOUNT_LIMIT] or None
    if account and _UUID.fullmatch(account) and not any(name in request.headers for name in _SIGNERS):
        # Telnyx' TeXML callbacks look like Twilio's, and are set up in the same way for the same URL.
        provider = "telnyx"
    own_query = query if mark else None
    return ParsedRequest(
        request=request,
        client=client,
        target=target,
        path=path,
        query=own_query,
        provider=provider,
        account=account,
        is_form=is_form,
        content=Content(raw=raw, parameters=parameters, query=None if is_get else own_query, is_json=is_json),
    )


def claimed_provider(request: WebhookRequest) -> str:
    """Whose request it claims to be: by its signature, else by its path."""
    signers = {provider for name, provider in _SIGNERS.items() if name in request.headers}
    if len(signers) == 1:
        return signers.pop()
    path = path_and_query(request.target).partition("?")[0]
    return "telnyx" if "telnyx" in path.split("/") else "twilio"


def path_and_query(target: str) -> str:
    """A target from its path on (RFC 9112 3.2.1, 3.2.2); empty where it has no path.

    A fragment is not part of a target, and no signature covers one: the target ends before it.
    """
    target = target.partition("#")[0]
    if target.startswith("/"):
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return ""
    for at, character in enumerate(rest):
        if character in "/?":
            return rest[at:] if character == "/" else "/" + rest[at:]
    return "/"


def is_packed(headers: Headers) -> bool:
    """Whether the body is compressed or otherwise encoded. No provider does that to its webhooks."""
    return any(
        coding.strip().lower() not in ("", plain)
        for name, plain in _PLAIN_CODINGS
        for value in headers.getall(name, ())
        for coding in value.split(",")
    )


def is_cheap_to_verify(request: WebhookRequest) -> bool:
    """Whether to verify it with few keys costs less than to read and answer it does."""
    parameters = request.body.count(b"&") + request.target.count("&")
    return len(request.body) <= SMALL_BYTES and parameters <= FEW_PARAMETERS


def pairs(raw: bytes) -> Pairs:
    """The parameters of a form or a query in their order, empty values included.

    Raises RequestRefusedError: more than a provider sends.
    """
    if raw.count(b"&") >= PARAMETERS_LIMIT:
        raise RequestRefusedError("malformed", "more parameters than a provider sends")
    found = []
    for part in raw.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            if b"%" in name:
                name = _unescaped(name)
            if b"%" in value:
                value = _unescaped(value)
            found.append((name, value))
    return found


def _unescaped(raw: bytes) -> bytes:
    """As `urllib.parse.unquote_to_bytes`, and several times faster where all of a large value is escaped.

    Quoted-printable differs only in its sign, and the standard library decodes it in C.
    """
    escaped = _LONE_PERCENT.sub(b"%25", raw).replace(b"=", b"%3D")
    return binascii.a2b_qp(escaped.replace(b"%", b"="))


def last(parameters: Pairs, name: bytes) -> str | None:
    """The last value of a parameter: a provider appends its own after those of the customer's URL."""
    for given, value in reversed(parameters):
        if given == name:
            return value.decode("utf-8", "replace")
    return None


def wire_bytes(text: str) -> bytes:
    """The bytes that a header's or target's text came as."""
    return text.encode("utf-8", "surrogateescape")


def clean_text(text: str) -> str:
    """The same text; bytes that are not UTF-8 are replaced, since JSON cannot hold them."""
    return text if text.isascii() else wire_bytes(text).decode("utf-8", "replace")
