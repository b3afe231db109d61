"""Partitions: how they are named, and which of them a key belongs to.

Every producer of callstream must choose the same partition for a key, or one call is in two places.
"""

from __future__ import annotations

from functools import lru_cache

from aiokafka import TopicPartition
from aiokafka.partitioner import murmur2

__all__ = ["TopicPartition", "key_hash", "partition_of"]


@lru_cache(maxsize=4096)
def key_hash(key: bytes) -> int:
    """The positive murmur2 of a key, as Java's default partitioner computes it.

    Few keys choose the partition of many records, and a hash costs as much as a small record.
    """
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic with this many partitions."""
    return key_hash(key) % partitions
