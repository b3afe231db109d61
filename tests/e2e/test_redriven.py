"""Dead letters of a worker with a bug, written back to one without it: as if nothing had failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, get_text, health_url
from tests.e2e.harness import Feed, WorkerProcess, read_topic, stopped_after, wait_until
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 2
UNHURRIED = {"CALLSTREAM_GAP_GRACE_S": "600"}
"""A callback that is a dead letter is missing until it is written back."""

SOURCE = "twilio_status_callback"


def counted(worker: WorkerProcess, name: str, labels: str) -> int:
    """The value of a series as a scrape shows it."""
    _, text = get_text(f"{health_url(worker)}/metrics")
    series = f"callstream_{name}{{{labels}}} "
    return sum(int(float(line.split(" ")[-1])) for line in text.splitlines() if line.startswith(series))


def test_what_a_bug_made_dead_letters_is_applied_once_by_the_next_version_however_often_it_is_redriven(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 60)
    create_topics(broker.bootstrap, story)
    argv = ("-m", "tests.e2e.failing_worker", "worker")
    faulty = full_worker(broker.bootstrap, story, tmp_path, "a", argv=argv, environ=UNHURRIED)
    mended = full_worker(broker.bootstrap, story, tmp_path, "b", environ=UNHURRIED)

    def redrive() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "stream.cli", "dead-letters", "redrive", "--since", "1h", "--json"],
            env={
                **os.environ,
                "CALLSTREAM_KAFKA": broker.bootstrap,
                "CALLSTREAM_TOPIC_PREFIX": prefix,
                "CALLSTREAM_PARTITIONS": str(PARTITIONS),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        said = json.loads(done.stdout)
        return {name: said[name] for name in ("redriven", "redriven_before", "not_redriven")}

    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(faulty, mended):
        faulty.start().wait_ready()
        with Feed(broker.bootstrap, story.records):
            pass
        progress.finish()
        letters = read_topic(broker.bootstrap, story.names.dead_letters)
        assert len(letters) > 10
        assert {dict(one.headers)["error"] for one in letters} == {b"ZeroDivisionError"}
        result = f'result="dead_lettered",source="{SOURCE}"'
        assert counted(faulty, "events_processed_total", result) == len(letters)
        assert counted(faulty, "dead_letters_total", f'reason="internal_error",source="{SOURCE}"') == len(
            letters
        )
        assert faulty.terminate()[0] == 0

        mended.start().wait_ready()
        first = {"redriven": len(letters), "redriven_before": 0, "not_redriven": 0}
        assert redrive() == first
        again = {"redriven": 0, "redriven_before": len(letters), "not_redriven": 0}
        assert redrive() == again

        def applied() -> int:
            taken = ("applied", "late", "duplicate", "dead_lettered")
            return sum(
                counted(mended, "events_processed_total", f'result="{one}",source="{SOURCE}"')
                for one in taken
            )

        wait_until(lambda: applied() >= len(letters), "what was written back is applied", 60)
        progress.finish()
        assert applied() == len(letters)
        assert counted(mended, "events_processed_total", result) == 0
        assert mended.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story, poisoned=True).faults == {}
