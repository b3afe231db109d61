"""What becomes of a notification that a sink takes, refuses, or fails to take; Kafka has no part in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
import pytest

from stream.kafka.client.connection import Connection
from stream.kafka.client.offsets import Offsets
from stream.kafka.dead_letters.letter import REDRIVEN_FROM
from stream.kafka.partitions import TopicPartition
from stream.notify.firing import Firing
from stream.notify.grouping import Notification, PendingGroup, TakenAlert
from stream.notify.sink_worker import UNFINISHED, GroupMembership, SinkWorker
from stream.notify.sinks.sink import FAILED, REFUSED, TAKEN, SinkAnswer
from stream.service.metrics.notify import NotifyMetrics
from stream.service.tables.notify_tables import RouteSetting, SinkSetting
from tests.notify.alerts import ENDPOINT, add, condition, record
from tests.notify.sinks.stub_sinks import until

CAME = ((REDRIVEN_FROM, b"calls.dead-letters.v1:3:17"),)
CONDITION = record(f"twilio:endpoint:AC1:{ENDPOINT}", rule="webhook.failing", severity="critical")


class Fetched(NamedTuple):
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    offset: int = 7


class Sink:
    """Gives these answers, or raises them."""

    closes = True

    def __init__(self, *answers: SinkAnswer | Exception) -> None:
        self.answers = [*answers]

    async def send(self, told: Notification) -> SinkAnswer:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Handed:
    """A worker, and what it has done with an alert."""

    def __init__(self, *answers: SinkAnswer | Exception, retry_s: float = 100.0) -> None:
        self.done: list[str] = []
        self.dead: list[tuple[str, str]] = []
        self.metrics = NotifyMetrics([("s", "r")])
        self.route = RouteSetting(sink="s", name="r")
        self.worker = SinkWorker(
            SinkSetting(name="s", type="slack", retry_s=retry_s),
            [self.route],
            Sink(*answers),
            firing=Firing(lambda one: one.group.key),
            membership=GroupMembership(Connection("127.0.0.1:1"), "t", "g", 6.0),
            write_dead_letters=self.write_dead_letters,
            metrics=self.metrics,
        )

    async def write_dead_letters(self, records: Sequence[Any], reason: str, error: str) -> None:
        self.dead += [(reason, error)] * len(records)

    async def hand_over(self, tried_s: float | None = None) -> float:
        """How long the worker waits after it. It has waited for its turn for long."""
        pending = PendingGroup(self.route, condition().group, -1e12)
        pending.tried_s, pending.tried = tried_s, 1
        pending.taken = [TakenAlert(condition(), None, lambda: self.done.append("done"))]
        return await self.worker._hand_over(pending)

    def up(self) -> float | None:
        return self.metrics.registry.get_sample_value("callstream_alert_sink_up", {"sink": "s"})


async def test_what_is_taken_is_done() -> None:
    handed = Handed(SinkAnswer(TAKEN))
    assert await handed.hand_over() == 0
    assert (handed.done, handed.dead, handed.up(), handed.worker.trouble) == (["done"], [], 1, None)


async def test_a_sink_that_fails_is_waited_for_longer_each_time_and_as_long_as_it_asks_for() -> None:
    handed = Handed(*[SinkAnswer(FAILED, "status 503")] * 9, SinkAnswer(FAILED, "status 429", 600.0))
    waits = [await handed.hand_over() for _ in range(10)]
    for attempt, wait_s in enumerate(waits[:9]):
        assert 0.8 * min(2**attempt, 60) <= wait_s <= 1.2 * min(2**attempt, 60)
    assert waits[9] == 600
    assert (handed.done, handed.dead, handed.up(), handed.worker.trouble) == ([], [], 0, "status 429")


@pytest.mark.parametrize(
    ("answer", "tried_s", "error", "up"),
    [
        (SinkAnswer(REFUSED, "status 400"), None, "the sink s answered status 400", 1),
        (SinkAnswer(FAILED, "status 503"), -1e12, "the sink s answered status 503", 0),
        (KeyError("+15005550006"), None, "the sink s answered KeyError", 1),
    ],
)
async def test_what_will_never_be_taken_is_a_dead_letter(
    answer: SinkAnswer | Exception, tried_s: float | None, error: str, up: float
) -> None:
    """Refused, not taken in its time, or not made because of a fault of ours. Only the second says that the
    sink is down, until it takes something.
    """
    handed = Handed(answer)
    assert await handed.hand_over(tried_s) == 0
    assert (handed.done, handed.dead, handed.up()) == (["done"], [("undeliverable", error)], up)


async def test_who_has_no_partitions_any_more_says_nothing_of_the_sink() -> None:
    """It would say for ever that the sink is down, because it does not try again."""
    handed = Handed(SinkAnswer(FAILED, "status 503"))
    await handed.hand_over()
    assert (handed.up(), handed.worker.trouble) == (0, "status 503")
    await handed.worker._revoked()
    assert (handed.up(), handed.worker.trouble) == (1, None)


async def test_what_a_sink_has_not_taken_when_its_partition_is_another_process_is_left_to_that() -> None:
    handed = Handed(SinkAnswer(FAILED, "TimeoutError"))
    send = handed.worker._sink.send

    async def slow(told: Notification) -> SinkAnswer:
        await handed.worker._revoked()
        return await send(told)

    handed.worker._sink.send = slow  # type: ignore[method-assign]
    assert await handed.hand_over() == 0
    assert (handed.worker._grouping.next_s(), handed.done, handed.dead, handed.up()) == (None, [], [], 1)


async def test_while_partitions_are_revoked_nothing_more_is_sent() -> None:
    """Its offset would not be committed, and the next owner would send it again."""
    handed = Handed(SinkAnswer(TAKEN), SinkAnswer(TAKEN))
    worker, answer = handed.worker, asyncio.Event()
    send, sent = worker._sink.send, []

    async def slow(told: Notification) -> SinkAnswer:
        sent.append(told.group.rule)
        await answer.wait()
        return await send(told)

    class Consumer:
        async def commit(self, _: object) -> None:
            worker._next[0] += 1  # records come meanwhile
            await asyncio.sleep(0.05)

    worker._sink.send = slow  # type: ignore[method-assign]
    worker._consumer = Consumer()
    worker._offsets, worker._next = {0: Offsets()}, {0: 0}
    for number in range(2):
        one = condition(rule=f"webhook.{number}")
        add(worker._grouping, one, time.monotonic(), handed.done)
    sending = asyncio.create_task(worker._send())
    await until(lambda: bool(sent), "the first is being sent")
    revoking = asyncio.create_task(worker._revoked())
    await asyncio.sleep(0)
    answer.set()
    await revoking
    await asyncio.sleep(0.05)
    sending.cancel()
    assert (sent, len(handed.done)) == (["webhook.0"], 1)


async def test_what_came_after_the_first_attempt_has_its_own_time() -> None:
    handed = Handed(SinkAnswer(FAILED, "status 503"))
    pending = PendingGroup(handed.route, condition().group, 0.0)
    pending.tried_s, pending.tried = -1e12, 1
    pending.taken = [
        TakenAlert(condition(revision=number), None, partial(handed.done.append, str(number)))
        for number in (1, 2)
    ]
    assert await handed.worker._hand_over(pending) > 0
    assert (handed.done, len(handed.dead)) == (["1"], 1)
    left = handed.worker._grouping.take_due(1e12)
    assert left is not None
    assert ([one.alert.revision for one in left.taken], left.tried_s) == ([2], None)


async def test_a_partition_that_is_revoked_while_dead_letters_are_written_leaves_nothing_behind() -> None:
    handed = Handed(SinkAnswer(FAILED, "status 503"))
    worker = handed.worker
    pending = PendingGroup(handed.route, condition().group, 0.0)
    pending.tried_s, pending.tried = -1e12, 1
    pending.taken = [TakenAlert(condition(revision=number), None, lambda: None) for number in (1, 2)]

    async def slow(*_: object) -> None:
        await worker._revoked()

    worker._write_dead_letters = slow
    assert await worker._hand_over(pending) == 0
    assert worker._grouping.next_s() is None


async def test_a_flood_of_facts_does_not_keep_what_is_behind_it_from_being_read_for_an_interval() -> None:
    handed = Handed()
    handed.worker._offsets = {0: Offsets()}
    for offset in range(UNFINISHED):
        handed.worker._offsets[0].take(offset)
    reading = asyncio.create_task(handed.worker._read())
    await asyncio.sleep(0)
    assert handed.worker._grouping.crowded
    reading.cancel()


async def test_a_worker_that_takes_over_a_flood_reads_it_again() -> None:
    """It would wait for ever for what nobody has read."""
    before = Offsets()
    for offset in range(UNFINISHED + 1):
        before.take(offset)
    before.done(1)
    worker, asked = Handed().worker, asyncio.Event()

    class Consumer:
        async def getmany(self, **_: Any) -> dict[Any, Any]:
            asked.set()
            await asyncio.sleep(60)
            return {}

    worker._consumer = Consumer()
    worker._offsets = {0: Offsets.restored(0, before.metadata())}
    reading = asyncio.create_task(worker._read())
    async with asyncio.timeout(0.5):
        await asked.wait()
    assert not worker._grouping.crowded
    reading.cancel()


async def test_what_an_owner_before_us_has_sent_is_committed_before_it_is_read_again() -> None:
    """Else another rebalance, moments later, would have all of it sent again."""
    before = Offsets()
    for offset in range(5, 100):
        before.take(offset)
        before.done(offset if offset > 5 else -1)
    worker = Handed().worker
    ours = Offsets.restored(5, before.metadata())
    worker._offsets, worker._next = {0: ours, 1: Offsets()}, {0: 5, 1: 17}
    assert worker._committable() == {0: (5, before.metadata()), 1: (17, "")}
    ours.take(5)
    ours.done(5)
    worker._next[0] = 6
    assert worker._committable()[0] == (100, "")


@pytest.mark.parametrize(
    ("headers", "fires", "waits"), [((), False, True), (CAME, False, False), (CAME, True, True)]
)
async def test_a_dead_letter_that_is_written_back_opens_nothing_that_is_over(
    headers: tuple[tuple[str, bytes], ...], *, fires: bool, waits: bool
) -> None:
    """Its end was told before. What is new may not be known as firing yet, and is from then on."""
    worker = Handed().worker
    if fires:
        worker._firing.observe(condition().fingerprint, condition())
    offsets = Offsets()
    offsets.take(7)
    worker._take(Fetched(orjson.dumps(CONDITION), headers), offsets)
    assert (worker._grouping.next_s() is not None, bool(offsets.undone)) == (waits, waits)
    assert worker._firing.is_firing(condition().fingerprint) == waits


async def test_what_comes_is_sent_at_once_and_what_comes_while_the_sink_is_away_when_it_is_back() -> None:
    handed = Handed(SinkAnswer(TAKEN), SinkAnswer(FAILED, "status 503"), SinkAnswer(TAKEN))
    sending = asyncio.create_task(handed.worker._send())
    for number in (1, 2):
        one = condition(rule=f"webhook.{number}")
        add(handed.worker._grouping, one, time.monotonic(), handed.done)
        handed.worker._came.set()
        await until(lambda: len(handed.done) == number, "it is sent")  # noqa: B023
    sending.cancel()
    assert handed.worker.trouble is None


@pytest.mark.parametrize(("end", "waits"), [(2, 2), (100, 0)])
async def test_what_a_topic_has_that_was_made_again_is_told_and_what_a_broker_behind_repeats_is_not(
    end: int, waits: int
) -> None:
    """Nobody would be told anything until the new topic is as long as the old one was."""
    worker, tp = Handed().worker, TopicPartition("t", 0)
    alerts = [Fetched(orjson.dumps(record(f"twilio:CA{number}")), (), number) for number in range(2)]

    class Consumer:
        at = 0

        def seek(self, _: TopicPartition, at: int) -> None:
            self.at = at

        async def getmany(self, **_: Any) -> dict[TopicPartition, list[Fetched]]:
            found, self.at = alerts[self.at :], len(alerts)
            return {tp: found} if found else {}

        async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
            return dict.fromkeys(partitions, end)

    worker._consumer = Consumer()
    worker._offsets, worker._next = {0: Offsets()}, {0: 90}
    for _ in range(3):
        await worker._fetch()
    assert (worker._offsets[0].undone, worker._next[0]) == (waits, 2 if waits else 90)
