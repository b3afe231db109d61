"""What one batch of one partition has come to so far: states, outputs and counts, all in memory.

The rule of this file: it remembers and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from stream.core.call import Call, load
from stream.runtime.lanes.batch import Output
from stream.runtime.metrics.tally import ActiveLabels, Tally

Get = Callable[[bytes], bytes | None]


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
        "looked_at",
        "outputs",
        "partition",
        "tally",
        "ticked",
    )

    def __init__(self, partition: int, get: Get, errors_in_a_row: int) -> None:
        self.partition = partition
        self.get = get
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
        return self.stored(key)

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
