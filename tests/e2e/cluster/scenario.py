"""A worker under load on three nodes while a fault is injected, and its line in the table.

The line is written in any case, before anything is asserted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.fault_target import LANES, FaultTarget
from tests.e2e.cluster.watch import ProgressWatch, Recovery
from tests.e2e.full_worker import (
    CommitProgress,
    create_topics,
    full_worker,
    get_json,
    health_url,
    supervised,
)
from tests.e2e.harness import Feed, WorkerProcess, read_topic, stopped_after
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict

CALLS = 1200
RATE = 350.0
PATIENCE_S = 6.0

UNTIDY = ("Task was destroyed", "never retrieved", "Traceback")


class Table:
    """The lines of a run, in a file as JSON, and as text for its end."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: list[dict[str, Any]] = []

    def add(self, **line: Any) -> None:
        self.lines.append(line)
        with self.file.open("a") as out:
            out.write(json.dumps(line) + "\n")
        print(line, file=sys.stderr)

    def text(self) -> list[str]:
        """Markdown."""
        names = list(dict.fromkeys(name for line in self.lines for name in line))
        rows = [names, ["---"] * len(names)]
        rows += [[_cell(line.get(name, "")) for name in names] for line in self.lines]
        return ["| " + " | ".join(row) + " |" for row in rows]


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


class Scenario(FaultTarget):
    """One fault and its effect. The worker is not started yet."""

    def __init__(
        self,
        cluster: Cluster,
        prefix: str,
        directory: Path,
        *,
        calls: int = CALLS,
        store: str = "memory",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.story = SimulatedLoad(prefix, LANES, calls)
        super().__init__(cluster, self.story.group)
        self.probes["worker"] = self._ready
        self.directory = directory
        self.store = store
        self.environ = dict(environ or {})
        create_topics(cluster.bootstrap, self.story)
        cluster.balance()
        self.worker = self.make_worker("a")
        self.codes: list[int] = []
        self.others_codes: list[int] = []
        self.went_on: list[Recovery] = []
        self._began = time.monotonic()
        self.watch = ProgressWatch(
            cluster,
            self.story.group,
            self.story.sources,
            dataclasses.astuple(self.story.names),
            [sum(record.partition == lane for record in self.story.records) for lane in range(LANES)],
            self.ill,
        )

    def make_worker(self, name: str, *, bootstrap: str = "", **more: Any) -> WorkerProcess:
        """A worker whose wires can be cut. Not started."""
        return full_worker(
            bootstrap or self.cluster.workers_bootstrap,
            self.story,
            self.directory,
            name,
            store=self.store,
            environ=self.environ,
            **more,
        )

    @contextlib.contextmanager
    def told(self, rate: float = RATE) -> Iterator[None]:
        """The worker runs, is restarted when it ends, and has processed the whole load at the end."""
        with self.watch, stopped_after(self.worker):
            self.worker.start().wait_ready()
            with supervised(self.worker) as codes:
                self.codes = codes
                with self.fed(rate):
                    yield
                self.wait_processed()
                self.worker.wait_ready(90)
            self.codes = [*codes, self.worker.terminate()[0]]

    def wait_processed(self) -> None:
        """Wait until the whole load is, with what calls have told each other."""
        self.watch.wait(1.0, 180)
        with CommitProgress(self.cluster.bootstrap, self.story) as progress:
            progress.finish()

    def fed(self, rate: float = RATE) -> Feed:
        return Feed(self.cluster.bootstrap, self.story.records, rate, patience_s=PATIENCE_S)

    def changelog(self) -> str:
        return self.story.names.changelog

    def _ready(self) -> int:
        try:
            return get_json(f"{health_url(self.worker, 1.0)}/readyz")[0]
        except AssertionError:  # it was just restarted
            return 0

    @contextlib.contextmanager
    def restarted(self, worker: WorkerProcess) -> Iterator[None]:
        """A second worker, started by the caller; its exit codes count too."""
        codes: list[int] = []
        with stopped_after(worker):
            yield
            if worker.exit_code is None:
                codes.append(worker.terminate()[0])
            else:
                codes.append(worker.exit_code)
        self.others_codes += codes

    def measure(self, since: float, timeout_s: float = 120.0) -> None:
        """Wait until work continues, and record how long that took."""
        self.went_on.append(self.watch.wait_went_on(since, timeout_s))
        print(self.went_on[-1], file=sys.stderr)

    def record_verdict(self, table: Table, name: str, **more: Any) -> dict[str, Any]:
        """Repair everything, read it back and write the line. Returns the faults."""
        self.cluster.wires.mend()
        self.cluster.wait_in_sync()
        told_otherwise = _told_otherwise(self.cluster.bootstrap, self.story)
        verdict = read_verdict(self.cluster.bootstrap, self.story)
        beside = {"told_otherwise": told_otherwise, "untidy": untidy(self.directory)}
        faults = verdict.faults | {name: count for name, count in beside.items() if count}
        table.add(
            scenario=name,
            records=len(self.story.records),
            lost=verdict.lost,
            doubled=verdict.doubled,
            wrong=wrong(faults),
            led_s=max((one.led_s for one in self.went_on), default=0.0),
            at_work_s=max((one.at_work_s for one in self.went_on), default=0.0),
            after_led_s=max((one.after_led_s for one in self.went_on), default=0.0),
            exits=self.codes + self.others_codes,
            took_s=time.monotonic() - self._began,
            **more,
        )
        return faults


def wrong(faults: Mapping[str, Any]) -> int:
    """The number of faults other than lost and repeated deliveries."""
    counts = {name: found for name, found in faults.items() if name not in ("lost", "doubled")}
    return sum(sum(found.values()) if isinstance(found, dict) else found for found in counts.values())


def untidy(directory: Path) -> int:
    """The number of log lines about unhandled errors."""
    logs = [log.read_text(errors="replace") for log in directory.glob("*.log")]
    lines = [line for log in logs for line in log.splitlines() if any(sign in line for sign in UNTIDY)]
    print(*lines[:5], sep="\n", file=sys.stderr)
    return len(lines)


def _told_otherwise(bootstrap: str, story: SimulatedLoad) -> int:
    """Records of the source topics that differ from the load, which would be a fault of the test."""
    there = Counter(
        (record.topic, record.partition, record.key, record.value)
        for topic in story.sources
        for record in read_topic(bootstrap, topic)
    )
    sent = Counter((one.topic, one.partition, one.key, one.value) for one in story.records)
    return sum((there - sent).values()) + sum((sent - there).values())
