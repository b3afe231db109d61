"""The wires themselves, without Kafka: what passes, what does not, and what is heard."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from stream.broker.ports import free_port
from tests.e2e.cluster.frames import KEPT, Frames
from tests.e2e.cluster.wires import AskedEnd, Wires
from tests.e2e.harness import wait_until

ENDS = struct.pack(">i", 1) + b"\0\5topic" + struct.pack(">i", 1)
ASKED = struct.pack(">hhih", 2, 2, 7, 1) + b"x" + struct.pack(">ib", -1, 1) + ENDS + struct.pack(">iq", 3, -1)
TOLD = struct.pack(">ii", 7, 0) + ENDS + struct.pack(">ihqq", 3, 0, -1, 600)


def framed(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content


@pytest.mark.parametrize("step", [1, 3, 4096, 1 << 20])
def test_frames_come_out_whole_however_they_arrive(step: int) -> None:
    sent = [b"first frame", b"y" * (KEPT + 70_000), b"", b"last frame"]
    stream, frames = b"".join(map(framed, sent)), Frames()
    found = [
        frame.content for at in range(0, len(stream), step) for frame in frames.feed(stream[at : at + step])
    ]
    assert found == [content[:KEPT] for content in sent]


@pytest.fixture
def answering() -> Iterator[int]:
    """The port of a server that answers whatever comes with TOLD."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                connection.sendall(framed(TOLD))

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_a_wire_passes_or_holds_or_closes_and_keeps_what_was_asked(answering: int) -> None:
    wires, port = Wires(), free_port()
    try:
        for number in (1, 2, 3):
            listen = port if number == 1 else free_port(but_not=port)
            wires.lay(f"w>{number}", ("127.0.0.1", listen), ("127.0.0.1", answering), heard=True)
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.settimeout(5)
            client.sendall(framed(ASKED))
            assert client.recv(4096) == framed(TOLD)
            asked = wires.ends_asked(1)
            assert asked == [AskedEnd(asked[0].at, "topic", 3, -1, 0, 600)]
            assert wires.requests(1) == {2: 1}
            wires.cut_workers(1)
            client.sendall(framed(ASKED))
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(4096)
            wires.mend_workers()
            client.settimeout(5)
            assert client.recv(4096) == framed(TOLD), "what was sent into a cut arrives when it is mended"
            wires.cut_workers(1, "reset")
            wait_until(lambda: closed(client), "the connection is closed", 5)
        with socket.create_connection(("127.0.0.1", port), 5) as another:
            another.settimeout(5)
            assert closed(another)
        wires.mend_workers()
        wires.refuse_workers([1], 2)
        with socket.create_connection(("127.0.0.1", port), 5) as refused:
            refused.settimeout(5)
            refused.sendall(framed(ASKED))
            assert closed(refused), "what is refused is not answered"
    finally:
        wires.close()


def closed(client: socket.socket) -> bool:
    try:
        return client.recv(4096) == b""
    except ConnectionResetError:
        return True
