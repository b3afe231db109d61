"""The command's exit codes and what it prints, for scripts."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from stream.broker.ports import free_port
from stream.cli.main import ROLES
from stream.cli.simulate import command, usual_timeout_s
from stream.kafka.topics import ensure
from stream.service.settings import load
from stream.simulator.calls.call import SourceRecord
from tests.real_broker import RealBroker
from tests.simulator.fake_gateway import PRIVATE, TOKEN, FakeGateway, running_gateway
from tests.simulator.fake_reader import FakeReader

GATEWAY = "http://127.0.0.1:8080"


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command, list(arguments), env=environment)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--forever", "--check"],
        ["--calls", "5", "--for", "3"],
        ["--drop", "2"],
        ["--for", "5", "--rate", "0"],
        ["--rate", "nan"],
        ["--calls", "5", "--retry-scale", "inf"],
        ["--sources", "carrier_pigeon"],
        ["--start", "2026-03-02T10:00:00"],
        ["--failover", "http://127.0.0.1:8080"],
        ["--check", "--log", "no-such.log"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_for_is_refused_with_a_reason_and_code_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert not result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gateway", "https://hooks.example.test"], "hooks.example.test is not this machine"),
        (["--gateway", GATEWAY, "--failover", "http://192.0.2.7"], "192.0.2.7 is not this machine"),
        (["--gateway", GATEWAY, "--retry-policy", "rc=9"], "rc=9: a whole number from 0 to 5"),
        (["--gateway", GATEWAY, "--telnyx-retries", "1,2,3,4,5,6"], "at most five waits, 60 s together"),
        (["--gateway", GATEWAY, "--telnyx-retries", "30,31"], "at most five waits, 60 s together"),
        (["--gateway", GATEWAY, "--telnyx-retries", "nan"], "at most five waits, 60 s together"),
        (["--gateway", GATEWAY, "--telnyx", "1"], "CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY is needed"),
    ],
)
def test_a_gateway_that_cannot_be_used_is_refused_before_a_secret_is_asked_for(
    arguments: list[str], said: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (2, "")
    assert said in orjson.loads(result.stdout)["error"]


class NoKafka:
    """Takes rows and forgets them."""

    def __init__(self, bootstrap: str) -> None:
        pass

    async def __aenter__(self) -> NoKafka:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def append(self, record: SourceRecord) -> None:
        pass

    async def flush(self) -> None:
        pass

    async def acknowledged(self) -> None:
        pass


@pytest.fixture
def without_kafka(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of a run whose rows go nowhere."""

    async def there_are_topics(*_: object) -> None:
        pass

    monkeypatch.setattr("stream.simulator.run.RecordWriter", NoKafka)
    monkeypatch.setattr("stream.kafka.topics.ensure", there_are_topics)
    return {
        "CALLSTREAM_KAFKA": "127.0.0.1:9",
        "CALLSTREAM_SIMULATE_TWILIO_ACCOUNT_TOKEN": f"AC7={TOKEN}",
        "CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY": PRIVATE,
    }


@contextmanager
def gateway_beside() -> Iterator[FakeGateway]:
    """A gateway in a thread of its own: the command has its own loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    place = running_gateway()
    try:
        yield asyncio.run_coroutine_threadsafe(place.__aenter__(), loop).result(5)
        asyncio.run_coroutine_threadsafe(place.__aexit__(None, None, None), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_with_a_gateway_the_result_says_what_it_answered(without_kafka: dict[str, str]) -> None:
    with gateway_beside() as gateway:
        wanted = ["--calls", "20", "--seed", "4", "--gateway", gateway.url]
        said = orjson.loads(run(*wanted, "--json", **without_kafka).stdout)["gateway"]
        sent = len(gateway.requests)
        plain = run(*wanted, "--no-polled", **without_kafka)
    assert gateway.refused == []
    then_sent = len(gateway.requests) - sent
    assert (said["sent"], said["taken"], said["given_up"]) == (sent, sent, 0)
    assert said["answers"]["2xx"] == sent
    assert 0 < said["p50_ms"] <= said["p99_ms"]
    assert plain.exit_code == 0, plain.stderr
    assert f"{then_sent} deliveries of 20 calls" in plain.stdout
    assert f"sent, {then_sent} taken, 0 given up" in plain.stdout
    accounts = {orjson.loads(record.value)["account"] for record in gateway.written}
    assert accounts == {"AC7", None}
    assert TOKEN not in plain.output


def test_a_gateway_that_takes_nothing_is_code_1(without_kafka: dict[str, str]) -> None:
    dead = f"http://127.0.0.1:{free_port(0)}"
    result = run("--calls", "5", "--gateway", dead, "--retry-scale", "0", **without_kafka)
    assert result.exit_code == 1
    assert f"{dead} took nothing: does the gateway run, and is this its address?\n" in result.stderr
    assert "given up" in result.stdout


def test_of_a_gateway_that_fails_its_kafka_is_named(without_kafka: dict[str, str]) -> None:
    with gateway_beside() as gateway:
        gateway.status_of = lambda request, number: 503
        result = run("--calls", "5", "--gateway", gateway.url, "--retry-scale", "0", **without_kafka)
    assert result.exit_code == 1
    said = f"{gateway.url} took nothing: it fails; its log says why. Does its Kafka answer?"
    assert said in result.stderr


@pytest.mark.usefixtures("empty_topics")
def test_what_a_gateway_did_not_take_is_not_looked_for(without_kafka: dict[str, str]) -> None:
    with gateway_beside() as gateway:
        gateway.status_of = lambda request, number: 403
        wanted = ("--calls", "20", "--seed", "4", "--gateway", gateway.url, "--check")
        plain = run(*wanted, **without_kafka)
        said = run(*wanted, "--json", **without_kafka)
    assert (plain.exit_code, said.exit_code) == (1, 1)
    error = plain.stderr.splitlines()[-1]
    assert error.startswith(f"Error: {gateway.url} took nothing: is this the gateway's address, and does it")
    assert error.endswith("Nothing was compared.")
    assert len(plain.stdout.splitlines()) <= 4
    assert orjson.loads(said.stdout)["check"] is None


def test_a_check_waits_as_long_as_the_worker_does_before_it_tells_what_is_left() -> None:
    assert usual_timeout_s(load({})) == 60
    assert usual_timeout_s(load({"CALLSTREAM_GAP_GRACE_S": "600"})) == 635
    assert usual_timeout_s(load({"CALLSTREAM_REVISION_QUIET_S": "60"})) == 100


def test_a_check_without_its_broker_is_one_sentence_with_code_4(without_kafka: dict[str, str]) -> None:
    result = run("--calls", "5", "--check", **without_kafka)
    said = "Error: the broker at 127.0.0.1:9 does not answer: KafkaConnectionError\n"
    assert (result.exit_code, result.stderr.splitlines(keepends=True)[-1]) == (4, said)


@contextmanager
def metrics_beside() -> Iterator[str]:
    """The address of an HTTP server in a thread."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def empty_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(*_: object) -> dict[object, int]:
        return {}

    monkeypatch.setattr("stream.simulator.run.end_offsets", ends)
    monkeypatch.setattr("stream.simulator.check.check.read_from", lambda *_, **__: FakeReader(()))


@pytest.mark.usefixtures("empty_topics")
@pytest.mark.parametrize(
    "nothing", [["--drop", "1", "--no-polled"], ["--telnyx", "1", "--sources", "twilio_call"]]
)
def test_a_check_of_a_run_that_delivers_nothing_is_code_1(
    without_kafka: dict[str, str], nothing: list[str]
) -> None:
    result = run("--calls", "5", "--check", *nothing, **without_kafka)
    assert result.exit_code == 1
    assert "these options deliver nothing of any call, so nothing was compared" in result.stderr


@pytest.mark.usefixtures("empty_topics")
def test_the_metrics_of_every_role_are_searched(without_kafka: dict[str, str]) -> None:
    with metrics_beside() as address:
        listen = {
            f"CALLSTREAM_{role.upper()}_LISTEN": address for role in (*ROLES, "gateway_health", "api_health")
        }
        said = run("--calls", "5", "--check", "--timeout", "0.1", "--json", **without_kafka, **listen)
    looked_at = orjson.loads(said.stdout)["check"]["looked_at"]
    assert {one for one in looked_at if "metrics" in one} == {f"the {role}'s metrics" for role in ROLES}


@pytest.mark.broker
def test_outputs_that_never_come_are_differences_with_code_1(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    environment = {
        "CALLSTREAM_KAFKA": broker.bootstrap,
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_PARTITIONS": "2",
        "CALLSTREAM_DATA_DIR": str(tmp_path),
    }
    asyncio.run(ensure(broker.bootstrap, load(environment)))
    wanted = ["--calls", "20", "--seed", "4", "--start", "2026-03-02T10:00:00Z"]
    written = run(*wanted, "--json", **environment)
    assert written.exit_code == 0, written.stderr
    said = orjson.loads(written.stdout)
    assert said["calls"] == 20
    assert said["start"] == "2026-03-02T10:00:00.000000Z"
    assert said["check"] is None

    checked = run(*wanted, "--check", "--timeout", "0.5", **environment)
    assert checked.exit_code == 1, checked.stderr
    assert "events missing:" in checked.stdout
    assert f"--seed 4 --start {said['start']}" in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rest-rate", "5"], "need --serve"),
        (["--rest-page-size", "5"], "need --serve"),
        (["--time-factor", "60"], "need --serve"),
        (["--serve", "--no-polled"], "nothing to serve"),
        (["--no-polled", "--sources", "twilio_call"], "none of these sources"),
        (["--sources", "twilio_call_summary"], "unknown sources"),
        (["--serve", "--telnyx", "1"], "CALLSTREAM_TELNYX_API_KEY is needed"),
        (["--serve", "--telnyx", "0"], "CALLSTREAM_TWILIO_ACCOUNT_SID and a token are needed"),
        (["--incident", "signature-rotation"], "--incident signature-rotation needs --gateway"),
        (["--incident", "poller-throttled"], "--incident poller-throttled needs --serve"),
        (["--incident", "broker-slow", "--gateway", GATEWAY], "only a running embedded broker can be slowed"),
        (["--incident", "traffic-stops", "--calls", "5"], "--incident needs live calls"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_served_or_rehearsed_is_refused(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


class Reader(threading.Thread):
    """Asks for Telnyx' log until there are rows, as soon as somebody listens."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self.rows: list[object] = []
        self._request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        self._over = threading.Event()

    def run(self) -> None:
        while not self.rows and not self._over.wait(0.02):
            with suppress(OSError), urllib.request.urlopen(self._request, timeout=5) as answer:
                self.rows = orjson.loads(answer.read())["data"]

    def stop(self) -> None:
        self._over.set()
        self.join()


def test_what_is_served_can_be_read_while_it_runs_and_until_all_is_there(
    without_kafka: dict[str, str],
) -> None:
    listen = f"127.0.0.1:{free_port(0)}"
    environment = {
        **without_kafka,
        "CALLSTREAM_SIMULATE_LISTEN": listen,
        "CALLSTREAM_TELNYX_API_KEY": "KEY-mine",
        "CALLSTREAM_TELNYX_ACCOUNT_ID": "my-account",
    }
    reader = Reader(f"http://{listen}/v2/call_events", "KEY-mine")
    reader.start()
    try:
        with gateway_beside() as gateway:
            wanted = ["--calls", "20", "--telnyx", "1", "--gateway", gateway.url, "--serve"]
            # It is served for 2100 s, 1200 times faster.
            result = run(*wanted, "--time-factor", "1200", "--json", **environment)
    finally:
        reader.stop()
    assert result.exit_code == 0, result.stderr
    assert f"REST resources are at http://{listen}" in result.stderr
    assert orjson.loads(result.stdout)["calls"] == 20
    assert reader.rows
    assert "KEY-mine" not in result.output + result.stderr
