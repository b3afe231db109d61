"""What `callstream forget` refuses, and what it says while no worker runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from stream.cli.main import main
from stream.cli.records import forget
from stream.cli.support.terminal import Misuse
from stream.core.privacy.masking import Privacy
from stream.kafka import topics
from stream.kafka.client.connection import connection
from stream.kafka.topic_reader import records
from stream.service.settings import Settings
from tests.archive.kept import an_archive
from tests.archive.test_reader import a_record
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


def test_a_key_or_a_number_is_wanted() -> None:
    for arguments in ((), (TWILIO_KEY, "--number", "+15551234567")):
        result = run(*arguments, CALLSTREAM_KAFKA="127.0.0.1:1")
        assert result.exit_code == 2
        assert "either KEY or --number" in result.stderr


def of_number(tmp_path: Path, number: str, *, key: str = "", masked_too: bool = False) -> list[str]:
    chosen = Settings(data_dir=tmp_path, privacy_key=key)
    return sorted(forget._of_number(chosen, number, masked_too=masked_too))


def test_the_calls_of_a_number_are_those_of_the_archive(tmp_path: Path) -> None:
    full, mask = "+442071838750", "+44********50"
    with an_archive(tmp_path) as (keeper, _):
        keeper.keep([a_record(1, to=full), a_record(2, **{"from": full}), a_record(3)])
        keys = [f"twilio:CA{number:032x}" for number in (1, 2)]
        assert of_number(tmp_path, full) == keys
        assert of_number(tmp_path, "+442071830000") == []
        keeper.keep([a_record(4, to=mask)])
        with pytest.raises(Misuse, match="of 1 calls the archive has only a mask"):
            of_number(tmp_path, full)
        assert of_number(tmp_path, full, masked_too=True) == [*keys, f"twilio:CA{4:032x}"]


def test_of_a_number_with_many_calls_none_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "MOST_ITEMS", 2)
    with an_archive(tmp_path) as (keeper, _):
        keeper.keep([a_record(number, to="+442071838750") for number in range(1, 6)])
        assert of_number(tmp_path, "+442071838750") == [f"twilio:CA{number:032x}" for number in range(1, 6)]


def test_by_their_hashes_the_calls_of_a_number_are_certain(tmp_path: Path) -> None:
    full, mask = "+442071838750", "+44********50"
    hashed = Privacy("hashed", "k").address
    with an_archive(tmp_path) as (keeper, _):
        keeper.keep([a_record(1, to=mask, to_hash=hashed(full))])
        keeper.keep([a_record(2, to=mask, to_hash=hashed("+442071838150"))])
        assert of_number(tmp_path, full, key="k") == [f"twilio:CA{1:032x}"]
        keeper.keep([a_record(3, to=mask, to_hash=None)])
        with pytest.raises(Misuse, match="of 1 calls the archive has only a mask"):
            of_number(tmp_path, full, key="k")


def test_without_an_archive_no_number_is_looked_for(tmp_path: Path) -> None:
    result = run(
        "--number", "+15551234567", CALLSTREAM_KAFKA="127.0.0.1:1", CALLSTREAM_DATA_DIR=str(tmp_path)
    )
    assert result.exit_code == 5
    assert "the archive does not answer" in result.stderr
