"""The uncommitted result of one batch of one partition: states, outputs and counts, all in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain, islice

from agents.due_index import DueIndex, TickFailure
from agents.held import held_series, scope_series
from stream.core.alerting.scopes import Scope, Told, dump_scope, is_scope, load_scope
from stream.core.call.identity_pages import Pages
from stream.core.call.state import Call, dump, load
from stream.core.delivery.subscriptions import KEY as SUBSCRIPTIONS_KEY
from stream.core.delivery.subscriptions import Subscriptions, dump_subscriptions
from stream.core.effects import Observed
from stream.engine.batch import Output
from stream.service.metrics.batch_counts import BatchCounts, Series

Get = Callable[[bytes], bytes | None]

CACHED_CALLS = 1024
"""Decoded calls kept for each partition: a call's next delivery often comes within a few batches."""


@dataclass
class PartitionMemory:
    """What is kept in memory of an assigned partition, beside its table. Only commits change it.

    - `scopes`: the keys of the scopes in the table.
    - `cache`: the last calls that were committed, decoded, so that they are not read from the store. A batch
      takes a call out and only its commit puts it back: one that an aborted batch changed is read again.
    - `due`: the index of due calls; `failures`: calls on which a tick failed. Their position in the index is
      the second of the next attempt.
    - `subscriptions`: what the partition's calls have shown of their callback configurations.
    - `errors_in_a_row`: our own errors without a successful tick or delivery in between; `successes`: the
      number of successful ones.
    """

    subscriptions: Subscriptions = field(default_factory=dict)
    scopes: set[bytes] = field(default_factory=set)
    cache: dict[bytes, Call] = field(default_factory=dict)
    due: DueIndex = field(default_factory=DueIndex)
    failures: dict[bytes, TickFailure] = field(default_factory=dict)
    errors_in_a_row: int = 0
    successes: int = 0

    def add(self, due_s: int, key: bytes) -> None:
        """An entry of the table, which is due at `due_s`."""
        self.due.add(due_s, key)
        if is_scope(key):
            self.scopes.add(key)


class BatchState:
    """The result of one batch so far. An aborted batch drops it as a whole.

    - `calls`: states by key, None for a call that leaves the table; `pages`: the identities of calls with
      very many events.
    - `scopes`: states of scopes by key, encoded; `told`: what its calls tell about scopes;
      `told_taken`: how many records told this batch of scopes.
    - `held`: by key, the series of gauges that a call or scope was part of before the batch;
      `scopes_hold`: those that a scope is part of after it.
    - `moved`: by key, the old and the new position of a call in the index, None for none; `failures`: as in
      `PartitionMemory`, None for one that is over.
    - `ticked`: by (offset of the tick, key) of the calls that a tick changed, the subscriptions that it took
      for granted; `tick_calls`: how many calls were checked; `unfinished`: the last tick left something due.
    - `failed`: (topic, offset) of the records that failed by our own errors.
    - `event_buffer`, `record_buffer`: where events and call records are encoded. A buffer that is kept need
      not grow again for each of them, if what it holds is of about one length.
    """

    __slots__ = (
        "calls",
        "counts",
        "errors_in_a_row",
        "event_buffer",
        "failed",
        "failures",
        "get",
        "held",
        "memory",
        "moved",
        "outputs",
        "pages",
        "partition",
        "record_buffer",
        "scopes",
        "scopes_hold",
        "subscriptions",
        "successes",
        "tick_calls",
        "ticked",
        "told",
        "told_taken",
        "unfinished",
    )

    def __init__(self, partition: int, get: Get, memory: PartitionMemory) -> None:
        self.partition = partition
        self.get = get
        self.memory = memory
        self.calls: dict[bytes, Call | None] = {}
        self.scopes: dict[bytes, bytes | None] = {}
        self.told: dict[str, Told] = {}
        self.told_taken = 0
        self.held: dict[bytes, tuple[Series, ...]] = {}
        self.scopes_hold: dict[bytes, tuple[Series, ...]] = {}
        self.pages = Pages(get)
        self.subscriptions = memory.subscriptions
        self.outputs: defaultdict[str, list[Output]] = defaultdict(list)
        self.counts = BatchCounts(partition)
        self.moved: dict[bytes, tuple[int | None, int | None]] = {}
        self.failures: dict[bytes, TickFailure | None] = {}
        self.ticked: dict[tuple[int, bytes], tuple[int, ...]] = {}
        self.tick_calls = 0
        self.unfinished = False
        self.errors_in_a_row = memory.errors_in_a_row
        self.successes = memory.successes
        self.failed: set[tuple[str, int]] = set()
        self.event_buffer, self.record_buffer = bytearray(2048), bytearray(4096)

    def call(self, key: bytes) -> Call | None:
        """The state of a call: as this batch left it, else as the store has it."""
        if key in self.calls:
            return self.calls[key]
        call = self.memory.cache.pop(key, None) or self.stored(key)
        if call is not None:
            self.held.setdefault(key, held_series(call.provider, call))
        return call

    def stored(self, key: bytes) -> Call | None:
        """The state of a call before this batch."""
        stored = self.get(key)
        return load(stored) if stored is not None else None

    def states(self) -> dict[bytes, bytes | None]:
        """All changes of the table, None for a key that leaves it."""
        states = {key: dump(call) if call is not None else None for key, call in self.calls.items()}
        if self.subscriptions is not self.memory.subscriptions:
            states[SUBSCRIPTIONS_KEY] = dump_subscriptions(self.subscriptions)
        return states | self.scopes | self.pages.changes()

    def scope(self, key: bytes) -> Scope | None:
        """The state of a scope, as this batch left it, else as the store has it. A copy."""
        stored = self.scopes[key] if key in self.scopes else self.get(key)
        scope = load_scope(stored) if stored is not None else None
        self.held.setdefault(key, scope_series(scope))
        return scope

    def keep_scope(self, key: bytes, was_s: int | None, now: Scope | None) -> None:
        """A scope that was due at `was_s` has changed, None if it leaves the table."""
        self.scopes[key] = dump_scope(now) if now is not None else None
        self.scopes_hold[key] = scope_series(now)
        self.move(key, was_s, now.due_s if now is not None else None)

    def scopes_with(self, part: bytes) -> list[bytes]:
        """The keys of the scopes whose state contains these bytes, sorted."""
        return [
            key
            for key in sorted(self.memory.scopes | self.scopes.keys())
            if part in ((self.scopes[key] if key in self.scopes else self.get(key)) or b"")
        ]

    def forget_samples(self, key: str) -> None:
        """Let the batch tell nothing of a forgotten call."""
        for told in self.told.values():
            told.samples = [one for one in told.samples if one[2] != key]

    def observe(self, observed: Observed) -> None:
        """Add what a call tells about a scope to what this batch tells."""
        told = self.told.get(observed.scope)
        if told is None:
            told = self.told[observed.scope] = Told(scope=observed.scope, heard_us=observed.heard_us)
        told.add(observed)

    def succeeded(self) -> None:
        """A delivery or a tick of a call succeeded: later errors start a new row."""
        self.errors_in_a_row = 0
        self.successes += 1

    def keep(self, key: bytes, was_s: int | None, call: Call | None) -> None:
        """Keep a call as a record or a tick left it, None if it leaves the table. It was due at `was_s`.

        The last step, which cannot fail: a record is applied as a whole or not at all.
        """
        self.calls[key] = call
        due_s = call.due_s if call is not None else None
        if due_s != was_s or self.failures or self.memory.failures:
            self.move(key, was_s, due_s)

    # -- positions in the index

    def move(self, key: bytes, was: int | None, now: int | None) -> None:
        """A call was due at `was` and is due at `now`, None for not at all.

        Its state has changed, so its failed ticks are forgotten.
        """
        if self.failures or self.memory.failures:
            failure = self.failure(key)
            if failure is not None:
                was = failure.retry_s
                self.failures[key] = None
        if was != now:
            self.moved[key] = (self.moved.get(key, (was,))[0], now)

    def defer(self, key: bytes, was: int, failure: TickFailure) -> None:
        """A tick of a call that was due at `was` failed."""
        self.failures[key] = failure
        self.moved[key] = (self.moved.get(key, (was,))[0], failure.retry_s)

    def failure(self, key: bytes) -> TickFailure | None:
        """The failed ticks of a call, None without any."""
        return self.failures[key] if key in self.failures else self.memory.failures.get(key)

    def waiting(self, now_s: int) -> Iterator[tuple[int, bytes]]:
        """(second, key) of the calls that are due, in this order, those of this batch included."""
        moved = sorted(
            (second, key) for key, (_, second) in self.moved.items() if second is not None and second <= now_s
        )
        indexed = (entry for entry in self.memory.due.until(now_s) if entry[1] not in self.moved)
        return merge(indexed, moved)

    def due_s(self) -> int | None:
        """The second from which a tick finds something due after this batch."""
        seconds = [second for _, second in self.moved.values() if second is not None]
        first = self.memory.due.first(without=self.moved.keys())
        if first is not None:
            seconds.append(first)
        return min(seconds, default=None)

    def commit(self) -> None:
        """Apply a committed batch to the partition's memory, and count how its gauges moved."""
        memory = self.memory
        calls_hold = (
            (key, held_series(call.provider, call) if call is not None else ())
            for key, call in self.calls.items()
        )
        for key, after in chain(calls_hold, self.scopes_hold.items()):
            before = self.held.get(key, ())
            if before != after:
                for series in before:
                    self.counts.gauges[series] -= 1
                for series in after:
                    self.counts.gauges[series] += 1
        for key, (was, now) in self.moved.items():
            if was is not None:
                memory.due.remove(was, key)
            if now is not None:
                memory.due.add(now, key)
        for key, failure in self.failures.items():
            if failure is None:
                memory.failures.pop(key, None)
            else:
                memory.failures[key] = failure
        for key, stored in self.scopes.items():
            (memory.scopes.discard if stored is None else memory.scopes.add)(key)
        cache = memory.cache
        for key, call in self.calls.items():
            if call is None:
                cache.pop(key, None)
            else:
                cache[key] = call
        for key in list(islice(cache, max(0, len(cache) - CACHED_CALLS))):
            del cache[key]  # the oldest make room
        memory.subscriptions = self.subscriptions
        memory.errors_in_a_row, memory.successes = self.errors_in_a_row, self.successes
