"""A captured request, in the form that an operator has: raw HTTP, `curl -v`, `tcpdump -A`, or JSON.

Body and target stay the bytes that were captured, since a signature is over them. An incomplete capture is an
error: no signature would ever fit a body that was cut. An error says what is missing and quotes nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from stream.core.timestamps import iso8601
from stream.gateway.receive.request import FORM, WebhookRequest, headers_of

LIMIT_BYTES = 1024 * 1024

_METHODS = rb"(GET|POST|HEAD|PUT|PATCH|DELETE)"
_REQUEST_LINE = re.compile(_METHODS + rb" (\S+) HTTP/[0-9](?:\.[0-9])?[ \t]*\r?\n")
_CURL_LINE = re.compile(rb"^> " + _METHODS + rb" ", re.MULTILINE)
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")


class CaptureError(ValueError):
    """The capture cannot be read as a request; the message says why."""


@dataclass(frozen=True, slots=True)
class Capture:
    """`received_s`: when it was received, in Unix time; None where the capture does not say."""

    request: WebhookRequest
    received_s: float | None = None


def read(raw: bytes, *, remote: str | None = None) -> Capture:
    """The request in a capture. `remote`: the address that it came from, if known. Raises CaptureError."""
    if len(raw) > LIMIT_BYTES:
        raise CaptureError(f"it has more than {LIMIT_BYTES} bytes")
    if raw.lstrip()[:1] == b"{":
        return _of_json(raw, remote)
    found = _CURL_LINE.search(raw)
    return Capture(_of_http(raw if found is None else _without_marks(raw[found.start() :]), remote))


def _of_http(raw: bytes, remote: str | None) -> WebhookRequest:
    line = _REQUEST_LINE.search(raw)
    if line is None:
        raise CaptureError(
            "it is not a JSON object and has no request line such as POST /callbacks/twilio HTTP/1.1"
        )
    if raw[line.end() :].startswith((b"\n", b"\r\n")):
        raise CaptureError("it has no headers")
    end = _HEAD_END.search(raw, line.end())
    head, rest = (
        (raw[line.end() :], b"") if end is None else (raw[line.end() : end.start()], raw[end.end() :])
    )
    request = WebhookRequest(
        method=line[1].decode(),
        target=_text(line[2]),
        headers=headers_of(_header(one) for one in head.splitlines()),
        remote=remote,
    )
    return replace(request, body=_body(request, rest))


def _header(line: bytes) -> tuple[str, str]:
    name, colon, value = _text(line).partition(":")
    if not colon or not name or name != name.strip():
        raise CaptureError("its head has a line that is not a header")
    return name, value.strip()


def _body(request: WebhookRequest, rest: bytes) -> bytes:
    if (request.header("Transfer-Encoding") or "").lower().endswith("chunked"):
        return _joined(rest)
    said = request.header("Content-Length")
    if said is None:
        is_form = (request.header("Content-Type") or "").strip().lower().startswith(FORM)
        # An editor's line end; a form never ends with one.
        return rest.rstrip(b"\r\n") if request.method == "POST" and is_form else rest
    if not said.isascii() or not said.isdigit() or len(said) > 9:
        raise CaptureError("its Content-Length is not a number")
    if len(rest) < int(said):
        raise CaptureError(
            f"its body has {len(rest)} of the {int(said)} bytes that Content-Length says: it was cut or "
            "changed (curl -v shows no body: put it after the head)"
        )
    return rest[: int(said)]


def _joined(rest: bytes) -> bytes:
    """The body of chunks (RFC 9112 7.1)."""
    found: list[bytes] = []
    at = 0
    while True:
        ended = rest.find(b"\n", at)
        size_line = rest[at : max(ended, at)]
        size = size_line.partition(b";")[0].strip()
        begins = ended + 1
        if ended < 0 or not re.fullmatch(rb"[0-9A-Fa-f]{1,6}", size) or len(rest) - begins < int(size, 16):
            raise CaptureError("its chunks are cut or changed")
        if int(size, 16) == 0:
            return b"".join(found)
        at = begins + int(size, 16)
        found.append(rest[begins:at])
        at += rest.startswith(b"\r", at)
        at += rest.startswith(b"\n", at)


def _without_marks(raw: bytes) -> bytes:
    """`curl -v` marks the head's lines with `> `; what follows up to the answer is the body."""
    head, body, ended = [], [], False
    for line in raw.split(b"\n"):
        if line.startswith(b"<"):
            break
        if line.startswith((b"* ", b"{ [", b"} [")):
            continue
        if ended:
            body.append(line)
        else:
            head.append(line.removeprefix(b">").removeprefix(b" "))
            ended = not head[-1].strip()
    return b"\n".join(head) + b"\n" + b"\n".join(body)


def _of_json(raw: bytes, remote: str | None) -> Capture:
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise CaptureError("it begins like JSON and is not JSON") from None
    url = said.get("url")
    method = said.get("method", "POST")
    if not isinstance(url, str) or not url or not isinstance(method, str):
        raise CaptureError("it needs a `url`, and a `method` if that is not POST")
    headers = _headers(said.get("headers", {}))
    try:
        parts = urlsplit(url) if _ABSOLUTE.match(url) else None
    except ValueError:
        raise CaptureError("its `url` is not a URL") from None
    if parts is not None and not any(name.lower() == "host" for name, _ in headers):
        headers = [("Host", parts.netloc.rpartition("@")[2]), *headers]
    request = WebhookRequest(
        method=method.upper(),
        target=url.partition("#")[0],
        headers=headers_of(headers),
        body=_json_body(said),
        remote=remote or (said["remote"] if isinstance(said.get("remote"), str) else None),
        secure=parts is not None and parts.scheme.lower() == "https",
    )
    return Capture(request, _received_s(said.get("received_at")))


def _headers(said: Any) -> list[tuple[str, str]]:
    """An object of texts or of lists of texts, or a list of pairs."""
    pairs = list(said.items()) if isinstance(said, dict) else said
    found = []
    try:
        for name, value in pairs:
            found += [(name, one) for one in (value if isinstance(value, list) else [value])]
    except (TypeError, ValueError):
        found = [(None, None)]
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in found):
        raise CaptureError("its `headers` are not an object of texts")
    return found


def _json_body(said: dict[str, Any]) -> bytes:
    encoded, body = said.get("body_base64"), said.get("body", "")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise CaptureError("its `body_base64` is not base64") from None
    if not isinstance(body, str):
        raise CaptureError(
            "its `body` is not a text: give the body as it was sent, not what was read from it"
        )
    return body.encode("utf-8", "surrogateescape")


def _received_s(said: Any) -> float | None:
    """Unix time, or RFC 3339."""
    if said is None:
        return None
    if isinstance(said, int | float) and not isinstance(said, bool):
        return float(said)
    at_us = iso8601(said) if isinstance(said, str) else None
    if at_us is None:
        raise CaptureError("its `received_at` is neither Unix time nor a time such as 2026-03-02T10:00:55Z")
    return at_us / 1_000_000


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
