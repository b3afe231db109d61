"""Commits a transaction's source offsets as a member of the group, so that a former member is fenced.

aiokafka sends no generation with a transaction's offsets. Then only the producer's epoch fences, and the
worker that opens a lane last may write, even one that the group has removed long ago. Here the request
carries the member's id and generation (KIP-447). A broker that does not take them, before Kafka 2.5, is
refused: a worker's lanes could not share a transaction.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.client import ConnectionGroup
from aiokafka.errors import IllegalGenerationError, InvalidProducerEpoch, UnknownMemberIdError
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.transaction import TxnOffsetCommitRequest
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from stream.kafka.client.network_client import NeededRequest

NO_LEADER_EPOCH = -1
FENCED_INSTANCE_ID = 82
"""Another process has joined under the instance's name; aiokafka does not know the code."""
NOT_A_MEMBER = {IllegalGenerationError.errno, UnknownMemberIdError.errno, FENCED_INSTANCE_ID}
"""Errors for a former member. They are passed on as an invalid producer epoch."""


class Member(NamedTuple):
    """A consumer as the group's coordinator knows it, for one assignment."""

    generation: int
    id: str
    instance_id: str | None


class ResponseV3(Response):
    """Kafka's TxnOffsetCommit response, version 3."""

    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "errors",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partition_errors",
                    CompactArray(("partition", Int32), ("error_code", Int16), ("tags", TaggedFields)),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class RequestV3(RequestStruct):
    """Kafka's TxnOffsetCommit request, version 3."""

    FLEXIBLE_VERSION = True
    API_KEY = 28
    API_VERSION = 3
    RESPONSE_TYPE = ResponseV3
    SCHEMA = Schema(
        ("transactional_id", CompactString("utf-8")),
        ("group_id", CompactString("utf-8")),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", CompactString("utf-8")),
        ("group_instance_id", CompactString("utf-8")),
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
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class MemberCommit(NeededRequest[RequestV3]):
    """aiokafka's request, with the member in it."""

    API_KEY = 28

    def __init__(self, plain: TxnOffsetCommitRequest, member: Member) -> None:
        self._plain = plain
        self._member = member

    def build(self, request_struct_class: type[RequestV3]) -> RequestV3:
        plain = self._plain
        topics: list[Any] = [
            (
                topic,
                [(number, offset, NO_LEADER_EPOCH, metadata, {}) for number, offset, metadata in parts],
                {},
            )
            for topic, parts in plain._topics
        ]
        return request_struct_class(
            plain._transactional_id,
            plain._group_id,
            plain._producer_id,
            plain._producer_epoch,
            self._member.generation,
            self._member.id,
            self._member.instance_id,
            topics,
            {},
        )


class CommitResponse(NamedTuple):
    """As aiokafka reads it: for each topic its partitions, each with an error code."""

    errors: Sequence[tuple[str, Sequence[tuple[int, int]]]]


def commit_as(client: Any, member: Member) -> None:
    """Have `client`, a producer's AIOKafkaClient, commit a transaction's offsets as `member`."""
    send = client.send

    async def send_as_member(
        node: Any, request: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT
    ) -> Any:
        if not isinstance(request, TxnOffsetCommitRequest):
            return await send(node, request, group=group)
        answer = await send(node, MemberCommit(request, member), group=group)
        return CommitResponse(
            [
                (topic, [(number, _passed_on(code)) for number, code, *_ in parts])
                for topic, parts, *_ in answer.errors
            ]
        )

    client.send = send_as_member


def _passed_on(code: int) -> int:
    return int(InvalidProducerEpoch.errno) if code in NOT_A_MEMBER else code
