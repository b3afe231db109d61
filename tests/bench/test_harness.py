"""The harness itself, with a handful of records: it measures what it says, and notices a job done wrong."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from stream.core.delivery.subscriptions import KEY as SUBSCRIPTIONS
from stream.kafka import topics
from tests.bench import latency, life, memory, offline, ordinary, pairs, report, run, through, throughput
from tests.bench.callbacks import Tally, callbacks
from tests.bench.ground import PYTHONS, ROOT
from tests.bench.targets import TARGETS, Target
from tests.core.deliveries import Delivery
from tests.core.folding import tell


@pytest.mark.e2e
def test_a_small_run_measures_every_part_and_every_candidate_does_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o711)  # PostgreSQL has a user of its own, and its data in a folder here
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
        offline_calls=20,
        latency=((100, 3), (50, 2)),
        ordinary_s=(3.0, 3.0),
    )
    result = run.run(plan, run.Say())
    installed = [one for one in throughput.CANDIDATES if PYTHONS.get(one.module, ROOT).exists()]
    measured = {one.name: result["throughput"][one.name] for one in installed}
    assert {name: one["wrong"] for name, one in measured.items()} == dict.fromkeys(measured)
    assert {len(one["rounds"]) for one in measured.values()} == {1}
    assert all(one["median"]["bytes_out"] > 30 for one in measured.values() if one["says"] != "lanes, no job")
    by_rate = result["latency"]["rates"]
    assert {rate: one["sent"] for rate, one in by_rate.items()} == {"100": 300, "50": 100}
    assert all(one["events_read"] == one["events"] > 0 for one in by_rate.values())
    assert {rate: {"worker", "broker"} - one["cores"].keys() for rate, one in result["ordinary"].items()} == {
        rate: set() for rate in ("0", "10", "100")
    }
    unknown = {target.name for target in TARGETS if target.value(result) is None}
    assert {name for name in unknown if "to_quix" not in name} <= {
        f"latency.{rate}.alerts.{share}" for rate in (1, 10, 1000) for share in ("p50", "p99")
    }
    assert [result["recovery"][store]["records"] for store in ("memory", "rocksdb")] == [3000, 3000]
    assert result["recovery"]["memory"]["states"] == 3000
    shown = Console(file=StringIO(), width=200)
    report.show(result, shown)
    assert list(tmp_path.iterdir()) == []


def test_an_alert_of_a_condition_is_not_timed_by_a_callback() -> None:
    names = topics.names("")
    reader = latency.Reader("127.0.0.1:1", names, 1)
    for evidence in ([], [{"partition": 0, "offset": 7}]):
        reader.note(names.alerts, {"evidence": evidence}, 1.5)
    reader.note(names.events, {"origin": {"partition": 0, "offset": 9}}, 2.5)
    assert (reader.alerts, reader.events) == ({(0, 7): 1.5}, {(0, 9): 2.5})


def test_only_the_first_alert_of_a_call_is_timed_from_the_gateway_on() -> None:
    reader = through.AlertReader("127.0.0.1:1", "alerts", 1)
    for now, call in enumerate(({"id": "CA1"}, None, {"id": "CA1"})):
        reader.note({"call": call}, float(now))
    assert reader.read_at == {"CA1": 0.0}


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
    done = {"records": 500, "events": written.events, "alerts": written.alerts, "dead_letters": 0}
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
    assert {key for table in world.job.tables.values() for key in table} <= {SUBSCRIPTIONS}
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
    first, again = pairs.run([ROOT, ROOT], sys.executable, "mixed", 20, seed=1)
    assert first["digests"] == again["digests"]
    assert first["records"] == again["records"]
    for job in ("callback", "mixed"):
        here, other = (offline.JOBS[job](20, seed, lambda: None)["digests"] for seed in (1, 2))
        assert here != other
        if job == "mixed":
            assert here == first["digests"]


def test_a_number_between_goal_and_floor_is_accepted_and_not_met() -> None:
    share = Target("worker", "worker, cores", "worker", most=0.03, floor=0.05)
    assert [(share.met(value), share.accepted(value)) for value in (0.03, 0.04, 0.06)] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    speed = Target("worker", "worker, deliveries/s", "worker", least=40_000, floor=28_000)
    assert [speed.accepted(value) for value in (27_000, 28_000)] == [False, True]


def test_candidates_are_compared_in_the_rounds_that_they_share() -> None:
    def rounds(*us: float) -> list[dict[str, float]]:
        return [{"cpu_us": one} for one in us]

    assert throughput.ratio(rounds(20, 60, 30), rounds(10, 20, 30)) == 2.0
    assert throughput.ratio(rounds(20, 60), rounds(10)) == 2.0
    assert throughput.ratio([], rounds(10)) is None


def test_the_processor_time_of_a_session_is_that_of_its_roles_and_of_what_works_in_its_folder(
    tmp_path: Path,
) -> None:
    with _busy("worker") as measured, _busy("poller"), _busy("simulate", tmp_path):
        found = ordinary.cpu_seconds(measured.pid, str(tmp_path))
    assert 0.05 < found["worker"] < 5
    assert 0.05 < found["simulate"] < 5
    assert "poller" not in found


@contextlib.contextmanager
def _busy(role: str, directory: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, named as the role, that has used a tenth of a second."""
    busy = (
        "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\nimport sys; sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", busy, role],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.communicate()
