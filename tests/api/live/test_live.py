"""Live streams on a real Kafka: who is sent what, how one resumes, and who is cut off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stream.api import service
from stream.api.live import feed
from stream.api.live.subscription import LiveSubscription
from stream.kafka import topics
from stream.service.settings import Settings
from stream.service.tables.api_tokens import read_tokens
from tests.api.clients import ACCOUNT_B, ALL, NUMBERS_A, READ_A, READ_B, TOKENS, bearer
from tests.api.live.following import event, following, produce, produce_aborted, text_of
from tests.notify.sinks.stub_sinks import until
from tests.real_broker import RealBroker


async def made(broker: RealBroker, prefix: str, folder: Path, **more: Any) -> Settings:
    """Settings of a role whose topics exist."""
    chosen = Settings(
        kafka=broker.bootstrap,
        topic_prefix=prefix,
        partitions=3,
        data_dir=folder,
        api_listen="127.0.0.1:0",
        api_health_listen="127.0.0.1:0",
        api_tokens=read_tokens("\n".join(TOKENS)),
        **more,
    )
    await topics.ensure(broker.bootstrap, chosen)
    return chosen


async def test_each_follower_is_sent_what_it_may_see_and_asks_for(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    chosen = await made(broker, prefix, tmp_path)
    events = topics.names(prefix).events
    produce(broker, events, [event(-1)])
    of_a = [event(number) for number in range(10)]
    of_b = [event(number, ACCOUNT_B) for number in range(100, 110)]
    async with (
        service.serving(chosen) as api,
        following(api.url, READ_A) as reader_a,
        following(api.url, READ_B, "?kind=event&kind=alert") as reader_b,
        following(api.url, ALL, "?family=recording") as nothing,
        following(api.url, ALL, f"?account={ACCOUNT_B}") as all_of_b,
        following(api.url, NUMBERS_A, "?key=twilio:CA3") as of_a_call,
    ):
        produce_aborted(broker, events, [event(777)])
        produce(broker, events, [*of_a, *of_b, event(999, None), b"no json"])
        await until(lambda: len(reader_a.ids) + len(all_of_b.ids) >= 20, "all were told")
        await until(lambda: len(reader_b.ids) >= 10 and len(of_a_call.ids) >= 1, "and the others")
        assert sorted(reader_a.ids) == sorted(one["id"] for one in of_a)
        assert sorted(reader_b.ids) == sorted(all_of_b.ids) == sorted(one["id"] for one in of_b)
        assert nothing.ids == []
        assert of_a_call.ids == ["event-3"]
        async with aiohttp.ClientSession() as session:
            head = await session.head(f"{api.url}/v1/live", headers=bearer(ALL))
            assert (head.status, head.content_type) == (200, "text/event-stream")
        assert reader_a.messages[-1].data["attributes"] == {"From": "+14*******23"}
        assert of_a_call.messages[-1].data["attributes"] == {"From": "+14155550123"}


async def test_a_follower_resumes_where_it_was_at_any_replica(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    chosen = await made(broker, prefix, tmp_path)
    names = topics.names(prefix)
    of_a = [event(number) for number in range(20)]
    async with service.serving(chosen) as api:
        async with following(api.url, READ_A) as first:
            produce(broker, names.events, of_a[:10])
            await until(lambda: len(first.ids) == 10, "it was told")
        position = first.messages[5].id  # it was cut off in the middle
        seen = [one.data["id"] for one in first.messages[:6] if one.event]
        produce_aborted(broker, names.events, [event(777)])
        produce(broker, names.events, [*of_a[10:15], event(200, ACCOUNT_B)])
        async with following(api.url, READ_A, last_event_id=position) as again:
            produce(broker, names.events, of_a[15:])
            await until(lambda: len(seen + again.ids) >= 20, "it was told the rest")
            await asyncio.sleep(0.5)
            assert sorted(seen + again.ids) == sorted(one["id"] for one in of_a)
            assert again.said == []
            position = again.last_event_id
    produce(broker, names.ended, [{**event(300), "outcome": "failed"}])
    async with (
        service.serving(chosen) as api,
        following(api.url, READ_A, last_event_id=position) as other,
        following(api.url, READ_A, last_event_id="AAAA") as unusable,
    ):
        await until(lambda: other.ids == ["event-300"], "it was told what came in between")
        assert [one.event for one in other.messages if one.data] == ["call"]
        assert unusable.said == [("gap", "unusable")]
        assert "callstream_api_live_subscribers 2.0" in await text_of(api.health_url + "/metrics")


async def test_a_follower_that_has_missed_too_much_is_told_so_and_more_than_may_follow_are_refused(
    broker: RealBroker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = await made(broker, prefix, tmp_path, api_live_subscribers=2)
    events = topics.names(prefix).events
    async with service.serving(chosen) as api:
        async with following(api.url, ALL) as first:
            position = first.last_event_id
            produce(broker, events, [event(number) for number in range(30)])
            await until(lambda: len(first.ids) == 30, "the others were told")
        monkeypatch.setattr("stream.api.live.routes.MOST_MISSED", 20)
        async with following(api.url, ALL, last_event_id=position) as late:
            await until(lambda: bool(late.said), "it was told")
            assert (late.said, late.ids) == ([("gap", "too_many")], [])
            produce(broker, events, [event(50)])
            await until(lambda: late.ids == ["event-50"], "it goes on")
            async with following(api.url, ALL) as second, following(api.url, ALL) as third:
                assert (second.status, third.status) == (200, 503)
                assert third.problem["title"] == "Service Unavailable"


async def test_a_follower_that_does_not_read_is_cut_off_and_others_are_not(
    broker: RealBroker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LiveSubscription", lambda chosen: LiveSubscription(chosen, 100))
    chosen = await made(broker, prefix, tmp_path)
    events = topics.names(prefix).events
    async with service.serving(chosen) as api:
        host, port = api.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET /v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALL}\r\n\r\n".encode())
        async with following(api.url, ALL, "?key=twilio:CA1") as quick:
            large = [event(number, attributes={"x": "y" * 10_000}) for number in range(2000)]
            for start in range(0, len(large), 50):
                produce(broker, events, large[start : start + 50])
                await asyncio.sleep(0.02)
            text = ""
            async with asyncio.timeout(30):
                while 'event: end\ndata: {"reason":"slow"' not in text:
                    chunk = await reader.read(65536)
                    assert chunk, text
                    text = (text + chunk.decode(errors="replace"))[-70_000:]
            writer.close()
            await until(lambda: len(quick.ids) == 286, "the other has all of its call")
            assert quick.said == []
            metrics = await text_of(api.health_url + "/metrics")
            assert 'callstream_api_live_ended_total{reason="slow"} 1.0' in metrics
