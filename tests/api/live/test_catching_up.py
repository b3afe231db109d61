"""What a client is told where the records that it has missed cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from stream.api.access.caller import LOCAL, Caller
from stream.api.live import routes
from stream.api.live.feed import LiveFeed
from stream.api.live.routes import LiveStream
from stream.api.live.selection import LiveRecord, LiveSelection
from stream.kafka.client.connection import connection
from stream.kafka.errors import KafkaConnectionError, KafkaTimeoutError, OffsetOutOfRangeError
from stream.service.metrics.api import ApiMetrics
from stream.service.settings import Settings

CALLER = Caller(LOCAL, None, True)


class Failing(LiveFeed):
    """A feed whose reading of what was missed fails behind the first record."""

    failure: Exception

    def read_position(self, text: str) -> Any:
        return {}

    def count_between(self, since: Any, until: Any) -> int:
        return 3

    async def missed(self, since: Any, until: Any) -> AsyncGenerator[LiveRecord]:
        yield LiveRecord("event", {"key": "twilio:CA1", "account": None}, "1")
        raise self.failure


class Endless(Failing):
    """A feed of which very much was missed."""

    has_place = True

    async def missed(self, since: Any, until: Any) -> AsyncGenerator[LiveRecord]:
        self.has_place = False
        try:
            for number in range(1000):
                yield LiveRecord("event", {"key": "twilio:CA1", "account": None}, str(number))
        finally:
            self.has_place = True


async def told(failure: Exception) -> tuple[list[str], str]:
    """What a client is told after its first record, and the metrics."""
    cluster, metrics = connection(Settings(kafka="127.0.0.1:9"), "test"), ApiMetrics()
    feed = Failing(cluster, {"event": "e"}, most=9, read=lambda _: None, knows=lambda _: True)
    feed.failure = failure
    messages = LiveStream(feed, LiveSelection(caller=CALLER), metrics).messages("0")
    sent = []
    async for message in messages:
        sent.append(message.decode())
        if "event: gap" in sent[-1]:
            feed.end("stopping")
    assert [part for part in sent if "event: event" in part] == sent[1:2]
    return sent[2:], metrics.exposition()[0].decode()


@pytest.mark.parametrize(
    "failure",
    [KafkaConnectionError("no broker"), KafkaTimeoutError("too late"), OSError("reset"), TimeoutError()],
)
async def test_a_failure_of_kafka_ends_the_stream_where_the_client_is(failure: Exception) -> None:
    said, metrics = await told(failure)
    assert len(said) == 1  # and no id, which would be behind what was missed
    assert 'event: end\ndata: {"reason":"away"' in said[0]
    assert "id:" not in said[0]
    assert 'callstream_api_live_ended_total{reason="away"} 1.0' in metrics


async def test_records_that_are_gone_are_a_gap_and_the_stream_goes_on() -> None:
    said, _ = await told(OffsetOutOfRangeError({}))
    assert "event: gap" in said[0]
    assert '"reason":"gone"' in said[0]
    assert '"reason":"stopping"' in said[1]


async def test_one_who_catches_up_too_slowly_leaves_its_place_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "CATCH_UP_S", 0.05)
    cluster, metrics = connection(Settings(kafka="127.0.0.1:9"), "test"), ApiMetrics()
    feed = Endless(cluster, {"event": "e"}, most=9, read=lambda _: None, knows=lambda _: True)
    sent = []
    async for message in LiveStream(feed, LiveSelection(caller=CALLER), metrics).messages("0"):
        sent.append(message.decode())
        assert len(sent) < 100
        await asyncio.sleep(0.01)
    assert len(sent) > 3
    assert 'event: end\ndata: {"reason":"slow"' in sent[-1]
    assert f"id: {len(sent) - 4}" in sent[-2]
    assert feed.has_place
    assert 'callstream_api_live_ended_total{reason="slow"} 1.0' in metrics.exposition()[0].decode()
