"""The id of a live message: what is read back, and what is not one."""

from __future__ import annotations

import pytest

from stream.api.live import positions
from stream.api.server import HEAD_BYTES
from stream.kafka.partitions import TopicPartition

TOPICS = ("calls.events.v1", "calls.ended.v1")
KNOWN = {TopicPartition(topic, number): 0 for topic in TOPICS for number in range(3)}
AT = {one: 1000 * place for place, one in enumerate(KNOWN)}


def test_positions_are_read_back() -> None:
    text = positions.write(TOPICS, AT)
    assert positions.read(text, TOPICS, KNOWN) == AT
    assert len(text) < 40


def test_the_position_of_as_many_partitions_as_there_may_be_is_read_back() -> None:
    topics = (*TOPICS, "calls.alerts.v1")
    at = {TopicPartition(topic, number): 2**32 - 1 for topic in topics for number in range(1000)}
    assert positions.read(positions.write(topics, at), topics, at) == at
    assert positions.LONGEST < HEAD_BYTES - 4096  # among other headers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "📞",
        "AAAA",
        "A" * 10_000,
        positions.write(TOPICS[:1], AT),
        positions.write(TOPICS, {**AT, TopicPartition(TOPICS[0], 3): 1}),
        positions.write(TOPICS, {**AT, TopicPartition(TOPICS[0], 0): -1}),
        positions.write(TOPICS, {**AT, TopicPartition(TOPICS[0], 0): 2**63}),
    ],
)
def test_what_is_none_of_these_topics_is_refused(text: str) -> None:
    assert positions.read(text, TOPICS, KNOWN) is None
