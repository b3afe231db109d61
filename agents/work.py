"""What one batch of one partition has come to so far: states, outputs and counts, all in memory.

The rule of this file: it remembers and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from stream.core.call import Call, load
from stream.runtime.lanes.batch import Output
from stream.runtime.metrics.tally import ActiveLabels, Tally

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


class Work:
    """What one batch has come to so far. Dropped whole if the batch is aborted.

    - `calls`: states by key, None for a call that leaves the table.
    - `added`: (second, key) of calls that became due at another time; `looked_at`: entries of the index that
      ticks took; `ticked`: (offset of the tick, key) of calls that a tick was applied to.
    - `failed`: (topic, offset) of records on which we failed.
    """

    __slots__ = (
        "added",
        "calls",
        "errors_in_a_row",
        "failed",
        "get",
        "hot",
        "looked_at",
        "outputs",
        "partition",
        "tally",
        "ticked",
    )

    def __init__(self, partition: int, get: Get, hot: Hot, errors_in_a_row: int) -> None:
        self.partition = partition
        self.get = get
        self.hot = hot
        self.calls: dict[bytes, Call | None] = {}
        self.outputs: dict[str, list[Output]] = {}
        self.tally = Tally(partition)
        self.added: set[tuple[int, bytes]] = set()
        self.looked_at: set[tuple[int, bytes]] = set()
        self.ticked: set[tuple[int, bytes]] = set()
        self.errors_in_a_row = errors_in_a_row
        self.failed: set[tuple[str, int]] = set()

    def call(self, key: bytes) -> Call | None:
        """The state of a call: as this batch left it, else as the store has it."""
        if key in self.calls:
            return self.calls[key]
        call = self.hot.take(key)
        return call if call is not None else self.stored(key)

    def stored(self, key: bytes) -> Call | None:
        """The state of a call as it was before this batch."""
        stored = self.get(key)
        return load(stored) if stored is not None else None

    def write(self, topic: str, output: Output) -> None:
        """One more record for `topic`."""
        outputs = self.outputs.get(topic)
        if outputs is None:
            outputs = self.outputs[topic] = []
        outputs.append(output)


def labels(call: Call, provider: str) -> ActiveLabels | None:
    """Under which labels a call counts as active, None once it has ended."""
    return None if call.ended else (provider, call.account, call.direction)
