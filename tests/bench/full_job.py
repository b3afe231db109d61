"""Candidate: the worker's full job, exactly once. Done when every callback is folded and committed."""

from __future__ import annotations

import sys
from typing import Any

from stream.kafka import topics
from tests.bench import worker_process
from tests.bench.candidate import Meter, Task, give_back, task


class Counting(worker_process.Counting):
    """Starts the meter at the first callback and gives back at the last one's commit."""

    def __init__(self, app: Any, asked: Task) -> None:
        super().__init__(app, asked.topic)
        self._task = asked
        self._names = topics.names(asked.prefix)
        self._meter = Meter()
        self._profile: Any = None

    def consumed(self, topic: str, partition: int, records: int, newest_ms: int) -> None:
        if topic == self._task.topic:
            if self._task.profile and not self._meter.running:
                import cProfile

                self._profile = cProfile.Profile()
                self._profile.enable()
            self._meter.start()
        super().consumed(topic, partition, records, newest_ms)

    def batch(self, partition: int, records: int, process_s: float, commit_s: float | None) -> None:
        super().batch(partition, records, process_s, commit_s)
        if self.callbacks >= self._task.records and self.folded >= self.callbacks + self.others:
            self._done()

    def _done(self) -> None:
        result = self._meter.result(self.callbacks)
        if self._profile is not None:
            self._profile.disable()
            self._profile.dump_stats(self._task.profile)
        names, produced = self._names, self.produced_records
        result |= {
            "batches": self.batches,
            "batch_records": self.folded / self.batches,
            "batch_process_ms": self.process_s / self.batches * 1e3,
            "batch_commit_ms": self.commit_s / self.batches * 1e3,
            "events": produced.get(names.events, 0),
            "call_records": produced.get(names.ended, 0),
            "alerts": produced.get(names.alerts, 0),
            "dead_letters": produced.get(names.dead_letters, 0),
            "states": produced.get(names.changelog, 0),
        }
        give_back(result)


def main() -> int:
    asked = task()
    _, app = worker_process.prepare(asked)
    app.lanes.observer = Counting(app, asked)
    return worker_process.run(app)


if __name__ == "__main__":
    sys.exit(main())
