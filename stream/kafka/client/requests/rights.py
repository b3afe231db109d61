"""What a client may do, as the brokers say: without trying it.

Topics are asked for with the operations that are allowed (KIP-430, from Kafka 2.3 on). Groups and
transactional ids are only looked up, which needs `DESCRIBE`: the rights to read or write include it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from stream.kafka.client.network_client import NeededRequest, ask_any

_BITS: Mapping[str, int] = {"READ": 3, "WRITE": 4, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10}
"""Codes of Kafka's AclOperation, which number the bits of an answer."""
_GROUP, _TRANSACTION = 0, 1
_UNTOLD = -(1 << 31)


class TopicsResponseV8(Response):
    """Kafka's Metadata response, version 8."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class TopicsRequestV8(RequestStruct):
    """Kafka's Metadata request, version 8."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = TopicsResponseV8
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("create", Boolean),
        ("with_cluster_operations", Boolean),
        ("with_topic_operations", Boolean),
    )


class TopicsRequest(NeededRequest[TopicsRequestV8]):
    """Topics with the operations that the client may do on them. It creates none."""

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[TopicsRequestV8]) -> TopicsRequestV8:
        return request_struct_class(self._topics, False, False, True)


async def topic_operations(admin: AIOKafkaAdminClient, topics: Collection[str]) -> dict[str, frozenset[str]]:
    """Of READ, WRITE, DESCRIBE and DESCRIBE_CONFIGS, those that are allowed on each topic that exists.

    One that may not even be described counts as existing.
    Raises KafkaError (IncompatibleBrokerVersion: Kafka before 2.3), OSError.
    """
    answer = await ask_any(admin, TopicsRequest(topics))
    found = {}
    for code, topic, _internal, _partitions, operations in answer.topics:
        if code == TopicAuthorizationFailedError.errno:
            found[topic] = frozenset[str]()
        elif code == 0 and operations != _UNTOLD:
            found[topic] = frozenset(name for name, bit in _BITS.items() if operations >> bit & 1)
    return found


async def may_use_group(admin: AIOKafkaAdminClient, group: str) -> bool:
    """Raises KafkaError, OSError."""
    answer = await ask_any(admin, FindCoordinatorRequest(group, _GROUP))
    return bool(answer.error_code != GroupAuthorizationFailedError.errno)


async def may_use_transactional_id(admin: AIOKafkaAdminClient, transactional_id: str) -> bool:
    """Raises KafkaError, OSError."""
    answer = await ask_any(admin, FindCoordinatorRequest(transactional_id, _TRANSACTION))
    return bool(answer.error_code != TransactionalIdAuthorizationFailed.errno)
