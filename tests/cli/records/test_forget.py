"""What `callstream forget` refuses, and what it says while no worker runs."""

from __future__ import annotations

import asyncio
import os

import orjson
import pytest
from click.testing import CliRunner, Result

from stream.cli.main import main
from stream.cli.records import forget
from stream.kafka import topics
from stream.kafka.client.connection import connection
from stream.kafka.topic_reader import records
from stream.service.settings import Settings
from tests.core.deliveries import TWILIO_KEY
from tests.real_broker import RealBroker


def run(*arguments: str, **environment: str) -> Result:
    bare = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
    return CliRunner().invoke(main, ["forget", *arguments], env=bare | environment)


@pytest.mark.parametrize("key", ["CA0", "twilio:", "sip:x", "twilio:conference:CF1", "telnyx:a b"])
def test_what_is_no_calls_key_is_refused(key: str) -> None:
    result = run(key, CALLSTREAM_KAFKA="127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert forget.NOT_A_KEY in result.stderr


@pytest.mark.broker
def test_without_a_worker_the_request_waits_and_that_is_said(
    broker: RealBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=3)
    asyncio.run(topics.ensure(broker.bootstrap, chosen))
    monkeypatch.setattr(forget, "ANSWER_S", 1.0)
    result = run(TWILIO_KEY, CALLSTREAM_KAFKA=broker.bootstrap, CALLSTREAM_TOPIC_PREFIX=prefix)
    said = "Error: no worker has confirmed it within 1 s: it is done when one reads the request\n"
    assert (result.exit_code, result.stderr) == (1, said)

    async def waiting() -> list[bytes | None]:
        polled = topics.names(prefix).polled
        found = records(connection(chosen, "test"), polled, from_beginning=True, follow=False)
        return [one.value async for one in found if one.key == TWILIO_KEY.encode()]

    (value,) = asyncio.run(waiting())
    assert orjson.loads(value or b"null")["source"] == "forget"
