"""Requests to one node: the leaders and ends of partitions as this node sees them, right or wrong.

Source: Kafka protocol guide; versions before the flexible ones, which Kafka 4 still answers.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stream.broker.probe import read_exactly

LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR = 2, 3, 9, 10
LATEST = -1

TopicAndPartition = tuple[str, int]
Partitions = dict[TopicAndPartition, "PartitionView"]


class PartitionView(NamedTuple):
    """A node's view of a partition. `leader`: -1 if it knows none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


def partitions(address: str, topics: Iterable[str] | None = None, timeout_s: float = 3.0) -> Partitions:
    """Of these topics, or of all. Raises OSError if the node does not answer."""
    wanted = struct.pack(">i", -1) if topics is None else _array([_text(topic) for topic in topics])
    answer = _Answer(_ask(address, METADATA, 1, wanted, timeout_s=timeout_s))
    for _ in range(answer.int32()):  # nodes
        answer.skip(4)
        answer.text()
        answer.skip(4)
        answer.text()
    answer.skip(4)  # controller
    found: Partitions = {}
    for _ in range(answer.int32()):
        answer.skip(2)
        topic = answer.text()
        answer.skip(1)
        for _ in range(answer.int32()):
            answer.skip(2)
            partition, leader = answer.int32(), answer.int32()
            replicas = tuple(answer.int32() for _ in range(answer.int32()))
            in_sync = tuple(answer.int32() for _ in range(answer.int32()))
            found[topic, partition] = PartitionView(leader, replicas, in_sync)
    return found


def ends(
    address: str, places: Iterable[TopicAndPartition], timeout_s: float = 3.0
) -> dict[TopicAndPartition, int]:
    """The end of the committed records of each partition that the node believes to lead."""
    body = struct.pack(">ib", -1, 1) + _array(
        [
            _text(topic) + _array([struct.pack(">iq", number, LATEST) for number in numbers])
            for topic, numbers in _by_topic(places).items()
        ]
    )
    answer = _Answer(_ask(address, LIST_OFFSETS, 2, body, timeout_s=timeout_s))
    answer.int32()
    found: dict[TopicAndPartition, int] = {}
    for _ in range(answer.int32()):
        topic = answer.text()
        for _ in range(answer.int32()):
            partition, error = answer.int32(), answer.int16()
            answer.int64()
            offset = answer.int64()
            if error == 0:
                found[topic, partition] = offset
    return found


def coordinator(address: str, key: str, *, of_transactions: bool = False, timeout_s: float = 3.0) -> int:
    """The node that coordinates a group or a transactional id; -1 if there is none now."""
    body = _text(key) + struct.pack(">b", int(of_transactions))
    answer = _Answer(_ask(address, FIND_COORDINATOR, 1, body, timeout_s=timeout_s))
    answer.int32()
    error = answer.int16()
    answer.text()
    return answer.int32() if error == 0 else -1


def committed(
    address: str, group: str, places: Iterable[TopicAndPartition], timeout_s: float = 3.0
) -> dict[TopicAndPartition, int]:
    """Committed offsets, from the group's coordinator. Empty if the node is not that, or is not ready."""
    body = _text(group) + _array(
        [
            _text(topic) + _array([struct.pack(">i", number) for number in numbers])
            for topic, numbers in _by_topic(places).items()
        ]
    )
    answer = _Answer(_ask(address, OFFSET_FETCH, 3, body, timeout_s=timeout_s))
    answer.int32()
    found: dict[TopicAndPartition, int] = {}
    for _ in range(answer.int32()):
        topic = answer.text()
        for _ in range(answer.int32()):
            partition, offset = answer.int32(), answer.int64()
            answer.text()
            if answer.int16() == 0:
                found[topic, partition] = max(0, offset)
    return found if answer.int16() == 0 else {}


def _by_topic(places: Iterable[TopicAndPartition]) -> Mapping[str, list[int]]:
    by_topic: dict[str, list[int]] = {}
    for topic, number in places:
        by_topic.setdefault(topic, []).append(number)
    return by_topic


def _ask(address: str, key: int, version: int, body: bytes, *, timeout_s: float) -> bytes:
    """The body of the answer."""
    host, _, port = address.rpartition(":")
    message = struct.pack(">hhi", key, version, 1) + _text("cluster-test") + body
    with socket.create_connection((host, int(port)), timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        (size,) = struct.unpack(">i", read_exactly(connection, 4))
        return read_exactly(connection, size)[4:]


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text.encode())) + text.encode()


def _array(parts: list[bytes]) -> bytes:
    return struct.pack(">i", len(parts)) + b"".join(parts)


class _Answer:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def skip(self, size: int) -> None:
        self._at += size

    def int16(self) -> int:
        return self._take(">h")

    def int32(self) -> int:
        return self._take(">i")

    def int64(self) -> int:
        return self._take(">q")

    def text(self) -> str:
        size = self._take(">h")
        self._at += max(0, size)
        return self._body[self._at - max(0, size) : self._at].decode()

    def _take(self, layout: str) -> int:
        (value,) = struct.unpack_from(layout, self._body, self._at)
        self._at += struct.calcsize(layout)
        return int(value)
