"""Controls the wire proxy: lays and cuts wires, and reads which requests passed.

A wire is named `from>to`. Nodes are 1, 2, 3; `w` are the clients of the nodes' WORKER addresses.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.e2e.harness import ROOT

NODES = (1, 2, 3)

Address = tuple[str, int]


class AskedEnd(NamedTuple):
    """One partition of a ListOffsets request and what was answered. `at`: seconds since the epoch."""

    at: float
    topic: str
    partition: int
    timestamp: int
    """-1: the end; -2: the beginning."""
    error: int
    offset: int


class Wires:
    """The proxy's process. It ends with this object's `close`, or with this process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.cluster.proxy"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def lay(
        self, name: str, listen: tuple[str, int], target: tuple[str, int], *, heard: bool = False
    ) -> None:
        self._do(do="lay", name=name, listen=listen, target=target, heard=heard)

    def cut_off(self, node: int, how: str = "silently") -> None:
        """`node` from the other nodes, both ways. Clients still reach it."""
        self._do(do="cut", wires=_around(node), how=how)

    def cut_workers(self, node: int, how: str = "silently") -> None:
        """Workers from `node`. The nodes still reach each other."""
        self._do(do="cut", wires=[f"w>{node}"], how=how)

    def refuse_workers(self, nodes: Iterable[int], api_key: int) -> None:
        """Close every connection over which a worker asks one of the nodes for this."""
        self._do(do="refuse", wires=[f"w>{node}" for node in nodes], api_keys=[api_key])

    def mend(self) -> None:
        """All of them."""
        self._do(do="mend", wires=_all())

    def mend_workers(self) -> None:
        """Workers reach every node."""
        self._do(do="mend", wires=[f"w>{node}" for node in NODES])

    def forget(self) -> None:
        """What was heard until now."""
        self._do(do="forget", wires=[f"w>{node}" for node in NODES])

    def requests(self, node: int) -> dict[int, int]:
        """How many requests of each API key workers sent to `node`."""
        heard = self._do(do="heard", wires=[f"w>{node}"])
        return {int(key): count for key, count in heard["requests"].items()}

    def ends_asked(self, node: int) -> list[AskedEnd]:
        """What workers were told by `node` about ends and beginnings."""
        heard = self._do(do="heard", wires=[f"w>{node}"])
        return [one for told in heard["offsets_asked"] for one in _decode(*told)]

    def _do(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"failed": f"the proxy ended: {self._process.poll()}"}
        assert "failed" not in answer, answer["failed"]
        return answer["ok"]


def _around(node: int) -> list[str]:
    others = [other for other in NODES if other != node]
    return [f"{node}>{other}" for other in others] + [f"{other}>{node}" for other in others]


def _all() -> list[str]:
    return [f"{a}>{b}" for a in NODES for b in NODES if a != b] + [f"w>{node}" for node in NODES]


def _decode(at: float, version: int, request: str, answer: str) -> Iterable[AskedEnd]:
    """Versions 1 to 3, which aiokafka speaks."""
    if not 1 <= version <= 3:
        return
    wanted = {
        (topic, partition): timestamp
        for topic, (partition, timestamp) in _topics(bytes.fromhex(request), 4 if version < 2 else 5, ">iq")
    }
    for topic, (partition, error, _, offset) in _topics(
        bytes.fromhex(answer), 0 if version < 2 else 4, ">ihqq"
    ):
        yield AskedEnd(at, topic, partition, wanted[topic, partition], error, offset)


def _topics(body: bytes, at: int, layout: str) -> Iterable[tuple[str, tuple[int, ...]]]:
    """(topic, entry) of an array of topics with an array of entries each."""
    (topics,) = struct.unpack_from(">i", body, at)
    at += 4
    for _ in range(topics):
        (size,) = struct.unpack_from(">h", body, at)
        topic = body[at + 2 : at + 2 + size].decode()
        (entries,) = struct.unpack_from(">i", body, at + 2 + size)
        at += 6 + size
        for _ in range(entries):
            yield topic, struct.unpack_from(layout, body, at)
            at += struct.calcsize(layout)
