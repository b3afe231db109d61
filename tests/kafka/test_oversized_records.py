"""A record that its topic no longer takes is a dead letter with its reason, at once and only once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from stream.kafka.acked_producer import AckedProducer, NotAcknowledgedError, RecordTooLargeError
from stream.kafka.envelope_codec import LETTER_LIMIT_BYTES, dead_letter_headers
from stream.kafka.oversized_records import SMALL_LETTER_BYTES, DeadLetteringProducer
from tests.kafka.fake_producer import FakeProducer

TOPIC, DEAD = "calls.callbacks.v1", "calls.dead-letters.v1"


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None


class Broker:
    """Takes records up to a size, by topic."""

    def __init__(self, **limits: int) -> None:
        self.limits = limits
        self.taken: list[tuple[str, Any, list[tuple[str, bytes]]]] = []
        self.tried = 0

    async def send_all(
        self, records: Sequence[Any], limit_s: float, *, topic: str | None = None, headers: Any = ()
    ) -> None:
        self.tried += 1
        to = topic or TOPIC
        limit = self.limits["dead" if to == DEAD else "source"]
        good = [one for one in records if len(one.value or b"") <= limit]
        self.taken += [(to, one, list(headers)) for one in good]
        if len(good) < len(records):
            raise RecordTooLargeError(to, [one for one in records if one not in good])


def sender(acked: Any) -> tuple[DeadLetteringProducer, list[Any]]:
    told: list[Any] = []
    return DeadLetteringProducer(
        acked, topic=TOPIC, dead_letters=DEAD, stage="gateway", dead_lettered=told.append
    ), told


def why(topic: str = TOPIC) -> list[tuple[str, bytes]]:
    said = f"the topic {topic} takes no record of this size (max.message.bytes)"
    return dead_letter_headers("too_large", "gateway", said, topic, -1, -1, ())


async def test_what_is_too_large_is_set_aside_whole_and_the_others_land() -> None:
    landing, told = sender(broker := Broker(source=5, dead=100))
    small, big = Record(b"k", b"12345"), Record(b"twilio:CA1", b"123456")
    await landing.send_all([small, big], 5)
    assert broker.taken == [(TOPIC, small, []), (DEAD, (b"twilio:CA1", b"123456"), why())]
    assert (told, broker.tried) == ([big], 2)


async def test_its_own_headers_stay_behind_the_reason() -> None:
    landing, _ = sender(broker := Broker(source=5, dead=100))
    await landing.send_all([Record(None, b"123456")], 5, topic="calls.polled.v1", headers=[("a", b"b")])
    assert broker.taken == [(DEAD, (None, b"123456"), [*why("calls.polled.v1"), ("a", b"b")])]


async def test_a_dead_letter_fits_into_its_topic() -> None:
    landing, _ = sender(broker := Broker(source=5, dead=2 << 20))
    size = LETTER_LIMIT_BYTES + 1
    await landing.send_all([Record(b"k", b"x" * size)], 5)
    ((_, letter, headers),) = broker.taken
    assert (len(letter.value), headers) == (LETTER_LIMIT_BYTES, [*why(), ("truncated", b"%d" % size)])


@pytest.mark.parametrize("topic", [TOPIC, DEAD])
async def test_where_the_dead_letters_take_less_the_beginning_of_it_is_kept(topic: str) -> None:
    landing, _ = sender(broker := Broker(source=5, dead=SMALL_LETTER_BYTES))
    await landing.send_all([Record(b"k", b"x" * 50_000)], 5, topic=topic)
    ((_, letter, headers),) = broker.taken
    assert letter.value == b"x" * SMALL_LETTER_BYTES
    assert headers[-1] == ("truncated", b"50000")


async def test_what_not_even_the_dead_letters_take_is_not_said_to_be_landed() -> None:
    landing, told = sender(Broker(source=5, dead=5))
    with pytest.raises(NotAcknowledgedError):
        await landing.send_all([Record(b"k", b"123456")], 5)
    assert told == []


async def test_through_a_lander_it_is_one_refusal_and_no_trouble() -> None:
    made: list[FakeProducer] = []

    async def opened() -> FakeProducer:
        made.append(FakeProducer(limits={DEAD: 10_000}))
        return made[-1]

    acked = AckedProducer(TOPIC, {}, produced=lambda *_: None, open_producer=opened)
    await acked.start()
    landing, _ = sender(acked)
    big = Record(b"k", b"x" * 1001)
    for _ in range(3):
        await landing.send_all([big], 60)
    assert [one for each in made for one in each.landed] == [(DEAD, big.value)] * 3
    assert (acked.trouble(), len(made)) == (None, 3)
