"""`callstream forget`: has the worker remove calls from its state, and waits until it has said so.

The archive reads what the worker says, and removes them too.
Exit code 0: they are forgotten. 1: no worker has confirmed it yet; it is done as soon as one reads it.
5: the archive, which knows the calls of a number, does not answer.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import orjson

from stream.archive.questions import MOST_ITEMS, ArchiveError, CallFilter
from stream.cli.support.exit_codes import FAILED, NO_ARCHIVE
from stream.cli.support.startup import exit_on_error, naming_obstacle, quiet_clients, required_bootstrap
from stream.cli.support.terminal import Fault, Misuse, say
from stream.core.forgetting import FORGET, ForgetRequest, forgotten_id
from stream.kafka.client.connection import Connection, connection
from stream.kafka.client.producers import drop, idempotent
from stream.kafka.envelope_codec import write_envelope
from stream.kafka.partitions import TopicPartition, partition_of
from stream.kafka.topic_reader import ends_of, read_from
from stream.kafka.topics import Topics, names, partitions_in_use
from stream.service.settings import Settings, load

if TYPE_CHECKING:
    from stream.archive.reader import Archive

ANSWER_S = 30.0
WRITE_S = 10.0

CALL_KEY = re.compile(r"(?:twilio|telnyx):(?!conference:|account:)[\x21-\x7e]{1,200}")
NOT_A_KEY = "a KEY is twilio:CA… or telnyx:<call_leg_id>, as `key` in a call's record"


@click.command("forget")
@click.argument("key", required=False)
@click.option("--number", help="Forget every call in the archive from or to this number.")
@click.option(
    "--masked-too",
    is_flag=True,
    help="With --number: also calls of which the archive has only a mask, which others may have, too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each call.")
def command(key: str | None, number: str | None, masked_too: bool, as_json: bool) -> None:
    """Forget the call KEY: remove its state and its rows in the archive, and drop what still comes for it.

    KEY is a call's key, as twilio:CA… or telnyx:<call_leg_id>. It cannot be taken back. docs/operations.md
    says what of the call stays in the topics, and how long.
    """
    quiet_clients()
    if (key is None) == (number is None):
        raise Misuse("either KEY or --number: one of them")
    if key is not None and CALL_KEY.fullmatch(key) is None:
        raise Misuse(NOT_A_KEY)
    with exit_on_error(away=(TimeoutError,), as_json=as_json):
        settings = load()
        bootstrap = required_bootstrap(settings)
        topics = names(settings.topic_prefix)
        try:
            keys = [key] if key is not None else _of_number(settings, number or "", masked_too=masked_too)
        except ArchiveError as error:
            raise Fault(str(error), NO_ARCHIVE, as_json=as_json) from None
        cluster = connection(settings, FORGET, bootstrap)
        with naming_obstacle(cluster, as_json=as_json):
            was_kept = asyncio.run(_forgotten(cluster, topics, keys)) if keys else {}
    for one, kept in was_kept.items():
        if as_json:
            say(orjson.dumps({"key": one, "forgotten": True, "was_kept": kept}).decode())
        else:
            say(f"{one} is forgotten: " + ("its state is removed" if kept else "no state of it was kept"))
    if len(was_kept) < len(keys):
        raise Fault(
            f"no worker has confirmed it within {ANSWER_S:.0f} s: it is done when one reads the request",
            FAILED,
            as_json=as_json,
        )
    if not keys and not as_json:
        say("the archive has no call of this number")


def _of_number(settings: Settings, number: str, *, masked_too: bool) -> list[str]:
    """The calls of a number. Raises ArchiveError; Misuse where only a mask tells which they are."""
    # Not with the other commands: it loads the database's library.
    reader = importlib.import_module("stream.archive.reader")
    url = importlib.import_module("stream.archive.database").archive_url(
        settings.archive_url, settings.data_dir
    )
    archive = reader.open_archive(url, settings.privacy_key)
    try:
        certain = _found(archive, CallFilter(number=number, masked_too=False))
        found = _found(archive, CallFilter(number=number))
    finally:
        archive.close()
    masked = {*found} - {*certain}
    if masked and not masked_too:
        raise Misuse(
            f"of {len(masked)} calls the archive has only a mask that fits this number, and others, too: "
            "--masked-too forgets them"
        )
    return found


def _found(archive: Archive, wanted: CallFilter) -> list[str]:
    keys: list[str] = []
    after = None
    while True:
        page = archive.calls(wanted, MOST_ITEMS, after)
        keys += [one.key for one in page.items]
        if (after := page.next) is None:
            return keys


async def _forgotten(cluster: Connection, topics: Topics, keys: Sequence[str]) -> dict[str, bool]:
    """Of each call that a worker has confirmed in time: whether a state was kept.

    Raises MissingTopicError, KafkaError.
    """
    ends = await ends_of(cluster, [topics.events, topics.polled])
    partitions = await partitions_in_use(cluster, topics)
    requests = [ForgetRequest(str(uuid.uuid4()), key) for key in keys]
    waiting = {forgotten_id(one): one.key for one in requests}
    said = {TopicPartition(topics.events, partition_of(key.encode(), partitions)) for key in keys}
    await _ask(cluster, topics.polled, requests, partitions)
    confirmed: dict[str, bool] = {}
    async with read_from(cluster, {one: ends[one] for one in said}) as reader:
        deadline = time.monotonic() + ANSWER_S
        while waiting and time.monotonic() < deadline:
            for some in (await reader.read()).values():
                for record in some:
                    event = orjson.loads(record.value)
                    if (key := waiting.pop(event["id"], None)) is not None:
                        confirmed[key] = bool(event["attributes"]["was_kept"])
                        deadline = time.monotonic() + ANSWER_S
    return confirmed


async def _ask(cluster: Connection, topic: str, requests: Sequence[ForgetRequest], partitions: int) -> None:
    producer = await idempotent(cluster, topic)
    try:
        async with asyncio.timeout(WRITE_S):
            for one in requests:
                key = one.key.encode()
                await producer.send_and_wait(
                    topic, _request(one), key=key, partition=partition_of(key, partitions)
                )
    finally:
        await drop(producer)


def _request(request: ForgetRequest) -> bytes:
    return write_envelope(
        FORGET,
        {"id": request.id, "key": request.key},
        received_us=time.time_ns() // 1000,
        account=None,
        endpoint=None,
        delivery={"verified": True},
    )
