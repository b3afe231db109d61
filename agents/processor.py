"""One batch through the whole job: decode, mask, identify, fold, and what follows from it.

The rule of this file: one bad record costs only itself. What cannot be read becomes a dead letter with its
bytes; an error of our own does too, and many in a row stop the worker instead of draining a topic into the
dead letters. In a row means that nothing of the lane went well meanwhile, no delivery and no look at a call.
Nothing here is awaited and nothing is kept before the commit: an aborted batch leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import orjson

from agents.batch_state import Get, Held, Work, labels
from agents.dead_letters import bury, set_aside
from agents.failing_calls import SET_ASIDE_AFTER, next_trouble
from agents.outputs import carry_out, count, count_error, outputs_of
from stream.core.call.fold import Folded, fold
from stream.core.call.identity_pages import Pages, is_page
from stream.core.call.ownership import check_signer
from stream.core.call.state import SEEN_CAP, Call, load_head
from stream.core.call.timers import Ticked, answered, tick
from stream.core.events import DecodeError, Envelope, Event, Origin, Reading
from stream.core.fetches import FETCH_RESULT, result_of
from stream.core.identity import event_id
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import PROVIDERS
from stream.core.timestamps import instant
from stream.engine.batch import Batch, Output, Record
from stream.kafka.envelope_codec import read_envelope
from stream.kafka.topics import Topics
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.label_values import UNKNOWN
from stream.service.metrics.worker import WorkerMetrics
from stream.sources import DECODERS

LOOKS_PER_TICK = 250
"""So many due calls are looked at for one tick; the rest wait for the next, which then comes sooner. It
bounds a transaction and how long the event loop is held: a look costs about 0.1 ms.
"""
LOOKS_PER_BATCH = 250
"""A batch ends behind the tick with which it has looked at so many calls: ticks that piled up are not one
batch.
"""

_encode = msgspec.json.Encoder().encode


class FaultyWorkerError(RuntimeError):
    """Errors of our own on many records in a row: the fault is here, not in the records."""


class CallProcessor:
    """The job of the lanes: records in, states and outputs out.

    `deployment` names this installation in alerts; `errors_limit` is how many errors of our own in a row
    stop it.
    """

    def __init__(
        self,
        topics: Topics,
        policy: CallPolicy,
        privacy: Privacy,
        metrics: WorkerMetrics,
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
        self._held: dict[int, Held] = {}

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None:
        """A partition is ours: index when its calls are due, and count what stands."""
        held, counts = Held(), BatchCounts(partition)
        for key, stored in items:
            if is_page(key):
                continue
            try:
                head = load_head(stored)
            except msgspec.DecodeError as error:
                # Its next delivery becomes a dead letter; it must not keep the others from being opened.
                counts[f.PROCESSING_ERRORS, "ticks", type(error).__name__] += 1
                continue
            held.due.add(head.due_s, key)
            provider = key.partition(b":")[0].decode()
            if not head.ended:
                counts.gauges[f.CALLS_ACTIVE, provider, head.account, head.direction] += 1
            if head.overdue:
                counts.gauges[f.CALLS_OVERDUE, provider] += 1
            if head.gaps_open:
                counts.gauges[f.SEQUENCE_GAPS_OPEN, PROVIDERS[provider].numbered] += head.gaps_open
        self._held[partition] = held
        self._metrics.opened(partition)
        self._metrics.add(counts)
        self._metrics.indexed(partition, len(held.due), len(held.troubles))

    def partition_revoked(self, partition: int) -> None:
        """A partition is another's."""
        self._held.pop(partition, None)
        self._metrics.closed(partition)

    def process(self, partition: int, records: Sequence[Record], get: Get) -> Batch:
        """Fold `records` in their order, as many of them as one batch may take. Raises FaultyWorkerError."""
        work = Work(partition, get, self._held[partition])
        ticks = self._topics.ticks
        taken = 0
        for at, record in enumerate(records):
            taken = at + 1
            if record.topic != ticks:
                self._deliver(work, records, at, record)
                continue
            self._tick(work, records, at)
            if work.looks >= LOOKS_PER_BATCH:
                break
        return Batch(
            work.states(), work.outputs, lambda: self._committed(work), taken, work.unfinished, work.due_s()
        )

    def _committed(self, work: Work) -> None:
        if self._held.get(work.partition) is work.held:
            work.commit()
            self._metrics.indexed(work.partition, len(work.held.due), len(work.held.troubles))
        self._metrics.add(work.counts)

    # -- a delivery

    def _deliver(self, work: Work, records: Sequence[Record], at: int, record: Record) -> None:
        source = UNKNOWN
        try:
            envelope = read_envelope(record.value)
            source = envelope.source
            if source == FETCH_RESULT:
                self._answered(work, record, envelope)
            else:
                self._apply(work, record, envelope, self._read(envelope, record))
        except DecodeError as error:
            bury(work, self._topics.dead_letters, record, source, "decode", error.reason, error.detail)
        except Exception as error:  # noqa: BLE001  the edge: what is wrong with us must not cost other records
            self._fail(work, records, at, source, error)
        else:
            work.went_well()

    def _read(self, envelope: Envelope, record: Record) -> list[Reading]:
        readings: list[Reading] = DECODERS[envelope.source](envelope)
        key = record.key
        if key is None or key != readings[0].event.key.encode():
            raise DecodeError("key_mismatch", "the record's key is not the call that its body names")
        check_signer(envelope, readings)
        for reading in readings:
            self._privacy.apply(reading)
        return readings

    def _apply(self, work: Work, record: Record, envelope: Envelope, readings: list[Reading]) -> None:
        key, origin = record.key, Origin(record.topic, record.partition, record.offset)
        assert key is not None
        first = readings[0]
        if not is_call(first.event):
            folded = pass_through(readings, envelope, origin)
            carry_out(work, self._outputs(key, folded.effects), folded.effects)
            count(work.counts, folded, first, envelope)
            return
        call, provider = work.call(key), first.event.provider
        due_s: int | None = None
        before, overdue = None, False
        if call is not None:
            due_s, before, overdue = call.due_s, labels(call, provider), call.overdue
        folded = fold(call, readings, envelope, origin, self._policy, work.pages)
        call = folded.call
        assert call is not None
        outputs = self._outputs(key, folded.effects)
        # Whatever could fail is behind us: a record is applied whole or not at all.
        work.calls[key] = call
        work.move(key, due_s, call.due_s)
        work.counts.active_moved(before, labels(call, provider))
        if overdue and not call.overdue:
            work.counts.gauges[f.CALLS_OVERDUE, provider] -= 1
        carry_out(work, outputs, folded.effects)
        if folded.left_out:
            bury(
                work,
                self._topics.dead_letters,
                record,
                envelope.source,
                "fold",
                "too_many_events",
                f"more than {SEEN_CAP}",
            )
        else:
            count(work.counts, folded, first, envelope)

    def _answered(self, work: Work, record: Record, envelope: Envelope) -> None:
        """A fetch came to an end. For a call that has left the table it is no news."""
        result, key = result_of(envelope), record.key
        if key is None or key != result.key.encode():
            raise DecodeError("key_mismatch", "the record's key is not the call that the fetch was for")
        call = work.call(key)
        if call is None:
            return
        due_s = call.due_s
        effects = answered(call, result, envelope.received_us, envelope.received_at, self._policy)
        outputs = self._outputs(key, effects)
        work.calls[key] = call
        work.move(key, due_s, call.due_s)
        carry_out(work, outputs, effects)

    def _outputs(self, key: bytes, effects: list[Any]) -> list[tuple[str, Output]]:
        return outputs_of(key, effects, self._topics, self._deployment)

    # -- what cannot be applied

    def _fail(self, work: Work, records: Sequence[Record], at: int, source: str, error: Exception) -> None:
        """An error of our own: undo what the record did to its call, and keep its bytes."""
        record = records[at]
        count_error(work, "polled" if record.topic == self._topics.polled else "callbacks", error)
        self._in_a_row(work, error)
        work.failed.add((record.topic, record.offset))
        if record.key is not None:
            self._undo(work, records[:at], record.key)
        bury(work, self._topics.dead_letters, record, source, "fold", "internal_error", type(error).__name__)

    def _in_a_row(self, work: Work, error: Exception) -> None:
        """One more is to be set aside, and nothing went well since the last one."""
        work.errors_in_a_row += 1
        if work.errors_in_a_row >= self._errors_limit:
            raise FaultyWorkerError(
                f"{work.errors_in_a_row} records in a row failed, the last with {type(error).__name__}"
            ) from error

    def _undo(self, work: Work, earlier: Sequence[Record], key: bytes) -> None:
        """A call as it was before something failed half-way: folded again from the store."""
        work.pages.undo(key.decode("utf-8", "replace"))
        if key not in work.calls:
            return
        call = work.stored(key)
        for record in earlier:
            if record.topic == self._topics.ticks:
                now_us = read_tick(record.value)
                if call is not None and now_us is not None and (record.offset, key) in work.ticked:
                    call = self._ticked(work, call, now_us).call
            elif record.key == key and (record.topic, record.offset) not in work.failed:
                call = self._again(call, record, work.pages)
        work.calls[key] = call

    def _again(self, call: Call | None, record: Record, pages: Pages) -> Call | None:
        try:
            envelope = read_envelope(record.value)
            if envelope.source == FETCH_RESULT:
                result = result_of(envelope)
                if call is not None and record.key == result.key.encode():
                    answered(call, result, envelope.received_us, envelope.received_at, self._policy)
                return call
            readings = self._read(envelope, record)
            if not is_call(readings[0].event):
                return call
            origin = Origin(record.topic, record.partition, record.offset)
            return fold(call, readings, envelope, origin, self._policy, pages).call
        except DecodeError:
            return call

    # -- a tick

    def _tick(self, work: Work, records: Sequence[Record], at: int) -> None:
        record = records[at]
        now_us = read_tick(record.value)
        if now_us is None:
            bury(
                work,
                self._topics.dead_letters,
                record,
                UNKNOWN,
                "decode",
                "invalid_field",
                "now is not a time",
            )
            return
        work.counts.heartbeat_us = max(work.counts.heartbeat_us, now_us)
        now_s = now_us // 1_000_000
        work.unfinished = False
        for looks, (second, key) in enumerate(work.waiting(now_s)):
            if looks == LOOKS_PER_TICK:
                work.unfinished = True
                break
            work.looks += 1
            try:
                self._look(work, record.offset, second, key, now_us)
            except Exception as error:  # noqa: BLE001  the edge: one call must not stop the others
                self._look_failed(work, records, at, second, key, now_s, error)
            else:
                work.went_well()

    def _look(self, work: Work, offset: int, second: int, key: bytes, now_us: int) -> None:
        """Look at a call that stands in the index at this second."""
        call = work.call(key)
        if call is None:
            work.move(key, second, None)
            return
        provider = call.key.partition(":")[0]
        before, overdue = labels(call, provider), call.overdue
        ticked = self._ticked(work, call, now_us)
        call = ticked.call
        outputs = self._outputs(key, ticked.effects)
        work.calls[key] = call
        work.ticked.add((offset, key))
        work.move(key, second, call.due_s if call is not None else None)
        work.counts.active_moved(before, labels(call, provider) if call is not None else None)
        work.counts.gauges[f.CALLS_OVERDUE, provider] += (call is not None and call.overdue) - overdue
        carry_out(work, outputs, ticked.effects)

    def _ticked(self, work: Work, call: Call, now_us: int) -> Ticked:
        """A call after a look, its pages gone with it."""
        ticked = tick(call, now_us, self._policy)
        if ticked.call is None and call.paged:
            work.pages.drop(call.key)
        return ticked

    def _look_failed(
        self,
        work: Work,
        records: Sequence[Record],
        at: int,
        second: int,
        key: bytes,
        now_s: int,
        error: Exception,
    ) -> None:
        """Undo the look, and look again after a pause. A call on which too many failed is set aside.

        That is an error in a row only where nothing of the lane went well since its first look failed.
        """
        count_error(work, "ticks", error)
        self._undo(work, records[:at], key)
        trouble = next_trouble(work.trouble(key), now_s, work.good)
        work.defer(key, second, trouble)
        if trouble.failures == SET_ASIDE_AFTER:
            if trouble.good_before == work.good:
                self._in_a_row(work, error)
            set_aside(work, self._topics.dead_letters, records[at], key, error)


def is_call(event: Event) -> bool:
    """Does this event belong to a call? Conferences without a leg have a key of their own and no state."""
    return ":conference:" not in event.key


def pass_through(readings: list[Reading], envelope: Envelope, origin: Origin) -> Folded:
    """Events of no call: identified and passed on, with no state to tell whether they came before."""
    events: list[Any] = []
    for reading in readings:
        event = reading.event
        event.id = event_id(event.key, event.family, reading.identity_rule, reading.parts)
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
