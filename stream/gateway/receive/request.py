"""A webhook request as it came over the wire, and the refusal of one.

Nothing is decoded here. A signature is over bytes, so target, headers and body stay as they were received.
The server makes one request for each webhook; the signature doctor reads one from a capture.

A refusal has one word, which is counted, and a sentence for the operator. Neither holds anything that was
sent. The sender gets the status alone: what is wrong with a signature is the operator's business only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from multidict import CIMultiDict, CIMultiDictProxy

FORM = "application/x-www-form-urlencoded"

Headers = CIMultiDictProxy[str]
"""In their order, names in any case: aiohttp's own type, so that a request's headers are not copied."""

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

_PLAIN_CODINGS = (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked"))


class RequestRefusedError(Exception):
    """The request is refused. `reason` is one of `STATUSES`, `detail` explains it without what was sent."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = STATUSES[reason]


def headers_of(pairs: Iterable[tuple[str, str]] = ()) -> Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


def is_packed(headers: Headers) -> bool:
    """Whether the body is compressed or otherwise encoded. No provider does that to its webhooks."""
    return any(
        coding.strip().lower() not in ("", plain)
        for name, plain in _PLAIN_CODINGS
        for value in headers.getall(name, ())
        for coding in value.split(",")
    )


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

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty where there is none."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()


def path_and_query(target: str) -> str | None:
    """A target from its path on (RFC 9112 3.2.1, 3.2.2); None where it has no path.

    A fragment is not part of a target, and no signature covers one: the target ends before it.
    """
    target = target.partition("#")[0]
    if target.startswith("/"):
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return None
    for at, character in enumerate(rest):
        if character in "/?":
            return rest[at:] if character == "/" else "/" + rest[at:]
    return "/"


def wire_bytes(text: str) -> bytes:
    """The bytes that a header's or target's text came as."""
    return text.encode("utf-8", "surrogateescape")


def clean_text(text: str) -> str:
    """The same text; bytes that are not UTF-8 are replaced, since JSON cannot hold them."""
    return text if text.isascii() else wire_bytes(text).decode("utf-8", "replace")
