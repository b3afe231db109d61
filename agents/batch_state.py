"""What one batch of one partition has come to so far: states, outputs and counts, all in memory.

The rule of this file: it remembers and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice

from agents.due_index import Due
from agents.failing_calls import Trouble
from stream.core.call.identity_pages import Pages
from stream.core.call.state import Call, dump, load
from stream.engine.batch import Output
from stream.service.metrics.batch_counts import ActiveLabels, BatchCounts

Get = Callable[[bytes], bytes | None]

HOT_CALLS = 1024
"""Decoded calls kept for each partition: a call's next delivery often comes within a few batches."""


class Hot:
    """Calls of one partition that were just committed, decoded, so that they need not be read from the store.

    Taking a call out is final: whoever changes it keeps it only by a commit, and what an aborted batch
    changed is read from the store again.
    """

    def __init__(self) -> None:
        self._calls: dict[bytes, Call] = {}

    def take(self, key: bytes) -> Call | None:
        """The call, which is the taker's from now on; None if it is not here."""
        return self._calls.pop(key, None)

    def keep(self, calls: dict[bytes, Call | None]) -> None:
        """What a batch committed. The longest kept make room."""
        hot = self._calls
        for key, call in calls.items():
            if call is None:
                hot.pop(key, None)
            else:
                hot[key] = call
        for key in list(islice(hot, max(0, len(hot) - HOT_CALLS))):
            del hot[key]


@dataclass
class Held:
    """What is kept in memory of a partition at work, beside its table. Changed by commits only.

    - `due`: its index of due calls; `troubles`: calls on which a look failed, which stand in the index where
      they are looked at again.
    - `errors_in_a_row`: of our own, without a good look or delivery between them; `good`: how many of these
      there were.
    """

    due: Due = field(default_factory=Due)
    hot: Hot = field(default_factory=Hot)
    troubles: dict[bytes, Trouble] = field(default_factory=dict)
    errors_in_a_row: int = 0
    good: int = 0


class Work:
    """What one batch has come to so far. Dropped whole if the batch is aborted.

    - `calls`: states by key, None for a call that leaves the table; `pages`: what is remembered apart of
      calls with very many events.
    - `moved`: by key, where a call stands in the index and where it is to stand, None for nowhere;
      `troubles`: as in `Held`, None for one that is over.
    - `ticked`: (offset of the tick, key) of calls that a tick was applied to; `looks`: how many;
      `unfinished`: the last tick left something due.
    - `failed`: (topic, offset) of records on which we failed.
    """

    __slots__ = (
        "calls",
        "counts",
        "errors_in_a_row",
        "failed",
        "get",
        "good",
        "held",
        "looks",
        "moved",
        "outputs",
        "pages",
        "partition",
        "ticked",
        "troubles",
        "unfinished",
    )

    def __init__(self, partition: int, get: Get, held: Held) -> None:
        self.partition = partition
        self.get = get
        self.held = held
        self.calls: dict[bytes, Call | None] = {}
        self.pages = Pages(get)
        self.outputs: dict[str, list[Output]] = {}
        self.counts = BatchCounts(partition)
        self.moved: dict[bytes, tuple[int | None, int | None]] = {}
        self.troubles: dict[bytes, Trouble | None] = {}
        self.ticked: set[tuple[int, bytes]] = set()
        self.looks = 0
        self.unfinished = False
        self.errors_in_a_row = held.errors_in_a_row
        self.good = held.good
        self.failed: set[tuple[str, int]] = set()

    def call(self, key: bytes) -> Call | None:
        """The state of a call: as this batch left it, else as the store has it."""
        if key in self.calls:
            return self.calls[key]
        call = self.held.hot.take(key)
        return call if call is not None else self.stored(key)

    def stored(self, key: bytes) -> Call | None:
        """The state of a call as it was before this batch."""
        stored = self.get(key)
        return load(stored) if stored is not None else None

    def states(self) -> dict[bytes, bytes | None]:
        """All that changes in the table, None for what leaves it."""
        states = {key: dump(call) if call is not None else None for key, call in self.calls.items()}
        return states | self.pages.changes()

    def write(self, topic: str, output: Output) -> None:
        """One more record for `topic`."""
        outputs = self.outputs.get(topic)
        if outputs is None:
            outputs = self.outputs[topic] = []
        outputs.append(output)

    def went_well(self) -> None:
        """A delivery or a look: errors are not in a row any more."""
        self.errors_in_a_row = 0
        self.good += 1

    # -- where calls stand in the index

    def move(self, key: bytes, was: int | None, now: int | None) -> None:
        """A call was due at `was` and is due at `now`, None for nowhere.

        Its trouble is over: another state is another chance.
        """
        if self.troubles or self.held.troubles:
            trouble = self.trouble(key)
            if trouble is not None:
                was = trouble.again_s
                self.troubles[key] = None
        if was != now:
            self._place(key, was, now)

    def defer(self, key: bytes, was: int, trouble: Trouble) -> None:
        """A look at a call that stands at `was` failed."""
        self.troubles[key] = trouble
        self._place(key, was, trouble.again_s)

    def _place(self, key: bytes, was: int | None, now: int | None) -> None:
        known = self.moved.get(key)
        self.moved[key] = (known[0] if known is not None else was, now)

    def trouble(self, key: bytes) -> Trouble | None:
        """What is known of looks at this call that failed."""
        return self.troubles[key] if key in self.troubles else self.held.troubles.get(key)

    def waiting(self, now_s: int) -> Iterator[tuple[int, bytes]]:
        """(second, key) of the calls that are due, in that order, whichever batch made them so."""
        moved = sorted(
            (second, key) for key, (_, second) in self.moved.items() if second is not None and second <= now_s
        )
        indexed = (entry for entry in self.held.due.until(now_s) if entry[1] not in self.moved)
        return merge(indexed, moved)

    def due_s(self) -> int | None:
        """The second from which a tick finds something due after this batch, or an earlier one."""
        seconds = [second for _, second in self.moved.values() if second is not None]
        first = self.held.due.first()
        if first is not None:
            seconds.append(first)
        return min(seconds, default=None)

    def commit(self) -> None:
        """The batch is committed: what is kept in memory follows."""
        held = self.held
        for key, (was, now) in self.moved.items():
            if was is not None:
                held.due.remove(was, key)
            if now is not None:
                held.due.add(now, key)
        for key, trouble in self.troubles.items():
            if trouble is None:
                held.troubles.pop(key, None)
            else:
                held.troubles[key] = trouble
        held.hot.keep(self.calls)
        held.errors_in_a_row, held.good = self.errors_in_a_row, self.good


def labels(call: Call, provider: str) -> ActiveLabels | None:
    """Under which labels a call counts as active, None once it has ended."""
    return None if call.ended else (provider, call.account, call.direction)
