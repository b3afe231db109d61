"""Candidate: a worker that works until it is told to stop, for what is measured from outside."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from stream.engine.status import Phase
from tests.bench import worker_process
from tests.bench.candidate import give_back, rss_mb, task

READY = "ready"
"""The file that says that it is at work."""


class Counting(worker_process.Counting):
    """Says when the worker runs."""

    ready_at = 0.0
    ready_cpu_s = 0.0
    directory = Path()

    def phase(self, phase: Phase) -> None:
        self._told.phase(phase)
        if phase is Phase.RUNNING and not self.ready_at:
            self.ready_at, self.ready_cpu_s = time.monotonic(), time.process_time()
            (self.directory / READY).touch()


def main() -> int:
    asked = task()
    chosen, app = worker_process.prepare(asked)
    counting = Counting(app, asked.prefix + "callbacks.v1")
    counting.directory = chosen.data_dir
    app.lanes.observer = counting
    code = worker_process.run(app)
    if code == 0:
        seconds = time.monotonic() - counting.ready_at
        give_back(
            {
                "cores": (time.process_time() - counting.ready_cpu_s) / seconds,
                "batch_records": counting.folded / max(1, counting.batches),
                "batch_ms": (counting.process_s + counting.commit_s) / max(1, counting.batches) * 1e3,
                "rss_mb": rss_mb(),
            }
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
