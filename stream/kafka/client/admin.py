"""The admin client: the cluster's topics and their settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream.kafka.client import network_client, request_limits
from stream.kafka.client.connection import Connection


@asynccontextmanager
async def admin_client(connection: Connection, **settings: Any) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client, closed at the end. The caller starts it, within its own time limit."""
    admin = connection.admin(**settings)
    request_limits.steer(admin._client)
    try:
        yield admin
    finally:
        await network_client.close(admin._client)


async def topic_setting(admin: AIOKafkaAdminClient, topic: str, name: str) -> str | None:
    """A setting of a topic; None where the broker does not tell it. Raises KafkaError, OSError."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {name: ""})
    (answer,) = await admin.describe_configs([resource])
    for _code, _message, _type, _name, entries in answer.resources:
        for entry in entries:
            if entry[0] == name:
                return str(entry[1])
    return None


async def missing_topics(admin: AIOKafkaAdminClient, topics: Collection[str]) -> list[str]:
    """Those of `topics` that do not exist. Asking for one by name would create it on some brokers."""
    return sorted(set(topics) - set(await admin.list_topics()))
