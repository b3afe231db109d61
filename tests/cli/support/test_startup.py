"""What keeps a role from starting is one sentence."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from stream.broker import BrokerError
from stream.broker.ownership import RunningBroker, record_running, try_lock
from stream.broker.ports import free_port
from stream.cli.support.exit_codes import EXIT_CODES
from stream.cli.support.startup import ensured_topics, exit_on_error, known_bootstrap, warn_of_missing_rights
from stream.gateway.tls import TlsError
from stream.kafka.access import GROUP, TOPIC, Access
from stream.kafka.topic_reader import MissingTopicError
from stream.kafka.topics import TopicError, TopicMismatch
from stream.service.data_dir import DataDirError
from stream.service.http.listening import ListenError
from stream.service.settings import Settings, SettingsError


@pytest.mark.parametrize("error", [SettingsError("CALLSTREAM_X is wrong"), TlsError("no such key")])
def test_what_an_operator_can_mend_is_told_as_it_is(error: Exception) -> None:
    with pytest.raises(click.ClickException) as raised, exit_on_error(TlsError):
        raise error
    assert (raised.value.message, raised.value.exit_code) == (str(error), 2)


def test_a_broker_that_does_not_answer_is_told() -> None:
    with (
        pytest.raises(click.ClickException, match=r"^the broker does not answer: ") as raised,
        exit_on_error(),
    ):
        raise KafkaConnectionError("gone")
    assert raised.value.exit_code == 4


def test_a_broker_that_refuses_is_not_said_to_be_silent() -> None:
    with pytest.raises(click.ClickException) as raised, exit_on_error():
        raise TopicAuthorizationFailedError("calls.events.v1")
    assert raised.value.message == "the broker refuses: TopicAuthorizationFailedError"
    assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("x"), 2),
        (TopicMismatch("calls.events.v1", "12 partitions", "3"), 3),
        (TopicError("not ready"), 4),
        (BrokerError("no Java"), 4),
        (MissingTopicError("missing topics: x"), 4),
        (ListenError("the port is taken"), 1),
        (DataDirError(Path("x"), "full"), 1),
    ],
)
def test_each_kind_has_its_code_of_the_table(error: Exception, code: int) -> None:
    with pytest.raises(click.ClickException) as raised, exit_on_error():
        raise error
    assert raised.value.exit_code == code
    assert code in EXIT_CODES


async def test_a_kafka_that_is_waited_for_is_named_after_a_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def late(bootstrap: str, settings: Settings) -> list[str]:
        await asyncio.sleep(0.2)
        return [bootstrap]

    monkeypatch.setattr("stream.kafka.topics.ensure", late)
    chosen = Settings(kafka="kafka.example.test:9092")
    assert await ensured_topics(chosen) == [chosen.kafka]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("stream.cli.support.startup.SILENT_S", 0.01)
    assert await ensured_topics(chosen) == [chosen.kafka]
    assert capsys.readouterr().err == "waiting up to 60 s for Kafka at kafka.example.test:9092 …\n"


def test_as_json_the_error_and_its_details_are_one_object_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(click.ClickException) as raised, exit_on_error(as_json=True):
        raise TopicMismatch("calls.events.v1", "12 partitions", "3")
    raised.value.show()
    captured = capsys.readouterr()
    assert (json.loads(captured.out), captured.err) == (
        {
            "error": "topic calls.events.v1: wanted 12 partitions, found 3",
            "topic": "calls.events.v1",
            "wanted": "12 partitions",
            "found": "3",
        },
        "",
    )


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(TlsError), exit_on_error():
        raise TlsError("nobody said that it may come")


@pytest.mark.parametrize(
    ("role", "settings", "said"),
    [
        (
            "gateway",
            {"CALLSTREAM_GATEWAY_TLS": "/no/chain,/no/key"},
            "CALLSTREAM_GATEWAY_TLS: /no/chain and /no/key cannot be read (No such file or directory)",
        ),
        (
            "worker",
            {"CALLSTREAM_PRIVACY": "hashed"},
            "CALLSTREAM_PRIVACY=hashed needs CALLSTREAM_PRIVACY_KEY",
        ),
    ],
)
def test_a_role_refuses_its_settings_without_waiting_for_kafka(
    role: str, settings: dict[str, str], said: str
) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")}
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", role],
        env=bare | {"CALLSTREAM_KAFKA": "127.0.0.1:1"} | settings,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, f"Error: {said}\n")


LEVELS = {
    ("", False): "lanes=IW fetches=IW access=W conn=W",
    ("", True): "lanes=DIW fetches=DIW access=IW conn=IW",
    ("warning", False): "lanes=W fetches=W access=W conn=W",
    ("warning", True): "lanes=DIW fetches=DIW access=IW conn=IW",
    ("warning,callstream.poller=debug,aiokafka=info", False): "lanes=W fetches=DIW access=W conn=IW",
    ("callstream.gateway.access=info", False): "lanes=IW fetches=IW access=IW conn=W",
}
"""What is logged, by the setting and whether `-v` is given."""

LOGGING = """
import logging, os, sys
from stream.cli.support.startup import log_to_stderr
from stream.service.settings import load
for level, verbose in eval(sys.argv[1]):
    if not os.fork():
        log_to_stderr(load({**os.environ, "CALLSTREAM_LOG_LEVEL": level}), verbose=verbose)
        callstream = ("callstream.lanes", "callstream.poller.fetches", "callstream.gateway.access")
        for name in (*callstream, "aiokafka.conn"):
            for at in (logging.DEBUG, logging.INFO, logging.WARNING):
                logging.getLogger(name).log(at, f"said at {at}")
        os._exit(0)
    os.wait()
    print("end", file=sys.stderr, flush=True)
"""


def test_the_level_is_set_for_callstream_and_for_one_logger() -> None:
    environ = {**os.environ, "CALLSTREAM_LOG_FORMAT": "json"}
    done = subprocess.run(
        [sys.executable, "-c", LOGGING, repr([*LEVELS])],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    *said, rest = done.stderr.split("end\n")
    assert rest == ""
    assert dict(zip(LEVELS, map(levels_in, said), strict=True)) == LEVELS


def levels_in(log: str) -> str:
    """The first letters of the levels at which each logger has said something."""
    found = dict.fromkeys(("lanes", "fetches", "access", "conn"), "")
    for line in map(json.loads, log.splitlines()):
        found[line["logger"].rpartition(".")[2]] += line["level"][0].upper()
    return " ".join(f"{name}={levels}" for name, levels in found.items())


@pytest.mark.parametrize(
    ("security", "said"),
    [
        (
            "sasl_ssl",
            [
                "rights are missing: READ and WRITE on topic calls.fetches.v1, READ on group calls-poller; "
                "grant them, as docs/kafka.md has it"
            ],
        ),
        ("plaintext", []),
    ],
)
async def test_a_role_whose_login_lacks_rights_names_them_at_its_start(
    security: str, said: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def two(*_: object) -> list[Access]:
        return [
            Access(TOPIC, "calls.fetches.v1", frozenset({"WRITE", "READ"})),
            Access(GROUP, "calls-poller", frozenset({"READ"})),
        ]

    monkeypatch.setattr("stream.cli.support.startup.missing", two)
    await warn_of_missing_rights("poller", Settings(kafka="127.0.0.1:1", kafka_security=security))
    assert [record.message for record in caplog.records] == said


async def test_a_cluster_that_does_not_tell_rights_keeps_no_role_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def silent(*_: object) -> list[Access]:
        raise KafkaConnectionError

    monkeypatch.setattr("stream.cli.support.startup.missing", silent)
    await warn_of_missing_rights("poller", Settings(kafka="127.0.0.1:1", kafka_security="ssl"))
    assert not caplog.records


BROKER_ENDS = """
import asyncio
from types import SimpleNamespace
from stream.cli.support.startup import _exit_with, log_to_stderr
from stream.service.settings import load
chosen = load()
log_to_stderr(chosen)
broker = SimpleNamespace(ended=lambda: True, why_ended=lambda: ("the embedded broker has ended", False))
asyncio.run(_exit_with(broker, chosen))
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_role_whose_broker_ends_says_so_at_every_level(log_format: str) -> None:
    environ = {**os.environ, "CALLSTREAM_LOG_FORMAT": log_format, "CALLSTREAM_LOG_LEVEL": "error"}
    done = subprocess.run(
        [sys.executable, "-c", BROKER_ENDS], env=environ, capture_output=True, text=True, check=False
    )
    said = done.stderr.strip()
    if log_format == "json":
        line = json.loads(said)
        said = f"{line['level']}: {line['message']}"
    expected = {
        "text": "Error: the embedded broker has ended",
        "json": "critical: the embedded broker has ended",
    }
    assert (done.returncode, said) == (75, expected[log_format])


ENDED = """
import sys
from stream.cli.roles import _exit
try:
    print("a line", file=sys.stderr)
except OSError:
    pass
_exit(0)
"""


@pytest.mark.parametrize(("program", "code"), [(BROKER_ENDS, 75), (ENDED, 0)])
def test_a_role_whose_log_is_on_a_full_disk_ends_with_its_code(program: str, code: int) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", program], stderr=full, check=False)
    assert done.returncode == code


def test_a_role_without_standard_output_ends_with_its_code() -> None:
    command = ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, ENDED]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


UNCAUGHT = """
import threading
from stream.cli.support.startup import log_to_stderr
from stream.service.settings import load
log_to_stderr(load())
class Sly:
    def __del__(self):
        raise ValueError("+15005550006")
def fail():
    raise KeyError("+15005550006")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Sly()
fail()
"""


def test_an_error_that_nobody_caught_is_a_line_of_a_json_log() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNCAUGHT],
        env={**os.environ, "CALLSTREAM_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "500555" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["message"], line["error"]) for line in lines] == [
        ("critical", "in a thread: an error was not caught", "KeyError"),
        ("critical", "not raised: an error was not caught", "ValueError"),
        ("critical", "an error was not caught", "KeyError"),
    ]


def test_an_embedded_broker_that_runs_and_does_not_answer_is_known(tmp_path: Path) -> None:
    """It is frozen. That none runs, and is to be started, would be wrong."""
    directory, port = tmp_path / "broker", free_port()
    directory.mkdir(mode=0o700)
    record_running(directory, RunningBroker(1, 1, port, "cluster"))
    lock = try_lock(directory)
    assert lock is not None
    assert known_bootstrap(Settings(data_dir=tmp_path)) == f"127.0.0.1:{port}"
    os.close(lock)
    assert known_bootstrap(Settings(data_dir=tmp_path)) is None
