"""Finds the running broker of a data directory, or starts one that lives as long as its owner.

The process that holds the lock starts the broker. All others wait for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.broker import ownership
from stream.broker.configuration import java_arguments, logging, properties
from stream.broker.failure import WITHOUT_IT, BrokerError, PortTaken, broker_file_errors
from stream.broker.jars import class_path
from stream.broker.java import environment, java
from stream.broker.ports import DEFAULT_PORT, free_port
from stream.broker.storage import format_storage, is_from_newer_kafka
from stream.broker.supervisor import START_LIMIT_S, STOP_LIMIT_S, BrokerTask, last_words
from stream.service.data_dir import DataDirError, explain, prepare
from stream.service.settings import RoleSettings

WORDS_LINES = 100
"""How much of a log's end to search for the reason of an end: Java's stack traces are long."""

Say = Callable[[str], None]

_SUPERVISOR = "import sys; from stream.broker.supervisor import main; sys.exit(main(sys.argv[1]))"


def _silent(_line: str) -> None:
    return


@dataclass
class Broker:
    """A Kafka at `bootstrap`. With a `supervisor`: this process started it, and it ends with this process."""

    bootstrap: str
    pid: int = 0
    cluster_id: str = ""
    log: Path | None = None
    supervisor: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def port(self) -> int:
        return int(self.bootstrap.rpartition(":")[2])

    def ended(self) -> bool:
        """Whether an owned broker has ended without being stopped. Cheap."""
        return self.supervisor is not None and self.supervisor.poll() is not None

    def why_ended(self) -> tuple[str, bool]:
        """Why an owned broker ended without being stopped: a sentence, and whether the disk is the reason."""
        assert self.log is not None
        if (wrong := _disk(self.log.parent, last_words(self.log.parent, WORDS_LINES))) is not None:
            return f"the embedded broker has ended: {wrong}", True
        return f"the embedded broker has ended unexpectedly; its log is {self.log}", False

    def stop(self) -> None:
        """Stop it and wait, if it is owned. Usually under a second; a hanging one is killed after 10 s."""
        if self.supervisor is None:
            return
        assert self.supervisor.stdin is not None
        assert self.supervisor.stdout is not None
        self.supervisor.stdin.close()
        try:
            self.supervisor.wait(STOP_LIMIT_S + 5)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()
        self.supervisor.stdout.close()


@asynccontextmanager
async def embedded(settings: RoleSettings, *, say: Say = _silent) -> AsyncIterator[Broker]:
    """The cluster that the settings name, or the embedded broker: a running one, or one for this block."""
    if settings.kafka:
        yield Broker(settings.kafka)
        return
    with broker_file_errors(settings.data_dir):
        prepare(settings.data_dir)
    starting: Future[Broker] = Future()

    def begin() -> None:
        starting.set_running_or_notify_cancel()
        try:
            directory, cache = settings.data_dir / "broker", settings.cache_dir
            starting.set_result(start(directory, cache=cache, libs=settings.kafka_libs, say=say))
        except Exception as error:  # noqa: BLE001  raised where the broker is awaited
            starting.set_exception(error)

    # Not in a thread of the loop's pool, for which a process waits at its end. The supervisor sees it end.
    threading.Thread(target=begin, daemon=True).start()
    broker = await asyncio.wrap_future(starting)
    try:
        yield broker
    finally:
        # Here, for the same reason: after a second Ctrl-C a thread would keep running.
        broker.stop()


def start(
    directory: Path,
    *,
    cache: Path,
    libs: str = "",
    port: int = 0,
    more: Mapping[str, str] = {},
    say: Say = _silent,
) -> Broker:
    """The broker whose data is in `directory`, with jars from `libs` or `cache`.

    - `port`: the only one to use; 0: Kafka's default or any free one.
    - `more`: Kafka's settings of a broker that is started, beside ours.

    Blocks until the broker answers. Raises BrokerError, which says what is missing.
    """
    directory = directory.absolute()
    with broker_file_errors(directory):
        prepare(directory)
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        with broker_file_errors(directory):
            lock = ownership.try_lock(directory)
        if lock is not None:
            try:
                jars = class_path(libs, cache, say=say)
                return _start_locked(directory, lock, jars, port=port, more=more, say=say)
            finally:
                os.close(lock)  # supervisor and Java have it now, or nobody
        running = ownership.find_running(directory)
        if running is not None:
            found = Broker(
                f"127.0.0.1:{running.port}", running.pid, running.cluster_id, directory / "broker.log"
            )
            say(f"Found the running Kafka at {found.bootstrap}.")
            return found
        time.sleep(0.1)  # it is starting or stopping
    there = ownership.read_record(directory)
    who = f"process {there.pid}" if there else "another process"
    raise BrokerError(
        f"{who} holds the broker's data in {directory} and does not answer: end it, and try again."
    )


def _disk(directory: Path, words: str) -> DataDirError | None:
    """What is wrong with the disk, from Java's last output or a test write: a full disk keeps no output."""
    if (wrong := explain(words)) is not None:
        return DataDirError(directory, wrong)
    try:
        prepare(directory)
    except DataDirError as error:
        return error
    return None


def _start_locked(
    directory: Path, lock: int, jars: str, *, port: int, more: Mapping[str, str], say: Say
) -> Broker:
    with broker_file_errors(directory):
        ownership.remove_record(directory)
    runtime = java()
    say("Starting Apache Kafka …")
    for attempt in (1, 2, 3):
        chosen = port or free_port(DEFAULT_PORT if attempt == 1 else 0)
        try:
            return _launch(directory, lock, runtime=runtime, jars=jars, port=chosen, more=more)
        except PortTaken:
            if port or attempt == 3:
                raise
    raise AssertionError("unreachable")


def _launch(
    directory: Path, lock: int, *, runtime: Path, jars: str, port: int, more: Mapping[str, str]
) -> Broker:
    controller_port = free_port(but_not=port)
    logs, log = directory / "kafka", directory / "broker.log"
    cluster_id = format_storage(
        logs, java=runtime, class_path=jars, port=port, controller_port=controller_port
    )
    server, log_settings = directory / "server.properties", directory / "log4j2.properties"
    with broker_file_errors(directory):
        server.write_text(properties(logs.name, port=port, controller_port=controller_port, more=more))
        log_settings.write_text(logging(log.name))
    command = [str(runtime), *java_arguments(log_settings.name), "-cp", jars, "kafka.Kafka", server.name]
    task = BrokerTask(command, str(directory), lock, port, cluster_id)
    supervisor = subprocess.Popen(
        [sys.executable, "-c", _SUPERVISOR, task.to_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(os.environ),
        pass_fds=(lock,),
        start_new_session=True,  # Ctrl-C reaches the owner only, which then stops the broker in order
    )
    broker = Broker(f"127.0.0.1:{port}", cluster_id=cluster_id, log=log, supervisor=supervisor)
    try:
        assert supervisor.stdout is not None
        line = supervisor.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failed": "its supervisor ended"}
    except BaseException:
        broker.stop()
        raise
    if "failed" in answer:
        broker.stop()
        if is_from_newer_kafka(last_words(directory, WORDS_LINES)):
            raise BrokerError(
                f"{logs} contains data of a newer Kafka, which this one cannot read: move it away"
                f" (all topics then start empty), {WITHOUT_IT}"
            )
        if not answer.get("port_taken") and (wrong := _disk(directory, answer["failed"])) is not None:
            raise BrokerError(f"{wrong}, {WITHOUT_IT}")
        kind = PortTaken if answer.get("port_taken") else BrokerError
        raise kind(f"The embedded broker did not start at port {port} (log: {log}): {answer['failed']}")
    broker.pid = answer["pid"]
    return broker
