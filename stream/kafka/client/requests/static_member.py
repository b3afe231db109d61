"""Whether another process has joined a group under a static member's name (KIP-345, from Kafka 2.3 on).

aiokafka's heartbeats do not say the name. Then a member whose name was taken joins again and takes it back,
and two processes of one name replace each other for ever, without a word why.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.protocol.api import RequestStruct
from aiokafka.protocol.group import (
    HeartbeatRequest,
    HeartbeatResponse_v1,
    JoinGroupRequest,
    SyncGroupRequest,
)
from aiokafka.protocol.types import Int32, Schema, String

from stream.kafka.client.member_commit import FENCED_INSTANCE_ID
from stream.kafka.client.network_client import NeededRequest


class HeartbeatResponseV3(HeartbeatResponse_v1):
    """Kafka's Heartbeat response, version 3."""

    API_VERSION = 3


class HeartbeatV3(RequestStruct):
    """Kafka's Heartbeat request, version 3."""

    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = HeartbeatResponseV3
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class StaticHeartbeat(NeededRequest[HeartbeatV3]):
    """aiokafka's request, with the member's name."""

    API_KEY = 12

    def __init__(self, plain: HeartbeatRequest, instance_id: str) -> None:
        self._plain = plain
        self._instance_id = instance_id

    def build(self, request_struct_class: type[HeartbeatV3]) -> HeartbeatV3:
        plain = self._plain
        return request_struct_class(plain._group, plain._generation_id, plain._member_id, self._instance_id)


def notice_replaced(consumer: Any, instance_id: str, replaced: Callable[[], object]) -> None:
    """Call `replaced` when another process has joined the group of an AIOKafkaConsumer as `instance_id`."""
    client = consumer._client
    send = client.send

    async def send_named(node: Any, request: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT) -> Any:
        member_id = ""
        if isinstance(request, (HeartbeatRequest, JoinGroupRequest, SyncGroupRequest)):
            member_id = request._member_id
        # One without an id is about to join: under a name, any other member would seem to have replaced it.
        named = isinstance(request, HeartbeatRequest) and member_id
        answer = await send(node, StaticHeartbeat(request, instance_id) if named else request, group=group)
        # A member that has joined again meanwhile was replaced by itself.
        is_current = member_id and member_id == consumer._coordinator.member_id
        if is_current and answer.error_code == FENCED_INSTANCE_ID:
            replaced()
        return answer

    client.send = send_named
