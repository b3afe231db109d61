"""What is said of a topic or broker that is not there, and what is masked."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from stream.cli.records.record_filter import RecordFilter, colour_of
from stream.cli.records.tail import cells, command, resolved
from stream.cli.support.terminal import Misuse
from stream.core.privacy.masking import Privacy
from stream.kafka import topics
from stream.kafka.client.connection import connection
from stream.kafka.client.producers import idempotent
from stream.service.settings import Settings
from tests.real_broker import RealBroker

CALLBACK = json.dumps(
    {
        "v": 1,
        "source": "twilio_status_callback",
        "endpoint": "/callbacks/twilio",
        "delivery": {"remote": "203.0.113.9"},
        "body": {
            "CallSid": "CA0",
            "From": "+14155550123",
            "auth_token": "hush",
            "token": None,
            "pin": 1234,
            "CallStatus": "busy",
        },
    }
).encode()


def run(*arguments: str, **environment: str) -> Result:
    bare = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
    return CliRunner().invoke(command, list(arguments), env=bare | environment)


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("alerts", "alerts"),
        ("calls.alerts.v1", "alerts"),
        ("calls.alerts.active.v1", "alerts_active"),
        ("alerts.active", "alerts_active"),
        ("dead-letters", "dead_letters"),
        ("dead_letters", "dead_letters"),
        ("calls.dead-letters.v1", "dead_letters"),
    ],
)
def test_a_topic_is_known_by_its_role_and_by_its_full_name(word: str, role: str) -> None:
    assert resolved(word, "calls.")[0] == role


def test_a_full_name_has_the_prefix_of_the_settings() -> None:
    assert resolved("alerts", "test.") == ("alerts", "test.alerts.v1")
    with pytest.raises(Misuse, match=r"^no topic calls.alerts.v1: did you mean test.alerts.v1\?$"):
        resolved("calls.alerts.v1", "test.")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("alrets", "did you mean alerts?"),
        ("deadletters", "did you mean dead"),
        ("calls.event.v1", "did you mean calls.events.v1?"),
        ("xyz", "it is one of callbacks, polled, events, ended, "),
        ("ticks", "it is one of callbacks"),
    ],
)
def test_another_word_is_refused_with_what_was_likely_meant(word: str, said: str) -> None:
    result = run(word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_without_a_broker_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    result = run("alerts", CALLSTREAM_DATA_DIR=str(tmp_path))
    assert result.exit_code == 4
    assert result.stderr == "Error: no broker runs here: set CALLSTREAM_KAFKA, or start `callstream up`\n"


def test_a_broker_that_is_not_there_is_one_sentence() -> None:
    result = run("alerts", CALLSTREAM_KAFKA="127.0.0.1:1")
    assert result.exit_code == 4
    assert result.stderr == (
        "Error: nobody listens at 127.0.0.1:1 (ConnectionRefusedError: Connection refused (errno 111)): "
        "start the broker, or check CALLSTREAM_KAFKA and the firewall\n"
    )


def test_a_broker_that_is_silent_is_one_sentence_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.cli.records.tail.ANSWER_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at, began = f"127.0.0.1:{silent.getsockname()[1]}", time.monotonic()
        result = run("alerts", CALLSTREAM_KAFKA=at)
    assert time.monotonic() - began < 8
    assert result.exit_code == 4
    assert result.stderr.startswith(f"Error: {at} accepts connections and does not answer within 1 s: see ")
    assert result.stderr.count("\n") == 1


def test_what_a_provider_sent_is_masked_and_stays_json() -> None:
    (_, shown) = cells(b"k", CALLBACK, Privacy())
    masked = {"CallSid": "CA0", "From": "+14*******23", "auth_token": "***", "CallStatus": "busy"}
    masked |= {"token": None, "pin": "***"}
    assert json.loads(shown) == json.loads(CALLBACK) | {"body": masked}
    assert cells(b"k", CALLBACK)[1] == CALLBACK.decode()


@pytest.mark.parametrize(
    ("arguments", "masked"),
    [
        (("callbacks",), True),
        (("calls.callbacks.v1",), True),
        (("polled",), True),
        (("dead-letters",), True),
        (("callbacks", "--raw"), False),
        (("events",), False),
    ],
)
def test_the_command_masks_what_providers_sent_unless_it_is_raw(
    arguments: tuple[str, ...], masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def there(*_: object, **__: object) -> None:
        pass

    async def one_record(*_: object, **__: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(key=b"twilio:CA0", value=CALLBACK)

    monkeypatch.setattr("stream.cli.records.tail.require_topic", there)
    monkeypatch.setattr("stream.cli.records.tail.records", one_record)
    result = run(*arguments, CALLSTREAM_KAFKA="127.0.0.1:1")
    assert result.exit_code == 0
    assert ("hush" not in result.stdout) == ("+14155550123" not in result.stdout) == masked


ALERTS = [
    {
        "rule": {"id": "call.failed"},
        "severity": "info",
        "state": "firing",
        "revision": 1,
        "scope": {"id": "a"},
    },
    {"rule": {"id": "webhook.failing"}, "severity": "critical", "state": "firing", "revision": 2},
    {"rule": {"id": "webhook.failing"}, "severity": "critical", "state": "resolved", "revision": 3},
]


@pytest.mark.parametrize(
    ("options", "revisions"),
    [
        ([], [1, 2, 3]),
        (["--where", "rule.id=webhook.failing"], [2, 3]),
        (["--where", "rule.id=webhook.failing", "--where", "state=firing"], [2]),
        (["--where", "revision=1", "--where", "revision=3"], [1, 3]),
        (["--where", "scope.id=a"], [1]),
        (["--where", "scope.id=null"], []),
        (["--key", "CA1"], [1]),
        (["--key", "CA1", "--key", "CA2"], [1, 2]),
        (["--count", "1", "--where", "state=resolved"], [3]),
        (["--follow", "--no-follow"], [1, 2, 3]),
    ],
)
def test_records_are_chosen_by_key_and_by_the_values_of_fields(
    options: list[str], revisions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def there(*_: object, **__: object) -> None:
        pass

    async def some_records(*_: object, **__: object) -> AsyncIterator[SimpleNamespace]:
        for number, alert in enumerate(ALERTS, 1):
            yield SimpleNamespace(key=f"twilio:CA{number}".encode(), value=json.dumps(alert).encode())

    monkeypatch.setattr("stream.cli.records.tail.require_topic", there)
    monkeypatch.setattr("stream.cli.records.tail.records", some_records)
    result = run("alerts", *options, CALLSTREAM_KAFKA="127.0.0.1:1")
    assert result.exit_code == 0
    assert [json.loads(line)["revision"] for line in result.stdout.splitlines()] == revisions


def test_a_condition_without_a_value_is_a_misuse() -> None:
    result = run("alerts", "--where", "state", CALLSTREAM_KAFKA="127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "it is NAME=VALUE" in result.stderr


def test_what_is_masked_cannot_be_asked_for() -> None:
    shown = cells(b"k", CALLBACK, Privacy())[1]
    assert not RecordFilter(wanted={"body.From": ["+14155550123"]}).takes("k", shown)
    assert RecordFilter(wanted={"body.From": ["+14*******23"]}).takes("k", shown)


@pytest.mark.parametrize(
    ("value", "colour"),
    [
        (ALERTS[0], None),
        (ALERTS[1], "red"),
        (ALERTS[2], None),
        ({"level": "error", "outcome": None}, "red"),
        ({"level": "warning"}, "yellow"),
        ({"outcome": "busy"}, "yellow"),
        ({"level": None, "outcome": "failed"}, "red"),
        ({"outcome": "answered"}, None),
        ([], None),
    ],
)
def test_the_colour_of_a_line_is_that_of_what_it_tells(value: object, colour: str | None) -> None:
    assert colour_of(json.dumps(value)) == colour


def test_a_value_that_is_no_json_has_no_colour_and_meets_no_condition() -> None:
    assert colour_of("call failed") is None
    assert not RecordFilter(wanted={"status": ["failed"]}).takes("k", "call failed")


def test_parameters_of_a_logged_request_that_are_not_a_form_are_masked_whole() -> None:
    row = {"sid": "NO1", "request_variables": "CallerName=JANE ROE&SpeechResult=my name"}
    polled = json.dumps({"v": 1, "source": "twilio_alert", "body": row}).encode()
    shown = json.loads(cells(None, polled, Privacy())[1])
    assert shown["body"] == row | {"request_variables": "***"}


def test_a_dead_letter_that_is_no_json_is_masked_as_text() -> None:
    assert "5550123" not in cells(None, b"call from +14155550123 failed", Privacy())[1]


@pytest.mark.broker
def test_a_topic_that_is_not_there_is_named(broker: RealBroker, prefix: str) -> None:
    result = run("alerts", CALLSTREAM_KAFKA=broker.bootstrap, CALLSTREAM_TOPIC_PREFIX=prefix)
    said = f"Error: missing topics: {prefix}alerts.v1; `callstream topics` creates them\n"
    assert (result.exit_code, result.stderr) == (4, said)


@pytest.mark.broker
async def test_a_number_of_records_and_the_end_of_the_topic_both_stop_it(
    broker: RealBroker, prefix: str
) -> None:
    chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=1)
    await topics.ensure(broker.bootstrap, chosen)
    name = topics.names(prefix).events
    producer = await idempotent(connection(chosen, "test"), name)
    for value in (b"1", b"2"):
        await producer.send_and_wait(name, value)
    await producer.stop()

    async def tail(*options: str) -> tuple[int | None, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stream.cli", "tail", "events", "--from-beginning", *options),
            env={**os.environ, "CALLSTREAM_KAFKA": broker.bootstrap, "CALLSTREAM_TOPIC_PREFIX": prefix},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode, out, err

    assert await tail("--count", "1") == (0, b"1\n", b"")
    assert await tail("--count", "3", "--no-follow") == (0, b"1\n2\n", b"")
