"""`callstream worker --processes N`: N workers on this machine, and one supervisor that speaks for them.

Each process is a member of the group, as a worker on another machine is: with its own part of the data
directory and, where the worker has an instance id, with its own static membership. The supervisor starts
them, restarts what ends by itself, stops all, and answers for health and metrics of all at one address.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import aclosing

import aiohttp
import msgspec

from stream.cli.local.child_process import ChildProcess, callstream
from stream.cli.support.exit_codes import DONE, FAILED, MISUSE, TOPIC_MISMATCH, VERSIONS_DIFFER
from stream.cli.support.usable_cpus import usable_cpus
from stream.contracts.published import published
from stream.service import data_dir
from stream.service.http import health
from stream.service.http.listening import INHERITED
from stream.service.metrics.registry import LabelChoice, MetricRegistry
from stream.service.metrics.series.process_metrics import ProcessMetrics, merged_exposition
from stream.service.process import stop_asked
from stream.service.settings import Settings, SettingsError, WorkerSettings

FINAL = (MISUSE, TOPIC_MISMATCH, VERSIONS_DIFFER)
"""Exit codes of a process after which another start changes nothing."""

AUTO = 0
"""The setting's value for one process for each CPU but one."""

STOP_S = 25.0
"""Longer than a worker takes to stop, shorter than systemd and Kubernetes wait."""

ANSWER_S = 2.0

log = logging.getLogger("callstream.worker")


def process_count(chosen: WorkerSettings) -> int:
    """How many processes the settings ask for. Raises SettingsError for more than have a partition."""
    if chosen.worker_processes == AUTO:
        return max(1, min(usable_cpus() - 1, chosen.partitions))
    if chosen.worker_processes > chosen.partitions:
        raise SettingsError(
            f"{chosen.worker_processes} worker processes are more than CALLSTREAM_PARTITIONS="
            f"{chosen.partitions}: a process without a partition has nothing to do"
        )
    return chosen.worker_processes


async def supervise(count: int, verbose: bool, chosen: Settings) -> int:
    """Run `count` workers until a signal, or until one ends with a final exit code. Returns the exit code.

    `chosen.kafka` must name a broker. Raises ListenError and DataDirError.
    """
    data_dir.prepare(chosen.data_dir)
    async with (
        aclosing(WorkerProcesses(chosen, count, verbose=verbose)) as workers,
        health.serve(
            chosen.worker_listen,
            metrics=workers.exposition,
            live=lambda: workers.state("/livez"),
            ready=lambda: workers.state("/readyz"),
            documents=lambda: published(chosen),
        ) as url,
    ):
        log.info("health and metrics of %d processes at %s", count, url)
        return await workers.run()


class WorkerProcesses:
    """The processes, from their start to their end. Made in a running loop."""

    def __init__(self, chosen: Settings, count: int, *, verbose: bool) -> None:
        self._client = aiohttp.ClientSession(
            # A connection that is kept may be one to a process that has ended.
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(ANSWER_S),
            headers={"Accept-Encoding": "identity"},
        )
        self._processes = [_Process(number, chosen, verbose=verbose) for number in range(1, count + 1)]
        choice = LabelChoice(providers=chosen.metric_providers)
        self._own = MetricRegistry((), chosen.account_alias, choice=choice, written=())
        self._own_metrics = ProcessMetrics()
        logging.getLogger().addHandler(self._own.log_counter)

    async def aclose(self) -> None:
        for one in self._processes:
            one.listening.close()
        await self._client.close()

    async def run(self) -> int:
        """Until a signal, or until one ends with a final exit code, which is returned."""
        with stop_asked() as asked:
            running = [asyncio.create_task(one.child.run()) for one in self._processes]
            stop = asyncio.create_task(asked.wait())
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
            try:
                await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
                for task, process in zip(running, self._processes, strict=True):
                    if task.done():
                        log.critical("process %d ended with %d: stopping all", process.number, task.result())
                        return task.result()
            finally:
                for one in (stop, *running):
                    one.cancel()
                await asyncio.gather(stop, *running, return_exceptions=True)
                stopped = await self._stop()
        return DONE if stopped else FAILED

    def _reload(self) -> None:
        """Let each process read again what it reads again on SIGHUP."""
        for one in self._processes:
            if one.child.pid is not None:
                os.kill(one.child.pid, signal.SIGHUP)

    async def _stop(self) -> bool:
        """Whether all have stopped as they were asked to. A second Ctrl-C kills them."""
        children = [one.child for one in self._processes if one.child.pid is not None]
        log.info("stopping %d processes", len(children))
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _kill, children)
        await asyncio.gather(*(child.stop() for child in children))
        # One that had only just been started had no handler yet.
        return all(child.exit_code in (DONE, -signal.SIGTERM) for child in children)

    async def state(self, path: str) -> health.Health:
        """Good where all are."""
        bodies = await asyncio.gather(*(one.answer(self._client, path) for one in self._processes))
        reasons = []
        for process, body in zip(self._processes, bodies, strict=True):
            said = ["it does not answer"] if body is None else msgspec.json.decode(body)["reasons"]
            reasons += [f"process {process.number}: {reason}" for reason in said]
        return not reasons, reasons

    async def exposition(self, _accept: str) -> health.Scrape:
        """In Prometheus' text format, whatever is asked for."""
        await asyncio.gather(*(one.scrape(self._client) for one in self._processes))
        self._own_metrics.answered(0, self._own.exposition()[0].decode())
        shown = {str(one.number): one.metrics for one in self._processes}
        return merged_exposition({**shown, "supervisor": self._own_metrics})


class _Process:
    """One worker, as the supervisor knows it."""

    def __init__(self, number: int, chosen: Settings, *, verbose: bool) -> None:
        self.number = number
        self.metrics = ProcessMetrics()
        # The same in each run: no other program can take the port in between.
        self.listening = socket.create_server(("127.0.0.1", 0))
        environ = {
            **os.environ,
            "CALLSTREAM_KAFKA": chosen.kafka,
            "CALLSTREAM_DATA_DIR": str(chosen.data_dir.absolute() / f"worker-{number}"),
            "CALLSTREAM_WORKER_LISTEN": f"{INHERITED}:{self.listening.fileno()}",
        }
        environ.pop("NOTIFY_SOCKET", None)
        if chosen.instance_id:
            environ["CALLSTREAM_INSTANCE_ID"] = f"{chosen.instance_id}-{number}"
        self.child = ChildProcess(
            f"process {number}",
            callstream("worker", "--processes", "1", "--process", str(number), *["-v"] * verbose),
            environ,
            None,
            say=lambda said: log.error("worker processes: %s", said),
            final=FINAL,
            pass_fds=[self.listening.fileno()],
            stop_limit_s=STOP_S,
        )

    async def answer(self, client: aiohttp.ClientSession, path: str) -> bytes | None:
        """The body; None where it does not run or does not answer."""
        pid = self.child.pid
        if pid is None:
            return None
        host, port = self.listening.getsockname()
        try:
            async with client.get(f"http://{host}:{port}{path}") as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return None
        # It may have been asked before a restart, and have answered after it.
        return body if self.child.pid == pid else None

    async def scrape(self, client: aiohttp.ClientSession) -> None:
        run = self.child.starts
        body = await self.answer(client, "/metrics")
        if body is None:
            self.metrics.silent()
        else:
            self.metrics.answered(run, body.decode())


def _kill(children: Sequence[ChildProcess]) -> None:
    for child in children:
        child.kill()
