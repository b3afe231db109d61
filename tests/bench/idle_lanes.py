"""Candidate: the lanes with a job that does nothing. What is left is fetching and queueing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from stream.engine.batch import Batch, Record
from stream.faust_bridge.app import build_app
from tests.bench import worker_process
from tests.bench.candidate import task
from tests.bench.full_job import Counting
from tests.engine.fakes import NullObserver


class Idle:
    """Looks at nothing and changes nothing."""

    def process(
        self, partition: int, records: Sequence[Record], get: Callable[[bytes], bytes | None]
    ) -> Batch:
        return Batch({}, {})

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None: ...

    def partition_revoked(self, partition: int) -> None: ...


def main() -> int:
    asked = task()
    chosen = worker_process.settings_of(asked)
    worker_process.read_from(asked.topic)
    worker_process.make_topics(chosen)
    app = build_app(chosen, Idle(), NullObserver())
    app.lanes.observer = Counting(app, asked)
    return worker_process.run(app)


if __name__ == "__main__":
    sys.exit(main())
