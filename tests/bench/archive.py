"""How fast the archive is written and answers: `python -m tests.bench.archive --events 10000000`.

Written is what a worker writes of calls, in batches as the role reads them while more is waiting: what is
measured begins with the bytes that Kafka gave and ends with the commit, and once all is written it is on the
disk. Both databases wait for their disk, as in production.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stream.api.ui.overview import overview
from stream.archive.database import connect
from stream.archive.questions import AlertFilter, CallFilter
from stream.archive.reader import Archive, open_archive
from stream.archive.store.migrate import migrate
from stream.archive.writing.writer import ArchiveWriter, OffsetRange
from stream.core.timestamps import SECOND_US
from stream.service.process import collect_rarely
from tests.bench.archived_calls import CallGenerator
from tests.real_postgresql import RealPostgresql, binaries

DATABASES = ("sqlite", "postgresql")
DAYS = 25
EVENTS_OF_A_CALL = 6
ASKED = 300


@contextmanager
def database(name: str, folder: Path) -> Iterator[str | None]:
    """The URL of an empty database, None where PostgreSQL is not installed."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'archive.sqlite'}"
        return
    programs = binaries()
    if programs is None:
        yield None
        return
    server = RealPostgresql(programs, is_safe=True)
    try:
        yield server.database()
    finally:
        server.stop()


def measure(events: int, *, questions: bool = False, names: tuple[str, ...] = DATABASES) -> dict[str, Any]:
    """Figures of each database: events a second, and with `questions` how long each takes, in ms."""
    found: dict[str, Any] = {}
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix="archive-bench-"))
        try:
            with database(name, folder) as url:
                if url is not None:
                    found[name] = _measured(url, events, questions=questions)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _measured(url: str, events: int, *, questions: bool) -> dict[str, Any]:
    engine = connect(url, reads_only=False)
    migrate(engine)
    writer = ArchiveWriter(engine)
    every_us = DAYS * 86_400 * SECOND_US * EVENTS_OF_A_CALL // events
    generator = CallGenerator(every_us=every_us)
    collect_rarely()
    writer.begin([(f"calls.{role}.v1", 0) for role in ("events", "ended", "alerts")])
    seconds, cpu_s, rates = 0.0, 0.0, []
    for batch in generator.batches(events):
        before = sum(one.role == "events" for one in batch.records)
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        writer.write(batch.records, batch.spans, is_durable=False)
        took_s = time.perf_counter() - began_s
        seconds, cpu_s = seconds + took_s, cpu_s + time.process_time() - began_cpu_s
        rates.append(before / took_s)
    began_s = time.perf_counter()
    writer.write([], {one: OffsetRange(span.end, span.end) for one, span in batch.spans.items()})
    seconds += time.perf_counter() - began_s
    found: dict[str, Any] = {
        "events": generator.events,
        "calls": len(generator.keys),
        "seconds": seconds,
        "per_s": generator.events / seconds,
        "cpu_us": cpu_s / generator.events * 1e6,
        "per_s_at_the_end": statistics.median(rates[-20:]),
    }
    if questions:
        gc.collect()
        if url.startswith("postgresql"):
            with engine.connect() as connection:
                connection.exec_driver_sql("ANALYZE")
        archive = open_archive(url)
        found["questions_ms"] = _asked(archive, generator)
        archive.close()
        found["slowest_list_ms"] = max(
            one["p99"] for name, one in found["questions_ms"].items() if name not in ("call", "overview")
        )
    engine.dispose()
    return found


def _asked(archive: Archive, generator: CallGenerator) -> dict[str, dict[str, float]]:
    pick = random.Random(2)
    end = datetime.fromtimestamp(generator.at_us / SECOND_US, UTC)
    day = timedelta(days=1)

    def some_time() -> datetime:
        return end - timedelta(seconds=pick.uniform(0, (DAYS - 1) * 86_400))

    page = archive.calls(CallFilter(), 50)
    asked: dict[str, Callable[[], Any]] = {
        "call": lambda: archive.call(pick.choice(generator.keys)),
        "newest": lambda: archive.calls(CallFilter(), 50),
        "next page": lambda: archive.calls(CallFilter(), 50, page.next),
        "since": lambda: archive.calls(CallFilter(since=(at := some_time()), until=at + day), 50),
        "outcome": lambda: archive.calls(CallFilter(outcome=("busy",), until=some_time()), 50),
        "outcomes": lambda: archive.calls(CallFilter(outcome=("busy", "failed"), until=some_time()), 50),
        "status": lambda: archive.calls(CallFilter(status=("canceled",), until=some_time()), 50),
        "fault": lambda: archive.calls(CallFilter(fault=("carrier", "policy"), until=some_time()), 50),
        "account": lambda: archive.calls(CallFilter(accounts=frozenset({page.items[0].account or ""})), 50),
        "number": lambda: archive.calls(CallFilter(number="+15*******09", until=some_time()), 50),
        "rare number": lambda: archive.calls(CallFilter(number="+49********77"), 50),
        "sip": lambda: archive.calls(CallFilter(sip_response_code=486, until=some_time()), 50),
        "error code": lambda: archive.calls(CallFilter(error_code="32009", until=some_time()), 50),
        "long": lambda: archive.calls(CallFilter(min_duration_s=45, until=some_time()), 50),
        "incomplete": lambda: archive.calls(CallFilter(complete=False, until=some_time()), 50),
        "alerts": lambda: archive.alerts(AlertFilter(state="firing"), 50),
        "a day's chart": lambda: archive.calls_by_minute(CallFilter(since=end - day, until=end)),
        "overview": lambda: overview(archive, None, end),
    }
    return {name: _quantiles(one) for name, one in asked.items()}


def _quantiles(ask: Callable[[], Any]) -> dict[str, float]:
    took_ms = []
    began_s = time.perf_counter()
    for _ in range(ASKED):
        at_s = time.perf_counter()
        ask()
        took_ms.append((time.perf_counter() - at_s) * 1000)
        if time.perf_counter() - began_s > 20:
            break
    took_ms.sort()
    last = len(took_ms) - 1
    return {"p50": took_ms[last // 2], "p99": took_ms[round(last * 0.99)], "asked": len(took_ms)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--only", choices=DATABASES)
    parser.add_argument("--no-questions", action="store_true")
    chosen = parser.parse_args()
    names = (chosen.only,) if chosen.only else DATABASES
    print(json.dumps(measure(chosen.events, questions=not chosen.no_questions, names=names), indent=2))


if __name__ == "__main__":
    main()
