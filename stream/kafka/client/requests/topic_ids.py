"""The ids of topics: one that was deleted and made again has another id, and begins at offset 0 (KIP-516).

Kafka tells them from 2.8 on.
"""

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO
from typing import Any
from uuid import UUID

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from stream.kafka.client.network_client import NeededRequest, ask_any

NO_ID = UUID(int=0)
"""Of a request by name, and of a topic in a cluster whose metadata is of an older version."""


class TopicId(AbstractType[UUID]):
    """16 bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class TopicIdsResponseV10(Response):
    """Kafka's Metadata response, version 10."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", TopicId),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_operations", Int32),
        ("tags", TaggedFields),
    )


class TopicIdsRequestV10(RequestStruct):
    """Kafka's Metadata request, version 10."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = TopicIdsResponseV10
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", TopicId), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("create", Boolean),
        ("with_cluster_operations", Boolean),
        ("with_topic_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdsRequest(NeededRequest[TopicIdsRequestV10]):
    """Topics by name. It creates none."""

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[TopicIdsRequestV10]) -> TopicIdsRequestV10:
        named: list[Any] = [(NO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(named, False, False, False, {})


async def topic_ids(client: Any, topics: Collection[str]) -> dict[str, str]:
    """The ids of these topics, as far as the cluster tells them. Raises KafkaError, OSError.

    - `client`: a consumer of aiokafka's, or an admin client.
    """
    try:
        answer = await ask_any(client, TopicIdsRequest(topics))
    except IncompatibleBrokerVersion:
        return {}
    return {one[1]: str(one[2]) for one in answer.topics if one[0] == 0 and one[2] != NO_ID}
