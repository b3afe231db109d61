"""Candidate: a worker that starts with nothing but its changelog. Done when its lanes are at work."""

from __future__ import annotations

import sys
import time
from typing import Any

from stream.engine.status import Phase
from tests.bench import worker_process
from tests.bench.candidate import give_back, rss_mb, task


class Counting(worker_process.Counting):
    """Gives back when the worker runs: recovered, indexed, gate open."""

    def __init__(self, app: Any, started: float) -> None:
        super().__init__(app, "")
        self._app = app
        self._started = started
        self._assigned_at = 0.0

    def phase(self, phase: Phase) -> None:
        self._told.phase(phase)
        if phase is Phase.RECOVERING and not self._assigned_at:
            self._assigned_at = time.time()
        if phase is Phase.RUNNING:
            now = time.time()
            give_back(
                {
                    "seconds": now - self._started,
                    "from_assignment_s": now - self._assigned_at,
                    "read_s": self.recovered_s,
                    "records": self.recovered_records,
                    "states": sum(
                        self._app.table.states.count(number) for number in self._app.lanes.partition_numbers()
                    ),
                    "cpu_s": time.process_time(),
                    "rss_mb": rss_mb(),
                }
            )


def main() -> int:
    asked = task()
    _, app = worker_process.prepare(asked)
    app.lanes.observer = Counting(app, asked.started)
    return worker_process.run(app)


if __name__ == "__main__":
    sys.exit(main())
