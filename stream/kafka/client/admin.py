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
    return (await topic_settings(admin, [topic], name)).get(topic)


async def topic_settings(admin: AIOKafkaAdminClient, topics: Collection[str], name: str) -> dict[str, str]:
    """A setting by topic, without those that the broker does not tell. Raises KafkaError, OSError."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic, {name: ""}) for topic in topics]
    return {
        topic: str(entry[1])
        for answer in (await admin.describe_configs(resources) if resources else ())
        for _code, _message, _type, topic, entries in answer.resources
        for entry in entries
        if entry[0] == name
    }


async def missing_topics(admin: AIOKafkaAdminClient, topics: Collection[str]) -> list[str]:
    """Those of `topics` that do not exist. Asking for one by name would create it on some brokers."""
    return sorted(set(topics) - set(await admin.list_topics()))
