"""The harness itself, with a handful of records: it measures what it says, and notices a job done wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path

import orjson
import pytest

from tests.bench import life, memory, offline, report, run, throughput
from tests.bench.callbacks import Tally, callbacks
from tests.bench.targets import TARGETS
from tests.core.deliveries import Delivery
from tests.core.folding import tell


@pytest.mark.e2e
def test_a_small_run_measures_every_part_and_every_candidate_does_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plan = run.Plan(
        records=3000,
        few_records=1000,
        rounds=1,
        open_calls=300,
        partitions=3,
        rate=100,
        seconds=3,
        calls=3000,
        requests=1500,
    )
    result = run.run(plan, run.Say())
    wrong = {name: one["wrong"] for name, one in result["throughput"].items() if one["wrong"]}
    assert wrong == {}
    assert {name: len(one["rounds"]) for name, one in result["throughput"].items()} == {
        candidate.name: 1 for candidate in throughput.CANDIDATES
    }
    assert all(target.value(result) is not None for target in TARGETS)
    assert result["latency"]["sent"] == 300
    assert result["latency"]["events_read"] == result["latency"]["events"]
    assert [result["recovery"][store]["records"] for store in ("memory", "rocksdb")] == [3000, 3000]
    assert result["recovery"]["memory"]["states"] == 3000
    assert report.missed(result) is not None
    assert list(tmp_path.iterdir()) == []


def test_callbacks_of_equal_seeds_tell_of_the_same_calls() -> None:
    first, again = Tally(), Tally()
    for tally in (first, again):
        for record in callbacks(2000, 300):
            tally.add(record)
    assert first.written == again.written
    assert first.written.records == 2000
    assert first.written.calls < first.written.events < 2000


def test_a_worker_that_loses_an_event_is_told_apart_from_a_fast_one() -> None:
    tally = Tally()
    for record in callbacks(500, 100):
        tally.add(record)
    written = tally.written
    done = {"records": 500, "events": written.events, "alerts": written.failed, "dead_letters": 0}
    assert throughput.differs(throughput.WORKER, done, written) is None
    lost = {**done, "events": written.events - 1}
    assert throughput.differs(throughput.WORKER, lost, written) is not None


def test_the_small_calls_of_the_memory_run_are_answered_calls_each_of_its_own() -> None:
    told = [list(memory.callbacks(number)) for number in (1, 2)]
    assert len({key for some in told for key, _ in some}) == 2
    call = tell(Delivery(key.decode(), value) for key, value in told[0]).call
    assert (call.ended, [entry.status for entry in call.lifecycle]) == (
        True,
        ["initiated", "in-progress", "completed"],
    )


def test_memory_that_grows_with_the_calls_is_told_from_memory_that_stays() -> None:
    def line(rss_mb: float, number: int) -> memory.Sample:
        return memory.Sample(100.0 + number, 10_000 * number, 0, rss_mb, 7, 0, 0)

    flat = [line(300, number) for number in range(60)]
    growing = [line(300 + number, number) for number in range(60)]
    assert "RSS 300 to 300 MB, at most 300; +0.0 MB a million calls" in memory.verdict(flat, 50.0)
    assert "+100.0 MB a million calls" in memory.verdict(growing, 50.0)
    assert "too few" in memory.verdict(flat, 100.0)


def test_a_life_goes_from_the_first_callback_to_the_eviction_and_is_the_same_again() -> None:
    world = life.World(20, seed=1)
    world.run()
    written = world.job.written
    assert [len(table) for table in world.job.tables.values()] == [0] * len(world.job.tables)
    assert written.records["fetches.v1"] > world.traffic.calls
    assert all(said["settled"] for said in written.last_records())
    assert life.measure(20)["digests"] == written.digests() != life.measure(20, seed=2)["digests"]


def test_one_request_that_names_several_reads_gets_their_rows_and_one_result() -> None:
    world = life.World(20, seed=1)
    world.run(life.START_S + 3600)
    providers = world.traffic.providers
    assert providers is not None
    sid = next(row["sid"] for row in providers.calls(world.now_us))
    asked = {"id": "1", "key": f"twilio:{sid}", "account": "AC", "reason": "ended", "attempt": 1}
    reads = [{"source": name, "edge": None} for name in ("twilio_call", "twilio_call_event")]
    poller = life.Poller(providers)
    *rows, (key, result) = poller.answer(orjson.dumps({**asked, "reads": reads}), world.now_us)
    outcomes = orjson.loads(result)["body"]["reads"]
    assert (key, [row for row, _ in rows]) == (asked["key"].encode(), [key] * len(rows))
    assert [(read["source"], read["outcome"]) for read in outcomes] == [
        ("twilio_call", "success"),
        ("twilio_call_event", "success"),
    ]
    assert sum(read["rows"] for read in outcomes) == len(rows)


def test_the_jobs_of_a_pair_give_equal_digests_for_equal_programs() -> None:
    for job in ("callback", "mixed"):
        first, again = (offline.JOBS[job](20, 1) for _ in range(2))
        assert first["digests"] == again["digests"] != offline.JOBS[job](20, 2)["digests"]
        assert first["records"] == again["records"]
