"""The partition of a key."""

from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner

from stream.kafka.partitions import partition_of


def test_a_key_is_in_the_partition_that_the_producers_choose() -> None:
    keys = [f"window:twilio_call:AC{number}".encode() for number in range(100)]
    producers = DefaultPartitioner()
    assert [partition_of(key, 12) for key in keys] == [producers(key, list(range(12)), []) for key in keys]
