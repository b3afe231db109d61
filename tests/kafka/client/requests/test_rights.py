"""What a client may do, from brokers of other versions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion

from stream.kafka.client.requests.rights import topic_operations


class Client:
    """A client of a broker that knows version 7 of Metadata at most, as Kafka 2.2 does."""

    def get_random_node(self) -> int:
        return 0

    async def send(self, node: int, request: Any) -> Any:
        return request.prepare({3: (0, 7)})


async def test_a_broker_that_is_too_old_to_tell_rights_is_an_error_of_kafka() -> None:
    admin = cast(AIOKafkaAdminClient, SimpleNamespace(_client=Client()))
    with pytest.raises(IncompatibleBrokerVersion):
        await topic_operations(admin, ["calls.events.v1"])
