"""The poller as a whole: what it says of itself, and a window and a request read from a provider in a box."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka.errors import KafkaError
from confluent_kafka import Producer

from stream.core.fetches import FETCH_RESULT
from stream.core.timestamps import utc
from stream.kafka import topics
from stream.kafka.access import poller_group
from stream.poller import service
from stream.poller.schedule.progress import window_key
from stream.service.http.listening import ListenError
from stream.service.settings import Settings
from stream.simulator.rest.server import serving as provider_in_a_box
from tests.e2e.harness import lag, read_topic
from tests.poller.asked import fetch, value
from tests.real_broker import RealBroker
from tests.simulator.rest.resource_fakes import (
    ACCOUNT,
    KEYS,
    NOW_US,
    TOKEN,
    FakeResources,
    call,
    insight,
    sid,
)

REFUSED = "twilio/main: the provider refuses the credentials"
UNREACHABLE = "telnyx/main: the provider does not answer"


@pytest.mark.parametrize(
    ("trouble", "states", "expected"),
    [
        (None, [("twilio/main", "running"), ("telnyx/main", "standby")], (True, [])),
        (None, [("twilio/main", "throttled")], (True, [])),
        (None, [("twilio/main", "refused"), ("telnyx/main", "unreachable")], (True, [REFUSED, UNREACHABLE])),
        (None, [("twilio/main", "refused"), ("twilio/main", "running")], (True, [REFUSED])),
        (None, [], (True, [service.NOBODY])),
        ("no broker", [("twilio/main", "running")], (False, ["no broker"])),
        ("no broker", [("twilio/main", "refused")], (False, ["no broker", REFUSED])),
        ("no broker", [], (False, ["no broker", service.NOBODY])),
    ],
)
def test_ready_is_who_can_land_and_what_an_operator_should_know_is_said_beside_it(
    trouble: str | None, states: list[tuple[str, str]], expected: tuple[bool, list[str]]
) -> None:
    assert service.ready(trouble, states) == expected


def test_a_source_that_an_account_may_not_read_is_said_by_its_name() -> None:
    assert service.ready(None, [("twilio/main", "running")], [("twilio/main", "twilio_call_summary")]) == (
        True,
        ["twilio/main: it may not read twilio_call_summary"],
    )


def test_an_account_that_may_read_nothing_at_all_is_refused() -> None:
    poller = service.Poller(
        Settings(kafka="127.0.0.1:1", telnyx_api_key="k", poll_sources=("telnyx_call_event", "twilio_call"))
    )
    (account,) = poller.accounts
    poller.limiters.own(lambda _: True)
    states = [poller._state(account).state]

    def shown() -> float | None:
        labels = {"account": "default", "source": "telnyx_call_event"}
        return poller.metrics.registry.get_sample_value("callstream_poll_forbidden_source", labels)

    for source in ("telnyx_webhook_delivery", "telnyx_call_event"):
        poller._reader.forbidden.report(account, source, 0, "auth_error", 0.0, forbidden=True)
        states.append(poller._state(account).state)
    assert states == ["running", "running", "refused"]
    assert shown() == 1
    assert "it may not read telnyx_call_event" in str(poller.ready())
    poller.limiters.own(lambda _: False)  # the poller that has the account now may have been allowed to
    assert (poller._state(account).state, shown()) == ("standby", 0)
    assert "may not read" not in str(poller.ready())
    poller.limiters.own(lambda _: True)
    poller._reader.forbidden.report(account, "telnyx_call_event", 0, "empty", 0.0)
    assert shown() == 0


def test_an_account_is_not_refused_where_no_source_of_its_provider_is_read() -> None:
    poller = service.Poller(Settings(kafka="127.0.0.1:1", telnyx_api_key="k", poll_sources=("twilio_call",)))
    poller.limiters.own(lambda _: True)
    assert "refuses" not in str(poller.ready())


async def test_nothing_is_asked_before_the_group_has_confirmed_the_poller() -> None:
    poller = service.Poller(Settings(kafka="127.0.0.1:1", telnyx_api_key="k"))
    (limiter,) = poller.limiters
    limiter.own(0.0)

    async def ask() -> int:
        async with limiter.permit("heal", "telnyx_call_event"):
            return limiter.state().in_flight

    asked = asyncio.create_task(ask())
    await asyncio.sleep(0)
    assert not asked.done()
    poller.limiters.lease(math.inf)
    assert await asked == 1


async def test_a_poller_that_has_lost_a_part_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Lost(service.Poller):
        async def start(self) -> None:
            self.tasks["the progress store"] = asyncio.create_task(asyncio.sleep(0))

    monkeypatch.setattr(service, "Poller", Lost)
    assert await service.serve(Settings(kafka="127.0.0.1:1", poller_listen="127.0.0.1:0")) == 1
    assert "the progress store has ended" in caplog.messages


async def test_live_is_who_has_lost_no_part() -> None:
    on = asyncio.create_task(asyncio.sleep(60))
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    assert service.live({}) == (True, [])
    assert service.live({"the progress store": on}) == (True, [])
    assert service.live({"the progress store": on, "the fetch requests": ended}) == (
        False,
        ["the fetch requests has ended"],
    )
    assert service.live({"the progress store": on}, ["the window of x"]) == (
        False,
        ["the window of x has ended"],
    )
    on.cancel()


def settings(broker: RealBroker, prefix: str, provider: str) -> Settings:
    return Settings(
        kafka=broker.bootstrap,
        topic_prefix=prefix,
        partitions=4,
        session_timeout_s=6.0,
        poller_listen="127.0.0.1:0",
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=(TOKEN,),
        twilio_api_url=provider,
        twilio_insights_url=provider,
        poll_sources=("twilio_call", "twilio_insights_event"),
        poll_rate=100,
    )


def resources() -> FakeResources:
    """A call that ended a minute ago, and two of its events."""
    ago_s = int(time.time() - NOW_US / 1e6)
    ended = call(1, ago_s - 90, start_s=ago_s - 80, end_s=ago_s - 60)
    return FakeResources(rows=[ended], events={sid(1): [insight(2, name="answered"), insight(1)]})


async def until(good: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    limit = time.monotonic() + limit_s
    while not good():
        assert time.monotonic() < limit, f"not within {limit_s:g} s: {what}"
        await asyncio.sleep(0.02)


async def got(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status, await answer.text()


def counted(poller: service.Poller, sample: str) -> float:
    """A sample of the poller's metrics, 0 where it has none."""
    lines = poller.metrics.exposition()[0].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"callstream_{sample} "))


def _is_ours(task: asyncio.Task[Any]) -> bool:
    """The clients and servers may take a moment to end theirs."""
    return (task.get_coro().__qualname__ or "").split(".")[0] in {
        "AckedProducer",
        "ProgressStore",
        "Windows",
        "FetchRequestConsumer",
    }


def told(prefix: str, broker: RealBroker, topic: str) -> list[tuple[int, str, dict[str, Any]]]:
    """(partition, key, value) of a topic's records."""
    found = read_topic(broker.bootstrap, f"{prefix}{topic}")
    return [(one.partition, (one.key or b"").decode(), orjson.loads(one.value)) for one in found if one.value]


@pytest.mark.broker
async def test_a_window_and_a_request_are_read_and_landed_and_all_is_committed_when_it_stops(
    broker: RealBroker, prefix: str
) -> None:
    key = f"twilio:{sid(1)}"
    async with provider_in_a_box(resources(), KEYS, "127.0.0.1:0") as url:
        chosen = settings(broker, prefix, url)
        await topics.ensure(broker.bootstrap, chosen)
        asked = fetch(
            key=key,
            account=ACCOUNT,
            source="twilio_insights_event",
            edge="carrier_edge",
            due_at=utc(time.time_ns() // 1000),
        )
        producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 2})
        producer.produce(topics.names(prefix).fetches, value(asked), key=key.encode())
        assert producer.flush(30) == 0
        before = asyncio.all_tasks()
        async with service.serving(chosen) as poller:
            await until(
                lambda: counted(
                    poller, 'poll_watermark_timestamp_seconds{account="default",source="twilio_call"}'
                ),
                "the window is read",
            )
            await until(
                lambda: (
                    counted(poller, 'poll_records_total{source="twilio_insights_event"}') == 2
                    and not poller._dispatcher.unfinished
                ),
                "the request is served",
            )
            assert await got(f"{poller.url}/livez") == (200, '{"status":"ok","reasons":[]}')
            assert await got(f"{poller.url}/readyz") == (200, '{"status":"ok","reasons":[]}')
            status, scrape = await got(f"{poller.url}/metrics")
            stopping_s = time.monotonic()
        assert time.monotonic() - stopping_s < 10
        assert {task for task in asyncio.all_tasks() - before if _is_ours(task)} == set()
    assert status == 200
    assert "\ncallstream_poll_owned_partitions 4" in scrape
    assert (
        await asyncio.to_thread(lag, broker.bootstrap, poller_group(prefix), [topics.names(prefix).fetches])
    ) == 0
    polled = await asyncio.to_thread(told, prefix, broker, "polled.v1")
    assert {record[:2] for record in polled} == {(polled[0][0], key)}
    by_source = [record["source"] for _, _, record in polled if record["source"] != "twilio_call"]
    assert by_source == ["twilio_insights_event"] * 2 + [FETCH_RESULT], "the result lies behind its rows"
    assert [record["body"]["status"] for *_, record in polled if record["source"] == "twilio_call"] == [
        "completed"
    ], "the call is in two windows and landed once"
    result = next(record["body"] for *_, record in polled if record["source"] == FETCH_RESULT)
    assert result["fetch_id"] == asked.id
    assert [(read["outcome"], read["rows"]) for read in result["reads"]] == [("success", 2)]
    noted = await asyncio.to_thread(told, prefix, broker, "polling.v1")
    assert {one[1] for one in noted} == {window_key("twilio_call", ACCOUNT)}


async def test_one_whose_port_is_taken_asks_no_broker_and_leaves_nothing_behind() -> None:
    async with provider_in_a_box(resources(), KEYS, "127.0.0.1:0") as url:
        before = asyncio.all_tasks()
        taken = Settings(kafka="127.0.0.1:1", poller_listen=url.removeprefix("http://"))
        with pytest.raises(ListenError, match="set CALLSTREAM_POLLER_LISTEN to another address"):
            async with service.serving(taken):
                raise AssertionError("it serves")
        assert asyncio.all_tasks() == before


async def test_one_that_finds_no_broker_says_so_and_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(KafkaError):
        async with service.serving(Settings(kafka="127.0.0.1:1", poller_listen="127.0.0.1:0")):
            raise AssertionError("it serves")
    await until(lambda: asyncio.all_tasks() == before, "nothing goes on")
