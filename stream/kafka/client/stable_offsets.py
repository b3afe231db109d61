"""Reads a group's committed offsets only when they are final, so that an old one is never taken for the last.

The offsets of a transaction that is decided show a moment after its decision: until then Kafka is asked to
answer that they are not stable (KIP-447, from Kafka 2.5 on; an older broker is refused).
aiokafka also does not look at a response's own error code: it takes a coordinator that is still loading, or
that is not the coordinator, for one that knows of no commit. Here both are asked again.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.client import ConnectionGroup
from aiokafka.errors import GroupLoadInProgressError, NotCoordinatorForGroupError, for_code
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from stream.kafka.client.network_client import NeededRequest

UNSTABLE_OFFSET_COMMIT = 88
"""A transaction with an offset of the partition is not finished; aiokafka does not know the code."""
NO_OFFSET = -1
ASK_AGAIN = int(GroupLoadInProgressError.errno)
"""The error after which aiokafka asks the same coordinator again."""


class OffsetsV7(Response):
    """Kafka's OffsetFetch response, version 7."""

    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class FetchOffsetsV7(RequestStruct):
    """Kafka's OffsetFetch request, version 7."""

    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = OffsetsV7
    SCHEMA = Schema(
        ("group_id", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(Int32)),
                ("tags", TaggedFields),
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class FetchStableOffsets(NeededRequest[FetchOffsetsV7]):
    """aiokafka's request for committed offsets, for stable ones."""

    API_KEY = 9

    def __init__(self, plain: OffsetFetchRequest) -> None:
        self._plain = plain

    def build(self, request_struct_class: type[FetchOffsetsV7]) -> FetchOffsetsV7:
        topics: list[Any] = [(topic, numbers, {}) for topic, numbers in _partitions(self._plain)]
        return request_struct_class(self._plain._consumer_group, topics, True, {})


class CommittedOffsets(NamedTuple):
    """As aiokafka reads them: for each topic its partitions, as (number, offset, metadata, error code)."""

    topics: Sequence[tuple[str, Sequence[tuple[int, int, str | None, int]]]]


def read_stable(client: Any) -> None:
    """Have `client`, a consumer's AIOKafkaClient, read committed offsets when they are stable."""
    send = client.send

    async def send_stable(
        node: Any, request: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT
    ) -> Any:
        if not isinstance(request, OffsetFetchRequest):
            return await send(node, request, group=group)
        answer = await send(node, FetchStableOffsets(request), group=group)
        if answer.error_code:
            code = _passed_on(answer.error_code)
            return CommittedOffsets(
                [
                    (topic, [(number, NO_OFFSET, "", code) for number in numbers])
                    for topic, numbers in _partitions(request)
                ]
            )
        return CommittedOffsets(
            [
                (
                    topic,
                    [
                        (number, offset, metadata, _passed_on(code))
                        for number, offset, _, metadata, code, _ in parts
                    ],
                )
                for topic, parts, _ in answer.topics
            ]
        )

    client.send = send_stable


def _partitions(request: OffsetFetchRequest) -> Sequence[tuple[str, list[int]]]:
    return request._partitions or ()


def _passed_on(code: int) -> int:
    if code in {0, NotCoordinatorForGroupError.errno}:
        return code
    return ASK_AGAIN if code == UNSTABLE_OFFSET_COMMIT or for_code(code).retriable else code
