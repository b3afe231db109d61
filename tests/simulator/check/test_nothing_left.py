"""What was planted comes out of the worker's job in no topic, key, header or metric.

No broker: simulated deliveries of every source go through the job itself, and all that it writes is searched.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents.processor import CallProcessor
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import POLLED_SOURCES
from stream.kafka.topics import names
from stream.service.metrics.worker import WorkerMetrics
from stream.simulator.calls.call import SourceRecord
from stream.simulator.check.leaks import LeakSearch
from tests.agents.batches import Fetched, a_tick, written
from tests.simulator.fake_poller import START_US, planted_records

TOPICS = names("calls.")
EVERYTHING = CallPolicy(polled=POLLED_SOURCES, overdue_s=50, settle_s=30, max_age_s=40_000)
SEARCHED = {
    *(TOPICS.events, TOPICS.ended, TOPICS.alerts, TOPICS.alerts_active),
    *(TOPICS.fetches, TOPICS.scopes),
}


PRIVACY = {
    "masked": Privacy("masked"),
    "masked, hashes beside": Privacy("masked", "key"),
    "hashed": Privacy("hashed", "key"),
    "full": Privacy("full"),
}


@pytest.fixture(scope="module")
def delivered() -> list[SourceRecord]:
    return planted_records()


def fetched(delivered: list[SourceRecord]) -> Iterator[Fetched]:
    for offset, record in enumerate(delivered):
        topic = TOPICS.callbacks if record.topic == TOPICS.callbacks else TOPICS.polled
        yield Fetched(topic, offset, record.key, record.value)


@pytest.mark.parametrize("mode", PRIVACY)
def test_nothing_that_was_planted_comes_out(delivered: list[SourceRecord], mode: str) -> None:
    metrics = WorkerMetrics(clock=lambda: START_US / 1e6)
    processor = CallProcessor(TOPICS, EVERYTHING, PRIVACY[mode], metrics, deployment="calls", errors_limit=1)
    processor.partition_assigned(0, ())
    states: dict[bytes, bytes] = {}
    search, seen = LeakSearch(only_secrets=mode == "full"), set()
    batch = [*fetched(delivered), a_tick(60, 0), a_tick(7300, 1)]
    for start in range(0, len(batch), 500):
        done = processor.process(0, batch[start : start + 500], states.get)
        states.update({key: state for key, state in done.states.items() if state is not None})
        done.committed()
        for topic, output in written(done.outputs):
            seen.add(topic)
            search.record(topic, "", output.key, output.value, output.headers)
    search.text("metrics", metrics.exposition()[0])
    assert seen == SEARCHED
    assert not search.examples, "\n".join(search.examples)
    assert folded(metrics) <= {"endpoint", "error_code", "sip_code"}, "the core has words that no label lists"


def folded(metrics: WorkerMetrics) -> set[str]:
    """The labels of which a value became `other`."""
    (family,) = (one for one in metrics.registry.collect() if one.name == "callstream_label_values_capped")
    return {one.labels["label"] for one in family.samples if one.value}
