"""As much of a Kafka broker as clients need to be opened, fenced and closed. It says what it is told to."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.coordination import FindCoordinatorResponse_v1
from aiokafka.protocol.metadata import MetadataResponse_v1
from aiokafka.protocol.transaction import AddPartitionsToTxnResponse_v0, InitProducerIdResponse_v0

PRODUCE, METADATA, FIND_COORDINATOR, VERSIONS, INIT_PRODUCER, ADD_PARTITIONS = 0, 3, 10, 18, 22, 24
KNOWN = {PRODUCE: 3, METADATA: 1, FIND_COORDINATOR: 1, VERSIONS: 0, INIT_PRODUCER: 0, ADD_PARTITIONS: 0}
INVALID_PRODUCER_EPOCH = 47


class OneBroker:
    """Node 1, which leads and coordinates all. It does not answer what is in `silent`."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.silent: set[int] = set()
        self.fences = False
        self.node = 1
        self.others: list[tuple[int, int]] = []
        """The cluster's other nodes and their ports."""
        self.port = 0
        self.asked: list[int] = []
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                key, _version, number = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
                self.asked.append(key)
                if key in self.silent:
                    continue
                answer = struct.pack(">i", number) + self.answers()[key].encode()
                writer.write(struct.pack(">i", len(answer)) + answer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self.open.discard(writer)
            writer.close()

    def answers(self) -> Mapping[int, Any]:
        code = INVALID_PRODUCER_EPOCH if self.fences else 0
        nodes = [(self.node, self.port), *self.others]
        return {
            VERSIONS: ApiVersionResponse_v0(error_code=0, api_versions=[(k, 0, v) for k, v in KNOWN.items()]),
            METADATA: MetadataResponse_v1(
                brokers=[(node, "127.0.0.1", port, "") for node, port in nodes],
                controller_id=1,
                topics=[(0, self.topic, False, [(0, 0, 1, [1], [1])])],
            ),
            FIND_COORDINATOR: FindCoordinatorResponse_v1(
                throttle_time_ms=0,
                error_code=0,
                error_message="",
                coordinator_id=1,
                host="127.0.0.1",
                port=self.port,
            ),
            INIT_PRODUCER: InitProducerIdResponse_v0(
                throttle_time_ms=0, error_code=0, producer_id=7, producer_epoch=0
            ),
            ADD_PARTITIONS: AddPartitionsToTxnResponse_v0(
                throttle_time_ms=0, errors=[(self.topic, [(0, code)])]
            ),
        }


@asynccontextmanager
async def one_broker(topic: str) -> AsyncIterator[OneBroker]:
    broker = OneBroker(topic)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        for writer in list(broker.open):
            writer.transport.abort()
        await server.wait_closed()
