"""Asks which cluster answers at a port: one Metadata request on a plain socket.

It needs no client library, so that a start costs no import and the supervisor stays small.
Source: Kafka protocol guide, request header v1, Metadata request and response v2.
"""

from __future__ import annotations

import socket
import struct

_METADATA, _VERSION = 3, 2
_CLIENT = b"callstream-probe"
_REQUEST = struct.pack(f">hhih{len(_CLIENT)}si", _METADATA, _VERSION, 1, len(_CLIENT), _CLIENT, 0)


def cluster_id(port: int, *, host: str = "127.0.0.1", timeout_s: float = 2.0) -> str | None:
    """The id of the cluster that answers there; None if nothing does, or something other than Kafka."""
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
            (size,) = struct.unpack(">i", read_exactly(connection, 4))
            if not 0 < size < 1_000_000:
                return None
            return _parse(read_exactly(connection, size))
    except (OSError, ValueError, struct.error):
        return None


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """Raises OSError if the connection is closed before."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed in mid-answer")
        data += part
    return data


def _parse(answer: bytes) -> str | None:
    """Skips correlation id and brokers. None also while no broker has registered yet."""
    position = 8
    (brokers,) = struct.unpack_from(">i", answer, 4)
    for _ in range(brokers):
        _host, position = _text(answer, position + 4)  # after the node id
        _rack, position = _text(answer, position + 4)  # after the port
    found, _ = _text(answer, position)
    return found if brokers > 0 else None


def _text(answer: bytes, position: int) -> tuple[str | None, int]:
    (size,) = struct.unpack_from(">h", answer, position)
    start = position + 2
    if size < 0:
        return None, start
    return answer[start : start + size].decode(), start + size
