"""One node of three: broker and controller in one Java process, with its own view of where the others are.

All traffic from this node to another goes through the wire between the two.
Each node advertises itself as `node-N`, and each Java has a hosts file in which that is an address of the
pair (`127.77.FROM.TO`), where the wire listens. Clients use 127.0.0.1: the CLIENT address is direct, the
WORKER address is a wire's.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.broker import configuration, ownership
from stream.broker.supervisor import STOP_LIMIT_S, BrokerTask
from tests.e2e.cluster.wires import NODES

HEAP = "256m"

SETTINGS = {
    "process.roles": "broker,controller",
    "listener.security.protocol.map": ",".join(
        f"{name}:PLAINTEXT" for name in ("NODES", "CONTROLLER", "CLIENT", "WORKER")
    ),
    "inter.broker.listener.name": "NODES",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "message.max.bytes": configuration.BROKER["message.max.bytes"],
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "unclean.leader.election.enable": "false",
    # Otherwise leaders would move back while a test waits for them to stay.
    "auto.leader.rebalance.enable": "false",
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.num.partitions": "6",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
}
"""Session timeout (9 s), replica lag (30 s) and all else that decides on a failover are Kafka's defaults."""

_SUPERVISOR = "import sys; from stream.broker.supervisor import main; sys.exit(main(sys.argv[1]))"


@dataclass(frozen=True)
class Ports:
    """The same NODES and CONTROLLER port at each address of a node; CLIENT, WORKER and the wire's own."""

    nodes: int
    controller: int
    client: int
    worker: int
    worker_wire: int


def between(a: int, b: int) -> str:
    """The address at which `a` reaches `b`."""
    return f"127.77.{a}.{b}"


class Node:
    """Node `number`. `start` may be called again after `kill` or `stop`."""

    def __init__(
        self, number: int, ports: dict[int, Ports], directory: Path, java: Path, jars: str, cluster_id: str
    ) -> None:
        self.number = number
        self._ports = ports
        self._directory = directory
        self._java = str(java)
        self._jars = jars
        self._cluster_id = cluster_id
        self._supervisor: subprocess.Popen[str] | None = None
        self._pid = 0
        self.frozen = False

    @property
    def client(self) -> str:
        return f"127.0.0.1:{self._ports[self.number].client}"

    @property
    def worker(self) -> str:
        """The address for workers, through a wire that can be cut."""
        return f"127.0.0.1:{self._ports[self.number].worker_wire}"

    @property
    def log(self) -> Path:
        return self._directory / "broker.log"

    @property
    def running(self) -> bool:
        return self._supervisor is not None and self._supervisor.poll() is None

    def format(self) -> None:
        """Write its configuration and make its data directory."""
        self._directory.mkdir()
        (self._directory / "server.properties").write_text(self._properties())
        (self._directory / "log4j2.properties").write_text(configuration.logging(self.log.name))
        (self._directory / "hosts").write_text(self._hosts())
        tool = ["kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", "server.properties"]
        done = subprocess.run(
            [self._java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", self._jars, *tool],
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"node {self.number} was not formatted: {done.stdout}{done.stderr}"

    def start(self) -> None:
        """Returns at once; `wait_answers` when it answers."""
        lock = ownership.try_lock(self._directory)
        assert lock is not None, f"node {self.number} still runs"
        arguments = [
            argument
            for argument in configuration.java_arguments("log4j2.properties")
            if not argument.startswith("-Xm")
        ]
        command = [
            *(self._java, f"-Xmx{HEAP}", "-Xms96m", *arguments),
            f"-Djdk.net.hosts.file={self._directory / 'hosts'}",
            *("-cp", self._jars, "kafka.Kafka", str(self._directory / "server.properties")),
        ]
        port = self._ports[self.number].client
        task = BrokerTask(command, str(self._directory), lock, port, self._cluster_id)
        self._supervisor = subprocess.Popen(
            [sys.executable, "-c", _SUPERVISOR, task.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(lock,),
            start_new_session=True,
        )
        os.close(lock)
        self.frozen = False

    def wait_answers(self) -> None:
        assert self._supervisor is not None
        assert self._supervisor.stdout is not None
        line = self._supervisor.stdout.readline()
        answer = json.loads(line) if line else {"failed": "its supervisor ended"}
        assert "failed" not in answer, f"node {self.number}: {answer['failed']}"
        self._pid = answer["pid"]

    def kill(self) -> None:
        """SIGKILL, as in a power cut."""
        os.kill(self._pid, signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """SIGTERM: it hands its partitions over if it can, for at most 10 s."""
        if self._supervisor is not None:
            self._reap()

    def freeze(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)
        self.frozen = False

    def _reap(self) -> None:
        assert self._supervisor is not None
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        self._supervisor.stdin.close()
        try:
            self._supervisor.wait(STOP_LIMIT_S + 5)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._supervisor.stdout.close()
        self._supervisor = None

    def _properties(self) -> str:
        own = self._ports[self.number]
        listeners = {
            "NODES": own.nodes,
            "CONTROLLER": own.controller,
            "CLIENT": own.client,
            "WORKER": own.worker,
        }
        advertised = {
            "NODES": f"node-{self.number}:{own.nodes}",
            "CONTROLLER": f"node-{self.number}:{own.controller}",
            "CLIENT": self.client,
            "WORKER": self.worker,
        }
        voters = [f"{node}@node-{node}:{self._ports[node].controller}" for node in NODES]
        settings = {
            **SETTINGS,
            "node.id": str(self.number),
            "listeners": _joined([f"{name}://127.0.0.1:{port}" for name, port in listeners.items()]),
            "advertised.listeners": _joined([f"{name}://{where}" for name, where in advertised.items()]),
            "controller.quorum.voters": _joined(voters),
            "log.dirs": str(self._directory / "kafka"),
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _hosts(self) -> str:
        others = [(between(self.number, node), f"node-{node}") for node in NODES if node != self.number]
        own = [("127.0.0.1", f"localhost node-{self.number} {socket.gethostname()}")]
        return "".join(f"{address} {names}\n" for address, names in own + others)


def _joined(parts: Sequence[str]) -> str:
    return ",".join(parts)
