"""`callstream forget` with a real worker: a call is forgotten in its turn, and stays so over kill -9."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.core.call.state import load
from tests.e2e.full_worker import CommitProgress, create_topics, full_worker
from tests.e2e.harness import Feed, read_topic, stopped_after
from tests.e2e.simulated_load import SimulatedLoad
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 4


def test_a_call_that_is_forgotten_stays_so_though_the_worker_is_killed_and_all_comes_again(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 40)
    create_topics(broker.bootstrap, story)
    key = next(one.key for one in story.records if one.key)
    environ = {"CALLSTREAM_KAFKA": broker.bootstrap, "CALLSTREAM_TOPIC_PREFIX": prefix}
    worker = full_worker(broker.bootstrap, story, tmp_path, environ={"CALLSTREAM_INSTANCE_ID": f"{prefix}a"})
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records):
            pass
        progress.wait(1.0)
        done = subprocess.run(
            [sys.executable, "-m", "stream.cli", "forget", "--json", key.decode()],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == {"key": key.decode(), "forgotten": True, "was_kept": True}
        worker.kill()
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records):
            pass
        progress.finish()
        assert worker.terminate()[0] == 0
    told = [one for one in read_topic(broker.bootstrap, story.names.events) if one.key == key]
    assert [json.loads(one.value or b"null")["name"] for one in told].count("forgotten") == 1
    assert json.loads(told[-1].value or b"null")["name"] == "forgotten"
    ended = [one.value for one in read_topic(broker.bootstrap, story.names.ended) if one.key == key]
    assert ended[-1] is None
    states = [one.value for one in read_topic(broker.bootstrap, story.names.changelog) if one.key == key]
    assert states[-1] is not None
    assert load(states[-1]).forgotten
