"""A live worker reads its alert rules again on SIGHUP, and keeps those it has where the file is wrong."""

from __future__ import annotations

import json
import os
import signal
from itertools import count
from pathlib import Path

import pytest

from tests.core.deliveries import callback
from tests.e2e.full_worker import create_topics, full_worker, get_text, health_url
from tests.e2e.harness import Feed, RecordToSend, read_topic, stopped_after, wait_until
from tests.e2e.simulated_load import SimulatedLoad
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 2
READ, KEPT = "alert rules read again from", "the alert rules stay as they were"


@pytest.mark.parametrize("processes", [1, 2])
def test_rules_are_taken_when_they_are_right_and_kept_when_they_are_wrong(
    broker: RealBroker, prefix: str, tmp_path: Path, processes: int
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 1)
    create_topics(broker.bootstrap, story)
    rules = tmp_path / "rules.toml"
    rules.write_text("")
    environ = {"CALLSTREAM_RULES": str(rules), "CALLSTREAM_WORKER_PROCESSES": str(processes)}
    worker = full_worker(broker.bootstrap, story, tmp_path, environ=environ)
    numbers = count()

    def reload(text: str, said: str, shown: str) -> None:
        """Signal, until each process has said what it did and the metric shows it."""
        before = worker.output().count(said)
        rules.write_text(text)
        os.kill(worker.running.pid, signal.SIGHUP)
        wait_until(lambda: worker.output().count(said) == before + processes, said, 20)
        url, series = f"{health_url(worker)}/metrics", f"\ncallstream_config_last_reload_successful {shown}\n"
        wait_until(lambda: series in get_text(url)[1], f"the metric is {shown}", 20)

    def severities() -> list[str]:
        """Of the alert of a call that fails now, in each partition."""
        failed = []
        for partition in range(PARTITIONS):
            one = callback("failed", "0", call_id=f"CA{next(numbers):032x}")
            failed.append(RecordToSend(story.names.callbacks, partition, one.key.encode(), one.value))
        keys = {one.key for one in failed}
        with Feed(broker.bootstrap, failed):
            pass
        found: dict[bytes | None, str] = {}

        def told() -> bool:
            for one in read_topic(broker.bootstrap, story.names.alerts):
                if one.key in keys and json.loads(one.value or b"")["revision"] == 1:
                    found[one.key] = json.loads(one.value or b"")["severity"]
            return found.keys() == keys

        wait_until(told, "the alert of each call is written", 90)
        return sorted(found.values())

    with stopped_after(worker):
        worker.start().wait_ready(times=processes)
        assert severities() == ["info"] * PARTITIONS
        reload("[[rules]]\nid = 'call.failed'\nseverity = 'critical'\n", READ, "1.0")
        assert severities() == ["critical"] * PARTITIONS
        reload("[[rules]]\nid = 'call.failed'\nseverity = 'fatal'\n", KEPT, "0.0")
        assert severities() == ["critical"] * PARTITIONS
        reload("[[rules]]\nid = 'call.failed'\nseverity = 'warning'\n", READ, "1.0")
        assert severities() == ["warning"] * PARTITIONS
        assert worker.terminate()[0] == 0
