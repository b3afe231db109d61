"""One batch through the whole job: decode, mask, identify, fold, and what follows from it.

The rule of this file: one bad record costs only itself. What cannot be read becomes a dead letter with its
bytes; an error of our own does too, and many in a row stop the worker instead of draining a topic into the
dead letters. Nothing here is awaited and nothing is kept before the commit: an aborted batch leaves no trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import orjson
from stream.runtime.topics import Topics

from agents.due import Due
from agents.emit import alert_outputs
from stream.core.alerts import Alert
from stream.core.call import Call, dump, load, load_head
from stream.core.events import DecodeError, Envelope, Event, Origin, Reading
from stream.core.fold import GAP_SOURCE, Folded, Policy, fold, tick
from stream.core.identity import event_id
from stream.core.instants import instant
from stream.core.privacy import Privacy
from stream.core.record import CallRecord
from stream.runtime.lanes.batch import Batch, Output, Record
from stream.runtime.metrics.standing import Standing
from stream.runtime.metrics.tally import ActiveLabels, Tally
from stream.runtime.metrics.vocabulary import UNKNOWN
from stream.runtime.metrics.worker import Metrics
from stream.runtime.wire import dead_letter_headers, read_envelope
from stream.sources import DECODERS

LOOKED_AT_PER_TICK = 5000
"""So many due calls are looked at for one tick; the rest wait for the next. It bounds a transaction."""

_encode = msgspec.json.Encoder().encode

Get = Callable[[bytes], bytes | None]


class FaultyWorkerError(RuntimeError):
    """Errors of our own on many records in a row: the fault is here, not in the records."""


class Work:
    """What one batch has come to so far. Dropped whole if the batch is aborted."""

    __slots__ = (
        "added",
        "calls",
        "errors_in_a_row",
        "failed",
        "get",
        "looked_at",
        "outputs",
        "partition",
        "tally",
        "topics",
    )

    def __init__(self, partition: int, get: Get, topics: Topics, errors_in_a_row: int) -> None:
        self.partition = partition
        self.get = get
        self.topics = topics
        self.calls: dict[bytes, Call | None] = {}
        self.outputs: dict[str, list[Output]] = {}
        self.tally = Tally(partition)
        self.added: list[tuple[int, bytes]] = []
        self.looked_at: list[tuple[int, bytes]] = []
        self.errors_in_a_row = errors_in_a_row
        self.failed: set[tuple[str, int]] = set()

    def call(self, key: bytes) -> Call | None:
        """The state of a call: as this batch left it, else as the store has it."""
        if key in self.calls:
            return self.calls[key]
        stored = self.get(key)
        return load(stored) if stored is not None else None

    def write(self, topic: str, output: Output) -> None:
        """One more record for `topic`."""
        outputs = self.outputs.get(topic)
        if outputs is None:
            outputs = self.outputs[topic] = []
        outputs.append(output)


def labels(call: Call) -> ActiveLabels | None:
    """Under which labels a call counts as active, None once it has ended."""
    return None if call.ended else (call.key.partition(":")[0], call.account, call.direction)


class CallProcessor:
    """The job of the lanes: records in, states and outputs out.

    `deployment` names this installation in alerts; `errors_limit` is how many errors of our own in a row
    stop it.
    """

    def __init__(
        self,
        topics: Topics,
        policy: Policy,
        privacy: Privacy,
        metrics: Metrics,
        *,
        deployment: str,
        errors_limit: int,
    ) -> None:
        self._topics = topics
        self._policy = policy
        self._privacy = privacy
        self._metrics = metrics
        self._deployment = deployment
        self._errors_limit = errors_limit
        self._due: dict[int, Due] = {}
        self._errors_in_a_row: dict[int, int] = {}

    def opened(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None:
        """A partition is ours: index when its calls are due, and count what stands."""
        due = Due()
        active: Counter[ActiveLabels] = Counter()
        overdue: Counter[str] = Counter()
        gaps_open: Counter[str] = Counter()
        for key, stored in items:
            head = load_head(stored)
            due.add(head.due_s, key)
            provider = key.partition(b":")[0].decode()
            if not head.ended:
                active[provider, head.account, head.direction] += 1
            if head.overdue:
                overdue[provider] += 1
            if head.gaps_open:
                gaps_open[GAP_SOURCE[provider]] += head.gaps_open
        self._due[partition] = due
        self._errors_in_a_row[partition] = 0
        self._metrics.opened(partition, Standing(active, overdue, gaps_open))

    def closed(self, partition: int) -> None:
        """A partition is another's."""
        self._due.pop(partition, None)
        self._errors_in_a_row.pop(partition, None)
        self._metrics.closed(partition)

    def process(self, partition: int, records: Sequence[Record], get: Get) -> Batch:
        """Fold `records` in their order. Raises FaultyWorkerError."""
        work = Work(partition, get, self._topics, self._errors_in_a_row[partition])
        ticks = self._topics.ticks
        for at, record in enumerate(records):
            if record.topic == ticks:
                self._tick(work, record)
            else:
                self._deliver(work, records, at, record)
        states = {key: dump(call) if call is not None else None for key, call in work.calls.items()}
        return Batch(states, work.outputs, lambda: self._committed(work))

    def _committed(self, work: Work) -> None:
        due = self._due.get(work.partition)
        if due is not None:
            due.forget(work.looked_at)
            for second, key in work.added:
                due.add(second, key)
            self._errors_in_a_row[work.partition] = work.errors_in_a_row
        self._metrics.add(work.tally)

    # -- a delivery

    def _deliver(self, work: Work, records: Sequence[Record], at: int, record: Record) -> None:
        source = UNKNOWN
        try:
            envelope = read_envelope(record.value)
            source = envelope.source
            readings = self._read(envelope, record)
            self._apply(work, record, envelope, readings)
        except DecodeError as error:
            self._bury(work, record, source, "decode", error.reason, error.detail)
        except Exception as error:  # noqa: BLE001  the edge: what is wrong with us must not cost other records
            self._fail(work, records, at, source, error)
        else:
            work.errors_in_a_row = 0

    def _read(self, envelope: Envelope, record: Record) -> list[Reading]:
        readings: list[Reading] = DECODERS[envelope.source](envelope)
        key = record.key
        if key is None or key != readings[0].event.key.encode():
            raise DecodeError("key_mismatch", "the record's key is not the call that its body names")
        for reading in readings:
            self._privacy.apply(reading)
        return readings

    def _apply(self, work: Work, record: Record, envelope: Envelope, readings: list[Reading]) -> None:
        origin = Origin(record.topic, record.partition, record.offset)
        key = record.key
        assert key is not None
        if is_call(readings[0].event):
            call = work.call(key)
            due_s = call.due_s if call is not None else 0
            before = labels(call) if call is not None else None
            overdue = call is not None and call.overdue
            folded = fold(call, readings, envelope, origin, self._policy)
            call = folded.call
            assert call is not None
            work.calls[key] = call
            if call.due_s != due_s:
                work.added.append((call.due_s, key))
            work.tally.active_moved(before, labels(call))
            if overdue and not call.overdue:
                work.tally.overdue[readings[0].event.provider] -= 1
        else:
            folded = pass_through(readings, envelope, origin)
        self._carry_out(work, key, folded.effects)
        self._count(work.tally, folded, readings[0], envelope)

    def _carry_out(self, work: Work, key: bytes, effects: list[Any]) -> None:
        """Write and count what follows. All of it is encoded before any of it is written."""
        topics = work.topics
        outputs: list[tuple[str, Output]] = []
        for effect in effects:
            kind = type(effect)
            if kind is Event:
                outputs.append((topics.events, Output(key, _encode(effect))))
            elif kind is CallRecord:
                outputs.append((topics.ended, Output(key, _encode(effect))))
            elif kind is Alert:
                said, active = alert_outputs(effect, self._deployment)
                outputs += ((topics.alerts, said), (topics.alerts_active, active))
                count_alert(work.tally, effect)
            else:
                work.tally.count(effect)
        for topic, output in outputs:
            work.write(topic, output)

    def _count(self, tally: Tally, folded: Folded, first: Reading, envelope: Envelope) -> None:
        source = envelope.source
        tally.processed[source, folded.result] += 1
        if folded.match is not None:
            tally.deduplicated[source, folded.match] += 1
            return
        if folded.result == "late":
            tally.out_of_order[source] += 1
        if first.occurred_us is not None:
            tally.occurred_us[source].append(first.occurred_us)
            tally.received_after_us[source].append(envelope.received_us - first.occurred_us)

    # -- what cannot be applied

    def _bury(self, work: Work, record: Record, source: str, stage: str, reason: str, detail: str) -> None:
        headers = dead_letter_headers(
            reason, stage, detail, record.topic, record.partition, record.offset, record.headers
        )
        work.write(work.topics.dead_letters, Output(record.key, record.value, headers))
        work.tally.processed[source, "dead_lettered"] += 1
        work.tally.dead_letters[source, reason] += 1

    def _fail(self, work: Work, records: Sequence[Record], at: int, source: str, error: Exception) -> None:
        """An error of our own: undo what the record did to its call, and keep its bytes."""
        record = records[at]
        agent = "polled" if record.topic == self._topics.polled else "callbacks"
        work.tally.errors[agent, type(error).__name__] += 1
        work.errors_in_a_row += 1
        if work.errors_in_a_row >= self._errors_limit:
            raise FaultyWorkerError(
                f"{work.errors_in_a_row} records in a row failed, the last with {type(error).__name__}"
            ) from error
        work.failed.add((record.topic, record.offset))
        self._restore(work, records[:at], record.key)
        self._bury(work, record, source, "fold", "internal_error", type(error).__name__)

    def _restore(self, work: Work, earlier: Sequence[Record], key: bytes | None) -> None:
        """The call as it was before the record that failed half-way: folded again from the store."""
        if key is None or work.calls.pop(key, None) is None:
            return
        again = Work(work.partition, work.get, work.topics, 0)
        for record in earlier:
            if (record.topic, record.offset) in work.failed:
                continue
            if record.topic == work.topics.ticks:
                now_us = read_tick(record.value)
                if now_us is not None:
                    self._look(again, key, now_us)
            elif record.key == key:
                self._apply_again(again, record)
        if key in again.calls:
            work.calls[key] = again.calls[key]

    def _apply_again(self, again: Work, record: Record) -> None:
        try:
            envelope = read_envelope(record.value)
            readings = self._read(envelope, record)
        except DecodeError:
            return
        self._apply(again, record, envelope, readings)

    # -- a tick

    def _tick(self, work: Work, record: Record) -> None:
        now_us = read_tick(record.value)
        if now_us is None:
            self._bury(work, record, UNKNOWN, "decode", "invalid_field", "now is not a time")
            return
        work.tally.heartbeat_us = max(work.tally.heartbeat_us, now_us)
        now_s = now_us // 1_000_000
        due = self._due[work.partition].until(now_s, LOOKED_AT_PER_TICK)
        due += sorted(entry for entry in work.added if entry[0] <= now_s)
        for entry in due:
            work.looked_at.append(entry)
            self._look(work, entry[1], now_us)

    def _look(self, work: Work, key: bytes, now_us: int) -> None:
        call = work.call(key)
        if call is None or call.due_s > now_us // 1_000_000:
            return
        due_s, before, overdue = call.due_s, labels(call), call.overdue
        ticked = tick(call, now_us, self._policy)
        work.calls[key] = ticked.call
        provider = call.key.partition(":")[0]
        if ticked.call is None:
            work.tally.active_moved(before, None)
            work.tally.overdue[provider] -= overdue
        else:
            work.tally.overdue[provider] += call.overdue - overdue
            if call.due_s != due_s:
                work.added.append((call.due_s, key))
        self._carry_out(work, key, ticked.effects)


def count_alert(tally: Tally, alert: Alert) -> None:
    """An alert is published, and how long after its event it will have been."""
    tally.alerts_published[alert.rule.id, alert.severity, alert.state] += 1
    evidence = alert.evidence[0]
    occurred_us = instant(evidence.occurred_at) if evidence.occurred_at is not None else None
    if occurred_us is not None:
        tally.alerted_us[evidence.source].append(occurred_us)


def is_call(event: Event) -> bool:
    """Does this event belong to a call? Conferences without a leg have a key of their own and no state."""
    return ":conference:" not in event.key


def pass_through(readings: list[Reading], envelope: Envelope, origin: Origin) -> Folded:
    """Events of no call: identified and passed on, with no state to tell whether they came before."""
    events: list[Any] = []
    for reading in readings:
        event = reading.event
        event.id = event_id(event.key, event.family, reading.rung, reading.parts)
        event.received_at = envelope.received_at
        event.origin = origin
        events.append(event)
    return Folded(None, "applied", None, events)


def read_tick(value: bytes | None) -> int | None:
    """The time that a tick tells, in microseconds since 1970, None where it tells none."""
    try:
        now = orjson.loads(value or b"")["now"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return instant(now) if type(now) is str else None
