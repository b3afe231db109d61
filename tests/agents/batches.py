"""Batches for the tests of the processor: records as fetched, a dict as store, and the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from agents.processor import CallProcessor
from stream.core.delivery.subscriptions import KEY as SUBSCRIPTIONS_KEY
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import POLLED_SOURCES
from stream.engine.batch import Output
from stream.kafka.topics import names
from stream.service.metrics.worker import WorkerMetrics
from tests.core.deliveries import TWILIO_KEY, Delivery, at

TOPICS = names("calls.")
PARTITION = 4
KEY = TWILIO_KEY.encode()
CALLBACKS = "twilio_status_callback"
POLLED = CallPolicy(polled=POLLED_SOURCES, overdue_s=50, settle_s=30_000, max_age_s=40_000)


@dataclass
class Fetched:
    """One record, as aiokafka returns it."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = PARTITION
    timestamp: int = 0


class Written(NamedTuple):
    """One written record."""

    topic: str
    output: Output

    @property
    def json(self) -> Any:
        return orjson.loads(self.output.value or b"null")


def record(one: Delivery, offset: int) -> Fetched:
    names = (b'"twilio_call', b'"twilio_insights', b'"telnyx_call', b'"fetch_result')
    polled = any(name in one.value for name in names)
    return Fetched(TOPICS.polled if polled else TOPICS.callbacks, offset, one.key.encode(), one.value)


def records(deliveries: Iterable[Delivery]) -> list[Fetched]:
    return [record(one, offset) for offset, one in enumerate(deliveries)]


def a_tick(second: float, offset: int) -> Fetched:
    return Fetched(TOPICS.ticks, offset, None, orjson.dumps({"v": 1, "now": at(second)}))


@dataclass
class Lane:
    """The processor on one partition: each batch is committed to the dict at once."""

    policy: CallPolicy = field(default_factory=CallPolicy)
    errors_limit: int = 5
    states: dict[bytes, bytes] = field(default_factory=dict)
    taken: list[int] = field(default_factory=list)
    unfinished: bool = False
    due_s: int | None = None
    ticked: int = 0

    def __post_init__(self) -> None:
        self.metrics = WorkerMetrics(clock=lambda: 1_772_445_600.0)
        self.processor = CallProcessor(
            TOPICS,
            self.policy,
            Privacy("masked"),
            self.metrics,
            deployment="calls",
            errors_limit=self.errors_limit,
        )
        self.processor.partition_assigned(PARTITION, self.states.items())

    def run(self, batch: Sequence[Fetched]) -> list[Written]:
        """Commit one batch. Records that the processor did not take follow as further batches."""
        outputs: dict[str, list[Output]] = {}
        while batch:
            done = self.processor.process(PARTITION, batch, self.states.get)
            for key, state in done.states.items():
                if state is None:
                    self.states.pop(key, None)
                else:
                    self.states[key] = state
            done.committed()
            self.taken.append(done.taken or 0)
            self.unfinished, self.due_s, self.ticked = done.unfinished, done.due_s, done.ticked
            for topic, some in done.outputs.items():
                outputs.setdefault(topic, []).extend(some)
            batch = batch[done.taken :]
        return written(outputs)

    @property
    def calls(self) -> dict[bytes, bytes]:
        """The states of the calls alone."""
        return {key: state for key, state in self.states.items() if key != SUBSCRIPTIONS_KEY}

    @property
    def due(self) -> list[tuple[int, bytes]]:
        """The content of the due index."""
        return list(self.processor.partitions[PARTITION].due.until(1 << 60))

    def counted(self, name: str, **labels: str) -> float:
        """The value of a series; 0 if it does not exist."""
        value = self.metrics.registry.get_sample_value(f"callstream_{name}", labels)
        return value if value is not None else 0.0


def written(outputs: dict[str, list[Output]]) -> list[Written]:
    return [Written(topic, Output(*one)) for topic, some in sorted(outputs.items()) for one in some]


def to(topic: str, some: Iterable[Written]) -> list[Written]:
    return [one for one in some if one.topic == topic]


def active(lane: Lane) -> float:
    return lane.counted("calls_active", provider="twilio", account="default", direction="outbound")
