"""Any input to the handlers: an answer in time, never a 500, and the next request is served.

Without signatures, so that everything behind them is reached.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.gateway.waiting_bodies import WaitingBodies
from stream.service.metrics.label_values import CALLBACK_ROUTES
from stream.sources.twilio.parameters import KNOWN
from tests.gateway.running_gateway import CREDENTIALS, RunningGateway, running_gateway

ANSWER_S = 5.0

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
names = st.one_of(st.sampled_from(sorted(KNOWN)), st.text(max_size=10))
forms = st.lists(st.tuples(names, st.text(max_size=20)), max_size=12).map(lambda p: urlencode(p).encode())
telnyx = st.fixed_dictionaries(
    {},
    optional={
        "data": values,
        "event_type": values,
        "payload": values,
        "meta": values,
        "call_leg_id": values,
        "specversion": values,
        "type": values,
    },
)
documents = st.one_of(values, telnyx, st.lists(telnyx, max_size=3)).map(lambda v: json.dumps(v).encode())
bodies = st.one_of(forms, documents, st.binary(max_size=200))
types = st.sampled_from(
    [
        b"application/x-www-form-urlencoded",
        b"application/json",
        b"application/cloudevents+json; charset=x",
        b"text/plain",
        b"multipart/form-data",
        b"",
    ]
)
ascii_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30).map(str.encode)
printable = st.one_of(ascii_text, ascii_text, ascii_text, st.binary(max_size=20))
routes = st.sampled_from([route.encode() for route in CALLBACK_ROUTES])
targets = st.one_of(
    routes,
    routes,
    ascii_text.map(lambda raw: b"/callbacks/twilio?" + raw),
    ascii_text.map(lambda raw: b"/" + raw),
    printable,
)
methods = st.sampled_from([b"POST", b"POST", b"POST", b"POST", b"GET", b"PUT", b"HEAD", b"x"])
headers = st.sampled_from(
    [b"X-Twilio-Signature", b"Telnyx-Timestamp", b"Telnyx-Signature-Ed25519", b"Forwarded", b"X-Y"]
)
extra = st.lists(st.tuples(headers, printable), max_size=2)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request as bytes: mostly HTTP, with anything in it."""
    body = draw(bodies)
    head = draw(methods) + b" " + draw(targets) + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    head += b"Content-Type: " + draw(types) + b"\r\nContent-Length: %d\r\n" % len(body)
    head += b"".join(name + b": " + value + b"\r\n" for name, value in draw(extra))
    return head + b"\r\n" + body


def peak_bytes() -> int:
    """The most memory that this process ever had, other tests' too."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Fuzzed:
    """A gateway on a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.peak_before = peak_bytes()
        self._stack = AsyncExitStack()
        credentials = replace(CREDENTIALS, accept_unsigned=True)
        self.gateway: RunningGateway = self.loop.run_until_complete(
            self._stack.enter_async_context(running_gateway(credentials, bodies=WaitingBodies(limit_s=0.3)))
        )
        # Else most of what is tried is answered with 429, and not looked at.
        self.gateway.failures.record_success("", time.monotonic())

    def answer(self, sent: bytes) -> bytes:
        return self.loop.run_until_complete(asyncio.wait_for(self._answer(sent), ANSWER_S))

    async def _answer(self, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        writer.write(sent)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    def close(self) -> None:
        self.loop.run_until_complete(self._stack.aclose())
        self.loop.close()


@pytest.fixture
def fuzzed() -> Iterator[Fuzzed]:
    """A gateway; after the test it still serves, holds nothing and has not grown."""
    one = Fuzzed()
    yield one
    try:
        assert b" 204 " in one.answer(UNSIGNED)[:16]
        assert one.gateway.handlers._in_work == 0
        assert peak_bytes() - one.peak_before < 256 << 20
    finally:
        one.close()


UNSIGNED = (
    b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 11\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nCallSid=CA1"
)
HEAD = b" /callbacks/twilio HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n"
NOT_ALLOWED = b"PUT" + HEAD + b"\r\na"
NO_TYPE_OF_OURS = b"POST" + HEAD + b"Content-Type: text/plain\r\n\r\na"
"""Two that chance draws too seldom."""

MANY = settings(max_examples=60, deadline=None)


def test_a_request_with_anything_in_it_is_answered_and_is_never_a_fault_of_ours(fuzzed: Fuzzed) -> None:
    statuses: Counter[bytes] = Counter()

    @MANY
    @example(NOT_ALLOWED)
    @example(NO_TYPE_OF_OURS)
    @given(requests())
    def answered(sent: bytes) -> None:
        answer = fuzzed.answer(sent)
        statuses[answer[9:12]] += 1
        assert answer[:5] in (b"HTTP/", b"")
        assert b" 500 " not in answer[:16], answer

    answered()
    assert {b"204", b"400", b"404", b"405", b"415"} <= set(statuses), statuses


def test_bytes_that_are_not_a_request_hang_nothing_up(fuzzed: Fuzzed) -> None:
    @MANY
    @given(st.binary(max_size=300))
    def survived(sent: bytes) -> None:
        assert b" 500 " not in fuzzed.answer(sent)[:16]

    survived()
