"""A live stream ends when its token is taken back or changed: nothing more is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stream.api.access.caller import Caller, Callers
from stream.api.live.feed import LiveFeed
from stream.api.live.routes import LiveStream
from stream.api.live.selection import LiveRecord, LiveSelection
from stream.kafka.client.connection import connection
from stream.service.metrics.api import ApiMetrics
from stream.service.settings import Settings
from stream.service.tables.api_tokens import ApiToken, digest_of

TOPICS = {"event": "calls.events.v1"}


def token(name: str, *scopes: str, secret: str = "s") -> ApiToken:
    return ApiToken(name, frozenset({"read", *scopes}), None, digest_of(name + secret))


KNOWN = [token("a"), token("b"), token("c")]


def of(callers: Callers, one: ApiToken) -> Caller:
    return callers._by_digest[one.digest]


def event(number: int) -> LiveRecord:
    return LiveRecord("event", {"key": "twilio:CA1", "account": None, "n": number}, str(number))


class Missed(LiveFeed):
    """A feed that has missed records for one who was away."""

    def read_position(self, text: str) -> Any:
        return {}

    def count_between(self, since: Any, until: Any) -> int:
        return 3

    async def missed(self, since: Any, until: Any) -> AsyncIterator[LiveRecord]:
        for number in range(3):
            yield event(number)


def feed_of(callers: Callers) -> Missed:
    cluster = connection(Settings(kafka="127.0.0.1:9"), "test")
    return Missed(cluster, TOPICS, most=9, read=lambda kind: None, knows=callers.knows)


@pytest.mark.parametrize(
    ("tokens", "left"),
    [
        (KNOWN, "abc"),
        (KNOWN[:2], "ab"),
        ([token("a", "read:numbers"), *KNOWN[1:]], "bc"),
        ([token("a", secret="new"), *KNOWN[1:]], "bc"),
        ([ApiToken("a", frozenset({"read"}), frozenset({"AC1"}), KNOWN[0].digest), *KNOWN[1:]], "bc"),
    ],
)
async def test_the_streams_of_tokens_that_are_as_they_were_go_on(tokens: list[ApiToken], left: str) -> None:
    callers = Callers(KNOWN)
    feed = feed_of(callers)
    with (
        feed.subscription(LiveSelection(caller=of(callers, KNOWN[0]))) as a,
        feed.subscription(LiveSelection(caller=of(callers, KNOWN[1]))) as b,
        feed.subscription(LiveSelection(caller=of(callers, KNOWN[2]))) as c,
    ):
        for one in (a, b, c):
            one.offer(event(1))
        callers.use(tokens)
        feed.end_unknown()
        following = {"a": a, "b": b, "c": c}
        assert [name for name, one in following.items() if one.ending is None] == list(left)
        assert [name for name, one in following.items() if one._waiting] == list(left)


async def test_a_local_stream_ends_where_tokens_are_wanted_now() -> None:
    callers = Callers(())
    feed = feed_of(callers)
    with feed.subscription(LiveSelection(caller=callers._local)) as local:
        feed.end_unknown()
        assert local.ending is None
        callers.use(KNOWN)
        feed.end_unknown()
        assert local.ending == "revoked"


async def messages(feed: LiveFeed, caller: Caller, last_event_id: str | None = None) -> AsyncIterator[str]:
    stream = LiveStream(feed, LiveSelection(caller=caller), ApiMetrics())
    async for message in stream.messages(last_event_id):
        yield message.decode()


async def test_one_who_catches_up_is_sent_nothing_more() -> None:
    callers = Callers(KNOWN)
    feed = feed_of(callers)
    sent = []
    async for message in messages(feed, of(callers, KNOWN[0]), "0"):
        sent.append(message)
        if '"n":0' in message:
            callers.use(KNOWN[1:])
            feed.end_unknown()
    assert [name for name in ('"n":0', '"n":1', '"n":2') if any(name in one for one in sent)] == ['"n":0']
    assert '"reason":"revoked"' in sent[-1]


async def test_a_token_that_is_taken_back_before_its_stream_begins_follows_nothing() -> None:
    callers = Callers(KNOWN)
    feed = feed_of(callers)
    caller = of(callers, KNOWN[0])
    callers.use(KNOWN[1:])
    sent = [message async for message in messages(feed, caller)]
    assert '"reason":"revoked"' in sent[-1]
    assert len(sent) == 2
