"""The broker dies under the whole worker and comes back: soon, and after longer than a session."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.e2e.full_worker import (
    CommitProgress,
    create_topics,
    full_worker,
    get_json,
    get_text,
    health_url,
    is_midstream,
    supervised,
)
from tests.e2e.harness import Feed, stopped_after, wait_until
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 4
BACK_AT_WORK_S = 45.0


@pytest.mark.parametrize(("store", "away_s"), [("memory", 0.0), ("rocksdb", 0.0), ("memory", 12.0)], ids=str)
def test_the_broker_killed_in_mid_stream_comes_back(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str, away_s: float
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 2500)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path, store=store)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with supervised(worker) as codes, Feed(broker.bootstrap, story.records, rate=1500):
            assert is_midstream(progress.wait(0.3))
            broker.kill()
            time.sleep(away_s)  # the fault itself: how long the broker is away
            broker.restart()
            stood = progress.wait(0.0)
            back_s = progress.timed(stood + 0.001)
            progress.finish()
        print(f"at work {back_s:.1f} s after the broker was back", file=sys.stderr)
        print(f"the worker ended {len(codes)} times: {codes}", file=sys.stderr)
        assert set(codes) <= {75}, "it gave up only to be started again"
        assert back_s < BACK_AT_WORK_S
        worker.wait_ready()
        assert worker.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_a_broker_that_hangs_for_longer_than_a_session_costs_nothing(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 2500)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with supervised(worker) as codes, Feed(broker.bootstrap, story.records, rate=1500):
            assert is_midstream(progress.wait(0.3))
            broker.freeze()
            time.sleep(14.0)  # the fault itself
            broker.thaw()
            stood = progress.wait(0.0)
            back_s = progress.timed(stood + 0.001)
            progress.finish()
        print(f"at work {back_s:.1f} s after the broker was back", file=sys.stderr)
        print(f"the worker ended {len(codes)} times: {codes}", file=sys.stderr)
        assert set(codes) <= {75}
        assert back_s < BACK_AT_WORK_S
        worker.wait_ready()
        assert worker.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_probes_say_that_the_broker_is_gone_and_that_it_is_back(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 50)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path, environ={"CALLSTREAM_SESSION_TIMEOUT_S": "10"})
    with stopped_after(worker):
        url = health_url(worker.start())
        wait_until(lambda: get_json(f"{url}/readyz")[0] == 200, "the worker is ready")
        broker.kill()
        gone_at = time.monotonic()
        wait_until(lambda: get_json(f"{url}/readyz")[0] != 200, "the worker says that it is not ready", 30)
        noticed_s = time.monotonic() - gone_at
        print(f"not ready {noticed_s:.1f} s after the broker was gone", file=sys.stderr)
        assert noticed_s < 15
        if worker.exit_code is None:
            status, body = get_json(f"{url}/readyz")
            assert status == 503
            said = ("silent", "taken no record", "rebalancing")
            assert any(word in reason for word in said for reason in body["reasons"]), body
            assert get_json(f"{url}/livez")[0] == 200, "a restart would not bring the broker back"
            assert get_text(f"{url}/metrics")[0] == 200
        broker.restart()
        with supervised(worker):
            wait_until(
                lambda: get_json(f"{health_url(worker)}/readyz")[0] == 200, "the worker is ready again", 90
            )
        assert worker.terminate()[0] == 0
