"""Who answers at a port: the cluster's id, or nobody we know."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from stream.broker.ports import free_port, is_free
from stream.broker.probe import cluster_id


def answered_by(reply: bytes) -> str | None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        found = cluster_id(server.getsockname()[1], timeout_s=0.5)
        thread.join()
        return found


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x04abcd", b"\xff" * 40]
)
def test_a_program_that_speaks_something_else_is_not_a_cluster(reply: bytes) -> None:
    assert answered_by(reply) is None


def test_a_port_without_a_listener_is_not_a_cluster() -> None:
    assert cluster_id(free_port(), timeout_s=0.2) is None


def test_a_broker_answers_with_the_id_of_its_cluster(broker: Any) -> None:
    found = cluster_id(int(broker.bootstrap.rpartition(":")[2]))
    assert found is not None
    assert len(found) == 22


def test_a_port_in_use_is_not_free_and_another_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert not is_free(port)
        assert free_port(port) != port
