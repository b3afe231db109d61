"""A cluster with TLS, logins and ACLs: who gets in, and what is said to those who do not."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
from aiohttp import web
from click.testing import CliRunner

from stream.cli import backfill
from stream.cli import topics as topics_command
from stream.cli.checkup.cluster import cluster
from stream.cli.records import tail
from stream.kafka import topics
from stream.kafka.access import TOPIC, Access
from stream.kafka.acked_producer import AckedProducer
from stream.kafka.client import producers
from stream.kafka.client.connection import Connection, connection
from stream.kafka.reachability import Obstacle, obstacle
from stream.kafka.topic_reader import records
from stream.service.settings import Settings, load
from tests.secured_broker import LOGIN_MS, PASSWORD, SecuredBroker

pytestmark = pytest.mark.broker


class Written(NamedTuple):
    key: bytes
    value: bytes


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    broker = SecuredBroker(tmp_path_factory.mktemp("secured"), load(os.environ))
    try:
        broker.add_user("known")
        yield broker
    finally:
        broker.stop()


def client(environ: Mapping[str, str]) -> Connection:
    return connection(load(environ), "test")


async def test_a_client_gets_in_by_each_mechanism_and_by_a_certificate(secured: SecuredBroker) -> None:
    mine = secured.authority.issue("mine")
    certificate = {
        "CALLSTREAM_KAFKA": secured.tls,
        "CALLSTREAM_KAFKA_SECURITY": "ssl",
        "CALLSTREAM_KAFKA_CA_FILE": str(secured.authority.certificate),
        "CALLSTREAM_KAFKA_CERT_FILE": str(mine.certificate),
        "CALLSTREAM_KAFKA_KEY_FILE": str(mine.key),
    }
    for environ in (
        secured.settings("plain", "PLAIN"),
        secured.settings("known", "SCRAM-SHA-256"),
        secured.settings("known", "SCRAM-SHA-512"),
        certificate,
        {"CALLSTREAM_KAFKA": secured.plain},
    ):
        assert await obstacle(client(environ)) is None


async def test_a_token_of_an_endpoint_lets_a_client_in(secured: SecuredBroker) -> None:
    def part(content: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    async def issue(request: web.Request) -> web.Response:
        now = int(time.time())
        token = f"{part({'alg': 'none'})}.{part({'sub': 'worker', 'iat': now, 'exp': now + 600})}."
        return web.json_response({"access_token": token, "expires_in": 600})

    app = web.Application()
    app.router.add_post("/token", issue)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = {
        **secured.settings("", "OAUTHBEARER"),
        "CALLSTREAM_KAFKA_OAUTH_TOKEN_URL": f"http://127.0.0.1:{runner.addresses[0][1]}/token",
        "CALLSTREAM_KAFKA_OAUTH_CLIENT_ID": "worker",
        "CALLSTREAM_KAFKA_OAUTH_CLIENT_SECRET": PASSWORD,
    }
    del environ["CALLSTREAM_KAFKA_SASL_USERNAME"], environ["CALLSTREAM_KAFKA_SASL_PASSWORD"]
    found = await obstacle(client(environ))
    await runner.cleanup()
    assert found is None
    lost = await obstacle(client(environ))
    assert lost is not None
    assert lost.says.startswith("no token: the token URL does not answer")


async def test_each_obstacle_is_told_apart_and_says_what_to_do(secured: SecuredBroker) -> None:
    ca = {"CALLSTREAM_KAFKA_CA_FILE": str(secured.authority.certificate)}
    known = secured.settings("known")
    untrusted = {name: value for name, value in known.items() if not name.endswith("CA_FILE")}
    elsewhere = secured.login.replace("localhost", "127.0.0.1")
    to_plain = {**untrusted, "CALLSTREAM_KAFKA": secured.plain}
    tls = {"CALLSTREAM_KAFKA_SECURITY": "ssl", **ca}
    login, plain = secured.login, secured.plain
    for environ, expected in (
        (
            {"CALLSTREAM_KAFKA": "127.0.0.1:1"},
            Obstacle(
                "nobody listens at 127.0.0.1:1 (ConnectionRefusedError: Connection refused (errno 111))",
                "start the broker, or check CALLSTREAM_KAFKA and the firewall",
            ),
        ),
        (
            {"CALLSTREAM_KAFKA": login},
            Obstacle(
                f"{login} wants TLS",
                "set CALLSTREAM_KAFKA_SECURITY=ssl (sasl_ssl with a login)",
            ),
        ),
        (
            {"CALLSTREAM_KAFKA": plain, **tls},
            Obstacle(
                f"{plain} speaks no TLS",
                "set CALLSTREAM_KAFKA_SECURITY=plaintext (sasl_plaintext with a login)",
            ),
        ),
        (
            {**to_plain, "CALLSTREAM_KAFKA_SECURITY": "sasl_plaintext"},
            Obstacle(f"{plain} takes no login", "set CALLSTREAM_KAFKA_SECURITY=plaintext"),
        ),
        (
            secured.settings("nobody"),
            Obstacle(
                f"{login} refuses the login by SCRAM-SHA-512",
                "check CALLSTREAM_KAFKA_SASL_USERNAME and CALLSTREAM_KAFKA_SASL_PASSWORD",
            ),
        ),
        (
            untrusted,
            Obstacle(
                f"the certificate of {login} is not trusted",
                "set CALLSTREAM_KAFKA_CA_FILE to the certificate of its issuer",
            ),
        ),
        (
            {**known, "CALLSTREAM_KAFKA": elsewhere},
            Obstacle(
                f"the certificate of {elsewhere} is for another name",
                "use the name in the certificate in CALLSTREAM_KAFKA",
            ),
        ),
        (
            {"CALLSTREAM_KAFKA": secured.tls, **tls},
            Obstacle(
                f"{secured.tls} does not accept our certificate, or misses one "
                "(SSLError: TLSV13_ALERT_CERTIFICATE_REQUIRED)",
                "set CALLSTREAM_KAFKA_CERT_FILE and CALLSTREAM_KAFKA_KEY_FILE to one that it trusts",
            ),
        ),
    ):
        assert await obstacle(client(environ)) == expected
    wanted = await obstacle(client({"CALLSTREAM_KAFKA": login, **tls}))
    assert wanted is not None
    assert wanted.says.startswith(f"{login} wants a login by ")
    assert "SCRAM-SHA-512" in wanted.says


async def test_what_is_said_of_a_refused_login_has_no_password_in_it(secured: SecuredBroker) -> None:
    found = load({**secured.settings("nobody"), "CALLSTREAM_TOPIC_PREFIX": "no."})
    with pytest.raises(topics.TopicError, match="refuses the login by SCRAM-SHA-512: check") as raised:
        await topics.ensure(found.kafka, found, wait_s=1)
    assert PASSWORD not in str(raised.value)


def test_a_command_says_which_login_was_refused_in_one_sentence(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.cli.backfill.CONNECTED_WITHIN_S", 1.0)
    past = ["--source", "twilio_call", "--since", "1h", "--account", "AC1"]
    for command, arguments in (
        (tail.command, ["alerts"]),
        (topics_command.command, ["--wait", "1"]),
        (backfill.command, past),
    ):
        told = CliRunner().invoke(command, arguments, env=secured.settings("nobody"))
        assert told.exit_code == 4
        mend = "check CALLSTREAM_KAFKA_SASL_USERNAME and CALLSTREAM_KAFKA_SASL_PASSWORD"
        last = told.stderr.splitlines()[-1]
        assert f"{secured.login} refuses the login by SCRAM-SHA-512: {mend}" in last
        assert last.startswith("Error: ")


async def test_a_role_that_may_see_no_topic_says_so(secured: SecuredBroker, prefix: str) -> None:
    secured.add_user("blind")
    blind = load({**secured.settings("blind"), "CALLSTREAM_TOPIC_PREFIX": prefix})
    for exists in (False, True):
        if exists:
            await topics.ensure(secured.plain, Settings(topic_prefix=prefix))
        hidden = r"^topic \S+ is missing or not shown to this login, which may not create it$"
        with pytest.raises(topics.TopicError, match=hidden):
            await topics.ensure(blind.kafka, blind, wait_s=10)
        found = (await cluster(blind))[-2:]
        assert found[0].says.startswith(f"missing, or not shown to this login: {prefix}callbacks.v1")
        assert (found[1].name, found[1].state) == ("rights", "failed")


async def test_records_are_acknowledged_while_logins_expire(secured: SecuredBroker, prefix: str) -> None:
    await topics.ensure(secured.plain, Settings(topic_prefix=prefix, partitions=1))
    topic = topics.names(prefix).callbacks
    secured.grant("plain", [Access(TOPIC, topic, frozenset({"WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}))])
    acked = AckedProducer(topic, client(secured.settings("plain", "PLAIN")), produced=lambda *_: None)
    await acked.start()
    until_s = time.monotonic() + 3 * LOGIN_MS / 1000
    written = 0
    while time.monotonic() < until_s:
        await acked.send_all([Written(b"key", b"value")], 5.0)
        written += 1
        await asyncio.sleep(0.05)
    await acked.close(1)
    everything = Connection(secured.plain)
    read = [one async for one in records(everything, topic, from_beginning=True, follow=False)]
    assert len(read) == written


async def test_records_go_through_a_login(secured: SecuredBroker, prefix: str) -> None:
    everything = Settings(kafka=secured.plain, topic_prefix=prefix, partitions=1)
    await topics.ensure(secured.plain, everything)
    topic = topics.names(prefix).events
    secured.grant("known", [Access(TOPIC, topic, frozenset({"READ", "WRITE", "DESCRIBE"}))])
    through = client(secured.settings("known"))
    producer = await producers.idempotent(through, topic)
    await producer.send_and_wait(topic, b"value", key=b"key")
    await producers.drop(producer)
    read = [one.value async for one in records(through, topic, from_beginning=True, follow=False)]
    assert read == [b"value"]
