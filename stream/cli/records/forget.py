"""`callstream forget`: has the worker remove a call from its state, and waits until it has said so.

Exit code 0: it is forgotten. 1: no worker has confirmed it yet; it is done as soon as one reads the request.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid

import click
import orjson

from stream.cli.support.exit_codes import FAILED
from stream.cli.support.startup import exit_on_error, quiet_clients, required_bootstrap
from stream.cli.support.terminal import Fault, Misuse, say
from stream.core.forgetting import FORGET, ForgetRequest, forgotten_id
from stream.kafka.client.connection import Connection, connection
from stream.kafka.client.producers import drop, idempotent
from stream.kafka.envelope_codec import write_envelope
from stream.kafka.partitions import TopicPartition, partition_of
from stream.kafka.topic_reader import ends_of, read_from
from stream.kafka.topics import Topics, names
from stream.service.settings import load

ANSWER_S = 30.0
WRITE_S = 10.0

CALL_KEY = re.compile(r"(?:twilio|telnyx):(?!conference:|account:)[\x21-\x7e]{1,200}")
NOT_A_KEY = "a KEY is twilio:CA… or telnyx:<call_leg_id>, as `key` in a call's record"


@click.command("forget")
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(key: str, as_json: bool) -> None:
    """Forget the call KEY: remove its state, and drop what is still delivered for it.

    KEY is a call's key, as twilio:CA… or telnyx:<call_leg_id>. It cannot be taken back. docs/operations.md
    says what of the call stays in the topics, and how long.
    """
    quiet_clients()
    if CALL_KEY.fullmatch(key) is None:
        raise Misuse(NOT_A_KEY)
    with exit_on_error(away=(TimeoutError,), as_json=as_json):
        settings = load()
        bootstrap = required_bootstrap(settings)
        topics = names(settings.topic_prefix)
        was_kept = asyncio.run(_forgotten(connection(settings, FORGET, bootstrap), topics, key))
    if was_kept is None:
        raise Fault(
            f"no worker has confirmed it within {ANSWER_S:.0f} s: it is done when one reads the request",
            FAILED,
            as_json=as_json,
        )
    if as_json:
        say(orjson.dumps({"key": key, "forgotten": True, "was_kept": was_kept}).decode())
    else:
        say(f"{key} is forgotten: " + ("its state is removed" if was_kept else "no state of it was kept"))


async def _forgotten(cluster: Connection, topics: Topics, key: str) -> bool | None:
    """Whether a state was kept; None if no worker confirms in time. Raises MissingTopicError, KafkaError."""
    request = ForgetRequest(str(uuid.uuid4()), key)
    ends = await ends_of(cluster, [topics.events, topics.polled])
    partitions = sum(one.topic == topics.events for one in ends)
    said = TopicPartition(topics.events, partition_of(key.encode(), partitions))
    await _ask(cluster, topics.polled, request, said.partition)
    async with read_from(cluster, {said: ends[said]}) as reader:
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            for some in (await reader.read()).values():
                for record in some:
                    event = orjson.loads(record.value)
                    if event["id"] == forgotten_id(request):
                        return bool(event["attributes"]["was_kept"])
    return None


async def _ask(cluster: Connection, topic: str, request: ForgetRequest, partition: int) -> None:
    value = write_envelope(
        FORGET,
        {"id": request.id, "key": request.key},
        received_us=time.time_ns() // 1000,
        account=None,
        endpoint=None,
        delivery={"verified": True},
    )
    producer = await idempotent(cluster, topic)
    try:
        async with asyncio.timeout(WRITE_S):
            await producer.send_and_wait(topic, value, key=request.key.encode(), partition=partition)
    finally:
        await drop(producer)
