"""Captured requests in each form that operators have, verified as the gateway would."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from stream.gateway.diagnose.request_capture import LIMIT_BYTES, Capture, CaptureError, read
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import FORM, WebhookRequest, headers_of, wire_bytes
from stream.gateway.receive.telnyx_signature import public_key
from tests.gateway.signing import ACCOUNT, HOST, NOW_S, TOKEN, public, telnyx_post, twilio_form
from tests.gateway.verdicts import verified

CREDENTIALS = GatewayCredentials(
    public_url=f"https://{HOST}",
    twilio_tokens={ACCOUNT: (TOKEN,)},
    telnyx_keys=(public_key(public()),),
)
TWILIO = twilio_form(target="/callbacks/twilio?tenant=%37&x=ë")
TELNYX = telnyx_post('{"data":{"id":"e1","to":"sip:zoë@example.test"}}\n'.encode())


def head(request: WebhookRequest, end: bytes = b"\r\n", mark: bytes = b"", *more: tuple[str, str]) -> bytes:
    lines = [
        f"{request.method} {request.target} HTTP/1.1",
        *(f"{n}: {v}" for n, v in (*request.headers.items(), *more)),
    ]
    return b"".join(mark + wire_bytes(line) + end for line in lines) + mark.strip() + end


def sized(request: WebhookRequest) -> tuple[str, str]:
    return "Content-Length", str(len(request.body))


def chunked(body: bytes) -> bytes:
    return b"".join(b"%x;x=1\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"


def as_json(request: WebhookRequest, url: str, **more: object) -> bytes:
    said = {"method": request.method, "url": url, "headers": dict(request.headers), **more}
    return json.dumps(said, ensure_ascii=False).encode()


WRITTEN: dict[str, Callable[[WebhookRequest], bytes]] = {
    "raw": lambda one: head(one, b"\r\n", b"", sized(one)) + one.body,
    "raw, with line ends of Unix and what came after": lambda one: (
        head(one, b"\n", b"", sized(one)) + one.body + b"\n12:00:01.000000 IP 10.0.0.2\n"
    ),
    "chunked": lambda one: head(one, b"\r\n", b"", ("Transfer-Encoding", "chunked")) + chunked(one.body),
    "tcpdump -A": lambda one: (
        b"12:00:00.000000 IP 10.0.0.1.5555 > 10.0.0.2.8080: Flags [P.], length 9\n"
        b"E..4..@.@.............P" + head(one, b"\n", b"", sized(one)) + one.body + b"\n"
    ),
    "curl -v": lambda one: (
        b"* Connected to h (127.0.0.1) port 8080\n* using HTTP/1.x\n"
        + head(one, b"\n", b"> ", sized(one))
        + b"* upload completely sent off\n"
        + one.body
        + b"\n< HTTP/1.1 403 Forbidden\n< \n* Connection #0 left intact\n"
    ),
}


@pytest.mark.parametrize("request_", [TWILIO, TELNYX], ids=["twilio", "telnyx"])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_request_is_read_from_each_way_of_writing_it_byte_for_byte(
    name: str, request_: WebhookRequest
) -> None:
    found = read(WRITTEN[name](request_), remote="10.0.0.1").request
    assert (found.method, found.target, found.body) == (request_.method, request_.target, request_.body)
    assert list(found.headers.items())[: len(request_.headers)] == list(request_.headers.items())
    assert found.remote == "10.0.0.1"
    assert verified(found, CREDENTIALS).variant is not None


def test_json_says_it_too_with_a_whole_url_or_a_path_and_when_it_was_received() -> None:
    request = twilio_form()
    body = request.body.decode()
    whole = read(as_json(request, f"https://me:x@{HOST}/callbacks/twilio#rc=3", body=body))
    assert whole == Capture(
        replace(request, target=f"https://me:x@{HOST}/callbacks/twilio", remote=None), None
    )
    assert verified(whole.request, replace(CREDENTIALS, public_url="")).variant is not None

    encoded = base64.b64encode(request.body).decode()
    path = read(
        as_json(
            request,
            "/callbacks/twilio",
            body_base64=encoded,
            remote="10.0.0.1",
            received_at="2026-01-01T00:00:00Z",
        )
    )
    assert path == Capture(replace(request, remote="10.0.0.1", secure=False), NOW_S)
    assert read(as_json(request, "/x", received_at=NOW_S)).received_s == NOW_S


def test_json_needs_no_host_where_the_url_has_one_and_takes_headers_as_pairs_and_lists() -> None:
    raw = {
        "url": "http://a.test:8080/x",
        "headers": [["A", "1"], ["B", ["2", "3"]]],
    }
    assert read(json.dumps(raw).encode()).request == WebhookRequest(
        method="POST",
        target="http://a.test:8080/x",
        headers=headers_of([("Host", "a.test:8080"), ("A", "1"), ("B", "2"), ("B", "3")]),
    )


def test_a_path_with_a_url_in_its_query_is_a_path() -> None:
    assert read(b'{"method": "get", "url": "/x?u=https://a.test"}').request == WebhookRequest(
        method="GET", target="/x?u=https://a.test"
    )


def test_a_form_without_a_length_ends_before_the_editors_line_end() -> None:
    raw = f"POST /x HTTP/1.1\nHost: h\nContent-Type: {FORM}\n\na=1&b=2\n".encode()
    assert read(raw).request.body == b"a=1&b=2"


def test_a_get_has_no_body() -> None:
    found = read(b"GET /callbacks/twilio?CallSid=CA1 HTTP/2\nHost: h\n").request
    assert (found.method, found.target, found.body) == ("GET", "/callbacks/twilio?CallSid=CA1", b"")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no request line"),
        (b"hello\nhunter2\n", "no request line"),
        (b"POST /hunter2 HTTP/1.1\r\n\r\n", "no headers"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nhunter2\r\n\r\n", "a line that is not a header"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhunter2", "7 of the 9 bytes"),
        (b"POST / HTTP/1.1\r\nContent-Length: hunter2\r\n\r\n", "Content-Length is not a number"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhunter2", "chunks"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nhunter2", "chunks"),
        (b"x" * (LIMIT_BYTES + 1), "more than"),
        (b'{"hunter2": ', "begins like JSON"),
        (b'{"body": "hunter2"}', "needs a `url`"),
        (b'{"url": "http://[hunter2/"}', "`url` is not a URL"),
        (b'{"url": "/", "method": 1}', "needs a `url`"),
        (b'{"url": "/", "headers": {"hunter2": 1}}', "`headers`"),
        (b'{"url": "/", "headers": 1}', "`headers`"),
        (b'{"url": "/", "headers": ["hunter2"]}', "`headers`"),
        (b'{"url": "/", "body": {"hunter2": 1}}', "`body`"),
        (b'{"url": "/", "body_base64": "hunter2"}', "`body_base64`"),
        (b'{"url": "/", "received_at": "hunter2"}', "`received_at`"),
    ],
)
def test_what_is_not_a_whole_request_is_an_error_that_shows_nothing_of_it(raw: bytes, why: str) -> None:
    with pytest.raises(CaptureError, match=why) as refused:
        read(raw)
    assert "hunter2" not in str(refused.value)


def test_a_large_body_of_tiny_chunks_is_joined_in_a_time_that_grows_with_its_size() -> None:
    """Copying what is left for each chunk took a minute for such a capture."""
    body = b"x" * 150_000
    raw = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * len(body) + b"0\r\n\r\n"
    began = time.process_time()
    assert read(raw).request.body == body
    assert time.process_time() - began < 3
