"""What every client is made with, and what keeps one from being made."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import PartitionMetadata

from stream.kafka.client import consumers, network_client, producers
from stream.kafka.client.connection import Connection, connection, tls_context
from stream.service.errors import describe, safe_traceback
from stream.service.settings import Settings, SettingsError
from tests.kafka.certificates import Authority

SCRAM: dict[str, Any] = {
    "kafka": "127.0.0.1:9",
    "kafka_security": "sasl_plaintext",
    "kafka_sasl_mechanism": "SCRAM-SHA-256",
    "kafka_sasl_username": "gateway",
    "kafka_sasl_password": "hunter2",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def test_every_client_is_made_with_the_same_login_and_named_by_its_role() -> None:
    made = connection(Settings(**SCRAM, kafka_client_rack="a"), "gateway")
    producer, consumer, admin = made.producer(acks="all"), made.consumer("topic"), made.admin()
    for client in (producer.client, consumer._client, admin._client):
        assert client.hosts == [("127.0.0.1", 9, client.hosts[0][2])]
        assert (client._client_id, client._security_protocol) == ("callstream-gateway", "SASL_PLAINTEXT")
        assert (client._sasl_mechanism, client._sasl_plain_username, client._sasl_plain_password) == (
            "SCRAM-SHA-256",
            "gateway",
            "hunter2",
        )
    assert consumer._client_rack == "a"
    await producers.drop(producer)
    await consumers.drop(consumer)
    await network_client.close(admin._client)


async def test_partitions_that_a_topic_was_given_later_are_not_known() -> None:
    made = connection(Settings(kafka="127.0.0.1:9"), "worker", partitions=2)
    producer, consumer = made.producer(), made.consumer("topic")
    for client in (producer.client, consumer._client):
        leaders = {number: PartitionMetadata("topic", number, 1, [1], [1], None) for number in range(5)}
        client.cluster._partitions = {"topic": leaders}
        assert client.cluster.partitions_for_topic("topic") == {0, 1}
        assert client.cluster.available_partitions_for_topic("topic") == {0, 1}
        assert client.cluster.partitions_for_topic("another") is None
    await producers.drop(producer)
    await consumers.drop(consumer)


def test_a_connection_shows_no_secret() -> None:
    assert (
        repr(connection(Settings(**SCRAM), "gateway"))
        == "Connection(bootstrap='127.0.0.1:9', rack='', partitions=None)"
    )


async def test_no_request_of_a_login_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    """aiokafka logs each request at DEBUG, and the password of PLAIN is in one."""

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        versions = b"\x00\x00" + (2).to_bytes(4) + b"\x00\x11\x00\x00\x00\x01" + b"\x00\x24\x00\x00\x00\x00"
        handshake = b"\x00\x00" + (1).to_bytes(4) + (5).to_bytes(2) + b"PLAIN"
        for answer in (versions, handshake):
            request = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
            writer.write((len(answer) + 4).to_bytes(4) + request[4:8] + answer)
        asked.append(await reader.read(1000))
        writer.close()

    asked: list[bytes] = []
    caplog.set_level(logging.DEBUG)
    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    chosen = {**SCRAM, "kafka": f"127.0.0.1:{port}", "kafka_sasl_mechanism": "PLAIN"}
    producer = connection(Settings(**chosen), "gateway").producer(request_timeout_ms=2000)
    with pytest.raises(Exception) as raised:
        await producer.start()
    await producers.drop(producer)
    server.close()
    assert b"hunter2" in asked[0]
    assert "hunter2" not in caplog.text + describe(raised.value) + safe_traceback(raised.value)


def test_certificates_are_read_and_the_broker_s_name_is_checked(authority: Authority) -> None:
    mine = authority.issue("worker")
    made = tls_context(authority.certificate, mine.certificate, mine.key)
    assert (made.check_hostname, made.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert len(made.get_ca_certs()) == 1
    assert tls_context(None, None, None).verify_mode is ssl.CERT_REQUIRED


def test_a_file_that_cannot_be_used_is_named_with_its_setting(authority: Authority, tmp_path: Path) -> None:
    mine, other, locked = authority.issue("a"), authority.issue("b"), authority.issue("c", password=b"p")
    empty = tmp_path / "empty"
    empty.write_text("")
    for files, said in (
        ((empty, None, None), f"CALLSTREAM_KAFKA_CA_FILE={empty} has no certificate in PEM"),
        (
            (tmp_path / "no", None, None),
            f"CALLSTREAM_KAFKA_CA_FILE={tmp_path / 'no'} cannot be read (No such file or directory)",
        ),
        (
            (None, mine.certificate, other.key),
            f"CALLSTREAM_KAFKA_CERT_FILE={mine.certificate} and CALLSTREAM_KAFKA_KEY_FILE={other.key} "
            "are not a certificate and its key in PEM",
        ),
        (
            (None, locked.certificate, locked.key),
            "the key may have a password, which is not supported",
        ),
        (
            (None, mine.certificate, tmp_path / "no"),
            f"CALLSTREAM_KAFKA_CERT_FILE={mine.certificate} and CALLSTREAM_KAFKA_KEY_FILE={tmp_path / 'no'} "
            "cannot be read (No such file or directory)",
        ),
    ):
        with pytest.raises(SettingsError) as raised:
            tls_context(*files)
        assert said in str(raised.value)


def test_the_embedded_broker_s_address_is_used_where_no_cluster_is_named() -> None:
    assert connection(Settings(), "tail", "127.0.0.1:9092") == Connection(
        "127.0.0.1:9092", {"client_id": "callstream-tail", "security_protocol": "PLAINTEXT"}
    )


def test_a_command_that_silences_aiokafka_is_silent_with_a_login_too() -> None:
    """`Sending username and password in the clear` would be a line for each connection."""
    clients, each = logging.getLogger("aiokafka"), logging.getLogger("aiokafka.conn")
    before = clients.level, each.level
    try:
        for level, shown in ((logging.CRITICAL, logging.CRITICAL), (logging.DEBUG, logging.WARNING)):
            clients.setLevel(level)
            each.setLevel(logging.NOTSET)
            connection(Settings(**SCRAM), "tail")
            assert each.getEffectiveLevel() == shown
    finally:
        clients.setLevel(before[0])
        each.setLevel(before[1])
