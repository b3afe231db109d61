"""Pages are written to Kafka completely and in order, whatever the broker does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.poller.pages.polled_writer import BATCH_BYTES, BATCH_ROWS, PolledWriter, RecentRows
from stream.poller.pages.records import DeadLetter, PageRecords, PolledRow
from tests.poller.fake_provider import RecordingMetrics


class Broker:
    """Takes records after it has raised all `failures`."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.taken: list[tuple[str | None, list[Any], list[Any]]] = []
        self.tried = 0

    async def send_all(
        self, records: Sequence[Any], limit_s: float, *, topic: str | None = None, headers: Any = ()
    ) -> None:
        self.tried += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((topic, list(records), list(headers)))


def polled_writer(broker: Broker) -> tuple[PolledWriter, RecordingMetrics, list[float]]:
    metrics, pauses = RecordingMetrics(), list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return (
        PolledWriter(broker, polled="polled", dead_letters="dead", metrics=metrics, sleep=sleep),
        metrics,
        pauses,
    )


def row(number: int, size: int = 10) -> PolledRow:
    return PolledRow(b"twilio:CA%d" % (number % 3), b"%d " % number + b"x" * size, "twilio_call", number, 0)


def letter(number: int) -> DeadLetter:
    return DeadLetter(None, b"bad %d" % number, [("reason", b"not_json")], "twilio_call", "not_json", -number)


async def test_rows_are_written_in_order_and_dead_letters_after_them_one_by_one() -> None:
    writer, metrics, pauses = polled_writer(broker := Broker())
    rows = [row(n) for n in range(2)]
    await writer.write(PageRecords(rows, [letter(1), letter(2)]))
    assert broker.taken == [
        ("polled", rows, []),
        ("dead", [letter(1)], letter(1).headers),
        ("dead", [letter(2)], letter(2).headers),
    ]
    assert (metrics.rows, metrics.dead_letters, pauses) == (
        [("twilio_call", 2)],
        [("twilio_call", "not_json")] * 2,
        [],
    )


async def test_a_result_is_written_to_the_topic_of_its_rows_and_a_dead_letter_with_its_headers() -> None:
    writer, metrics, pauses = polled_writer(broker := Broker(NotAcknowledgedError("away")))
    await writer.write_result(b"twilio:CA1", b"{}")
    await writer.write_dead_letter(None, None, [("reason", b"not_json")])
    assert broker.taken == [
        ("polled", [(b"twilio:CA1", b"{}", None)], []),
        ("dead", [(None, None, None)], [("reason", b"not_json")]),
    ]
    assert (metrics.rows, metrics.dead_letters, pauses) == ([], [], [1.0])


async def test_an_empty_page_costs_nothing() -> None:
    writer, metrics, _ = polled_writer(broker := Broker())
    await writer.write(PageRecords([], []))
    assert (broker.tried, metrics.rows) == (0, [])


async def test_a_large_page_is_sent_in_batches_of_bounded_size() -> None:
    writer, metrics, _ = polled_writer(broker := Broker())
    rows = [row(n) for n in range(BATCH_ROWS + 1)] + [row(1000 + n, BATCH_BYTES // 2) for n in range(3)]
    await writer.write(PageRecords(rows, []))
    assert [one for _, batch, _ in broker.taken for one in batch] == rows
    assert [len(batch) for _, batch, _ in broker.taken] == [BATCH_ROWS, 2, 1, 1]
    assert sum(count for _, count in metrics.rows) == len(rows)


async def test_a_write_waits_for_the_broker_without_a_limit() -> None:
    failures = [
        NotAcknowledgedError("the broker is away"),
        BufferFullError(),
        NotAcknowledgedError("still"),
    ] * 10
    writer, metrics, pauses = polled_writer(broker := Broker(*failures))
    await writer.write(PageRecords([row(1)], [letter(1)]))
    assert [topic for topic, _, _ in broker.taken] == ["polled", "dead"]
    assert pauses == [1.0] * len(failures)
    assert metrics.rows == [("twilio_call", 1)]


async def test_a_cancelled_write_stops_waiting_for_the_broker() -> None:
    class Away(Broker):
        async def send_all(self, *_: Any, **__: Any) -> None:
            self.tried += 1
            await asyncio.sleep(0)
            raise BufferFullError

    broker = Away()
    writer, metrics, _ = polled_writer(broker)
    waiting = asyncio.create_task(writer.write(PageRecords([row(1)], [])))
    while broker.tried < 3:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert metrics.rows == []


async def test_a_row_of_a_window_that_was_written_lately_is_left_out() -> None:
    writer, metrics, _ = polled_writer(broker := Broker())
    await writer.write(PageRecords([row(1), row(2)], []), skip_known=True)
    await writer.write(PageRecords([row(2), row(3), row(1)], []), skip_known=True)
    await writer.write(PageRecords([row(1)], [letter(1)]), skip_known=True)
    assert [batch for topic, batch, _ in broker.taken if topic == "polled"] == [[row(1), row(2)], [row(3)]]
    assert metrics.rows == [("twilio_call", 2), ("twilio_call", 1)]
    assert metrics.dead_letters == [("twilio_call", "not_json")]


async def test_an_unreadable_row_of_a_window_becomes_a_dead_letter_once() -> None:
    writer, metrics, _ = polled_writer(broker := Broker())
    for letters in ([letter(1)], [letter(1), letter(2)], [letter(2), letter(1)]):
        await writer.write(PageRecords([], letters), skip_known=True)
    await writer.write(PageRecords([], [letter(1)]))
    assert [one for _, batch, _ in broker.taken for one in batch] == [letter(1), letter(2), letter(1)]
    assert metrics.dead_letters == [("twilio_call", "not_json")] * 3


async def test_a_row_on_demand_is_written_again_and_not_remembered() -> None:
    writer, _, _ = polled_writer(broker := Broker())
    for skip_known in (True, False, False):
        await writer.write(PageRecords([row(1)], []), skip_known=skip_known)
    await writer.write(PageRecords([row(2)], []))
    await writer.write(PageRecords([row(2)], []), skip_known=True)
    assert [batch for _, batch, _ in broker.taken] == [[row(1)]] * 3 + [[row(2)]] * 2


async def test_a_row_that_was_not_written_is_not_remembered() -> None:
    writer, _, _ = polled_writer(broker := Broker(RuntimeError("stopped")))
    with pytest.raises(RuntimeError):
        await writer.write(PageRecords([row(1)], []), skip_known=True)
    await writer.write(PageRecords([row(1)], []), skip_known=True)
    assert [batch for _, batch, _ in broker.taken] == [[row(1)]]


def test_the_rows_that_were_not_seen_for_longest_are_forgotten() -> None:
    known = RecentRows(3)
    known.add([row(1), row(2), row(3)])
    assert known.unknown([row(1), row(4)]) == [row(4)]
    known.add([row(4)])
    assert known.unknown([row(n) for n in (1, 2, 3, 4)]) == [row(2)]


async def test_an_outage_of_the_broker_is_logged_once_and_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="callstream.poller")
    away = [NotAcknowledgedError("the broker does not answer")] * 5
    writer, _, _ = polled_writer(Broker(*away, BufferFullError()))
    await asyncio.gather(*(writer.write(PageRecords([row(n)], [])) for n in range(3)))
    await writer.write(PageRecords([row(4)], []))
    assert caplog.messages == [
        "rows wait for the broker: the broker does not answer",
        "the broker takes rows again",
    ]
