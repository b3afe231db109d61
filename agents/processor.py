"""One batch of a partition: each record is decoded, masked, identified and folded; the effects are written.

One bad record costs only itself. A record that cannot be read becomes a dead letter with its bytes, and so
does one that fails by an error of our own. Too many of the latter in a row stop the worker, so that a bad
deploy does not drain a topic into the dead letters; a successful delivery or tick of the lane ends the row.
Nothing here is awaited and nothing is kept before the commit: an aborted batch leaves no trace, but that the
metrics know how far folding has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from agents.batch_state import BatchState, Get, PartitionMemory
from agents.call_folder import CallFolder, ReadRecord, kind_of, read_tick
from agents.due_index import DEAD_LETTER_AFTER, next_failure
from agents.held import due_and_held
from agents.outputs import count_delivery, dead_letter, dead_letter_call, write
from agents.scopes import TOLD_PER_BATCH, apply_told, forget_in_scopes, tick_scope, write_told
from stream.core.alerting.rules import Rules
from stream.core.alerting.scopes import is_scope
from stream.core.call.gaps import configuration_of, show_at_end
from stream.core.call.identity_pages import is_page
from stream.core.call.state import SEEN_CAP
from stream.core.delivery.subscriptions import KEY as SUBSCRIPTIONS_KEY
from stream.core.delivery.subscriptions import believed, load_subscriptions
from stream.core.events import UNDECODABLE, DecodeError, Envelope, Reading
from stream.core.fetches import FETCH_RESULT
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.engine.batch import Batch, Record
from stream.kafka.topics import Topics
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.label_values import UNKNOWN
from stream.service.metrics.worker import WorkerMetrics

CALLS_PER_TICK = 250
"""The maximum number of due calls that one tick checks; the next tick, which then comes sooner, checks the
rest. This bounds a transaction and how long the event loop is blocked: a call takes about 0.1 ms.
"""
CALLS_PER_BATCH = 250
"""A batch ends after the tick that reaches this number of checked calls, so that queued-up ticks do not make
one long batch.
"""
READ_AHEAD, READ_AHEAD_BYTES = 24, 1 << 20
"""How many records are read before the first of them is applied. What is read takes ten times the memory of
the record: of 50 and more, it no longer fits into a second-level cache, which costs a twentieth of the whole
job. Where records are larger together than READ_AHEAD_BYTES, each is read by itself.
"""


class FaultyWorkerError(RuntimeError):
    """Errors of our own on many records in a row: the worker is at fault, not the records."""


class CallProcessor:
    """The job of the lanes: records in, states and outputs out.

    `deployment` names this installation in alerts; `errors_limit` is how many errors of our own in a row
    stop the worker. `partitions`: what is kept in memory of each assigned partition.
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
        self.partitions: dict[int, PartitionMemory] = {}
        self.folder = CallFolder(policy, privacy, (topics.scopes, topics.ticks))
        self._topics = topics
        self._metrics = metrics
        self._deployment = deployment
        self._errors_limit = errors_limit

    def use_rules(self, rules: Rules | None) -> None:
        """Judge by these alert rules from the next batch on. None: a file was refused, they stay."""
        self._metrics.rules_read(rules is not None)
        if rules is not None:
            self.folder.policy = msgspec.structs.replace(self.folder.policy, alert_rules=rules)

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Index when the calls of a partition are due, and set its gauges."""
        memory, counts = PartitionMemory(), BatchCounts(partition)
        for key, stored in items:
            if is_page(key):
                continue
            try:
                if key == SUBSCRIPTIONS_KEY:
                    memory.subscriptions = load_subscriptions(stored)
                    continue
                due_s, held = due_and_held(key, stored)
            except UNDECODABLE as error:
                # Its next delivery becomes a dead letter. It must not keep the partition from being assigned.
                counts[f.PROCESSING_ERRORS, "ticks", type(error).__name__] += 1
                continue
            memory.add(due_s, key)
            for series in held:
                counts.gauges[series] += 1
        self.partitions[partition] = memory
        self._metrics.opened(partition)
        self._metrics.add(counts)
        self._metrics.indexed(partition, len(memory.due), len(memory.failures))

    def partition_revoked(self, partition: int) -> None:
        """Forget a revoked partition."""
        self.partitions.pop(partition, None)
        self._metrics.closed(partition)

    def process(self, partition: int, records: Sequence[Record], get: Get) -> Batch:
        """Fold `records` in order, as many as one batch may take. Raises FaultyWorkerError."""
        batch = BatchState(partition, get, self.partitions[partition])
        internal = self.folder.internal
        at = -1
        for at, read in enumerate(chain.from_iterable(map(self.folder.read, _read_together(records)))):
            if read.record.topic not in internal:
                self._deliver(batch, records, at, read)
                continue
            if read.record.topic == self._topics.ticks:
                self._tick(batch, records, at)
            else:
                self._take_internal(batch, records, at)
            if batch.tick_calls >= CALLS_PER_BATCH or batch.told_taken >= TOLD_PER_BATCH:
                break
        write_told(batch, self._topics)
        self._metrics.folded(partition, batch.counts.heartbeat_us)
        return Batch(
            batch.states(),
            batch.outputs,
            lambda: self._committed(batch),
            at + 1,
            batch.unfinished,
            batch.due_s(),
            batch.tick_calls,
        )

    def _committed(self, batch: BatchState) -> None:
        if self.partitions.get(batch.partition) is batch.memory:
            batch.commit()
            self._metrics.indexed(batch.partition, len(batch.memory.due), len(batch.memory.failures))
        self._metrics.add(batch.counts)

    # -- deliveries

    def _deliver(self, batch: BatchState, records: Sequence[Record], at: int, read: ReadRecord) -> None:
        record = read.record
        try:
            envelope = read.said()
            if read.readings:
                self._apply(batch, record, envelope, read.readings)
            elif envelope.source == FETCH_RESULT:
                self._apply_result(batch, record, envelope)
            else:
                self._forget(batch, record, envelope)
        except DecodeError as error:
            self._dead_letter(batch, record, read.source, "decode", error.reason, error.detail)
        except Exception as error:  # noqa: BLE001  the edge: our own error must not cost other records
            self._fail(batch, records, at, read.source, error)
        else:
            batch.succeeded()

    def _apply(
        self, batch: BatchState, record: Record, envelope: Envelope, readings: Sequence[Reading]
    ) -> None:
        key, first = record.key, readings[0]
        assert key is not None
        call = batch.call(key)
        due_s = call.due_s if call is not None else None
        folded = self.folder.fold(call, readings, envelope, record, batch.pages)
        call = folded.call
        if batch.subscriptions and call is not None and call.ended:
            show_at_end(call, envelope, folded.effects)
        write(batch, key, folded.effects, self._topics, self._deployment)
        if call is not None:
            batch.keep(key, due_s, call)
        if folded.left_out:
            detail = f"more than {SEEN_CAP}"
            self._dead_letter(batch, record, envelope.source, "fold", "too_many_events", detail)
        else:
            count_delivery(batch.counts, folded, first, envelope)

    def _apply_result(self, batch: BatchState, record: Record, envelope: Envelope) -> None:
        """Apply a fetch result. It is ignored if its call has left the table."""
        result = self.folder.read_result(envelope, record)
        key = result.key.encode()
        call = batch.call(key)
        if call is None:
            return
        due_s = call.due_s
        effects = self.folder.apply_result(call, result, envelope)
        write(batch, key, effects, self._topics, self._deployment)
        batch.keep(key, due_s, call)

    def _forget(self, batch: BatchState, record: Record, envelope: Envelope) -> None:
        """Have a mark take a call's place, in the batch's transaction like every other change."""
        key = record.key or b""
        call = batch.call(key)
        due_s = call.due_s if call is not None else None
        mark, effects = self.folder.forget(call, envelope, record, batch.pages)
        write(batch, key, effects, self._topics, self._deployment)
        batch.keep(key, due_s, mark)
        batch.forget_samples(key.decode())

    # -- what calls tell about something else

    def _take_internal(self, batch: BatchState, records: Sequence[Record], at: int) -> None:
        """Apply a record of the scopes topic, by its kind."""
        record = records[at]
        try:
            kind = kind_of(record.value)
            if kind in ("child", "sibling"):
                self._apply_relative(batch, record)
            elif kind in ("told", "forgotten"):
                apply = apply_told if kind == "told" else forget_in_scopes
                apply(batch, record, self._topics, self.folder.policy, self._deployment)
            else:
                raise DecodeError("unknown_source", f"no record of this topic is of kind {kind}")
        except DecodeError as error:
            self._dead_letter(batch, record, UNKNOWN, "decode", error.reason, error.detail)
        except Exception as error:  # noqa: BLE001  the edge: our own error must not cost other records
            self._fail(batch, records, at, UNKNOWN, error)
        else:
            batch.succeeded()

    def _apply_relative(self, batch: BatchState, record: Record) -> None:
        """Apply what another call's partition tells of a child or a sibling."""
        key = record.key or b""
        call = batch.call(key)
        due_s = call.due_s if call is not None else None
        call, effects = self.folder.relative(call, record)
        write(batch, key, effects, self._topics, self._deployment)
        if call is not None:
            batch.keep(key, due_s, call)

    # -- failures

    def _dead_letter(
        self, batch: BatchState, record: Record, source: str, stage: str, reason: str, detail: str
    ) -> None:
        dead_letter(batch, self._topics.dead_letters, record, source, stage, reason, detail)

    def _fail(
        self, batch: BatchState, records: Sequence[Record], at: int, source: str, error: Exception
    ) -> None:
        """An error of our own: undo what the record did to its call, and dead-letter its bytes."""
        record = records[at]
        agent = "polled" if record.topic == self._topics.polled else "callbacks"
        batch.counts[f.PROCESSING_ERRORS, agent, type(error).__name__] += 1
        self._count_in_a_row(batch, error)
        batch.failed.add((record.topic, record.offset))
        if record.key is not None:
            self.folder.refold_before(batch, records[:at], record.key)
        self._dead_letter(batch, record, source, "fold", "internal_error", type(error).__name__)

    def _count_in_a_row(self, batch: BatchState, error: Exception) -> None:
        batch.errors_in_a_row += 1
        if batch.errors_in_a_row >= self._errors_limit:
            raise FaultyWorkerError(
                f"{batch.errors_in_a_row} records in a row failed, the last with {type(error).__name__}"
            ) from error

    # -- ticks

    def _tick(self, batch: BatchState, records: Sequence[Record], at: int) -> None:
        record = records[at]
        now_us = read_tick(record.value)
        if now_us is None:
            self._dead_letter(batch, record, UNKNOWN, "decode", "invalid_field", "now is not a time")
            return
        batch.counts.heartbeat_us = max(batch.counts.heartbeat_us, now_us)
        now_s = now_us // 1_000_000
        batch.unfinished = False
        for checked, (second, key) in enumerate(batch.waiting(now_s)):
            if checked == CALLS_PER_TICK:
                batch.unfinished = True
                break
            batch.tick_calls += 1
            try:
                self._tick_call(batch, record.offset, second, key, now_us)
            except Exception as error:  # noqa: BLE001  the edge: one call must not stop the others
                self._tick_failed(batch, records, at, second, key, now_s, error)
            else:
                batch.succeeded()

    def _tick_call(self, batch: BatchState, offset: int, second: int, key: bytes, now_us: int) -> None:
        """Apply a tick to the call or scope that the index has at `second`."""
        if is_scope(key):
            tick_scope(batch, second, key, now_us, self._topics, self.folder.policy, self._deployment)
            return
        call = batch.call(key)
        if call is None:
            batch.move(key, second, None)
            return
        known = batch.subscriptions
        subscribed = believed(known, configuration_of(call), now_us // 1_000_000) if known else ()
        ticked = self.folder.tick(batch, call, now_us, subscribed)
        write(batch, key, ticked.effects, self._topics, self._deployment)
        batch.ticked[offset, key] = subscribed
        batch.keep(key, second, ticked.call)

    def _tick_failed(
        self,
        batch: BatchState,
        records: Sequence[Record],
        at: int,
        second: int,
        key: bytes,
        now_s: int,
        error: Exception,
    ) -> None:
        """Undo the tick of a call and retry it after a pause. After too many failures, dead-letter the call.

        A dead-lettered call counts as an error in a row only if nothing of the lane has succeeded since its
        first failure.
        """
        batch.counts[f.PROCESSING_ERRORS, "ticks", type(error).__name__] += 1
        self.folder.refold_before(batch, records[:at], key)
        failure = next_failure(batch.failure(key), now_s, batch.successes)
        batch.defer(key, second, failure)
        if failure.failures == DEAD_LETTER_AFTER:
            if failure.successes_before == batch.successes:
                self._count_in_a_row(batch, error)
            dead_letter_call(batch, self._topics.dead_letters, records[at], key, error)


def _read_together(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in the groups that are read before the first one of each is applied."""
    at = 0
    while at < len(records):
        ahead = records[at : at + READ_AHEAD]
        if sum([len(one.value or b"") for one in ahead]) > READ_AHEAD_BYTES:
            ahead = ahead[:1]
        at += len(ahead)
        yield ahead
