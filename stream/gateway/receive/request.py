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


class RequestRefusedError(Exception):
    """The request is refused. `reason` is one of `STATUSES`, `detail` explains it without what was sent."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = STATUSES[reason]


def headers_of(pairs: Iterable[tuple[str, str]] = ()) -> Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


def header(headers: Headers, name: str) -> str | None:
    """A header's value. Repeated ones are joined as HTTP joins them, so two signatures never fit."""
    found = headers.getall(name, None)
    if found is None:
        return None
    return found[0] if len(found) == 1 else ", ".join(found)


def media_type(headers: Headers) -> str:
    """The content type without its parameters, in lower case; empty where there is none."""
    return (header(headers, "Content-Type") or "").partition(";")[0].strip().lower()


def is_coded(headers: Headers, name: str, plain: str) -> bool:
    """Whether a header names a coding of the body other than `plain`."""
    codings = header(headers, name)
    return codings is not None and any(
        coding.strip().lower() not in ("", plain) for coding in codings.split(",")
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
        return header(self.headers, name)


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
