"""Which partition an output goes to, and how outputs are packed."""

from __future__ import annotations

from typing import Any

from stream.runtime.lanes.batch import KEYED, Output
from stream.runtime.lanes.transactions import _batches, _spread


class Builder:
    """A batch that is full after three records."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, ...]] = []

    def append(self, offset: int, timestamp: int, key: Any, value: Any, headers: list[Any]) -> object | None:
        if len(self.records) == 3:
            return None
        self.records.append((offset, key, value, headers))
        return self


class Batch:
    def __init__(self) -> None:
        self._builder = Builder()
        self._relative_offset = 0


class Producer:
    def create_batch(self) -> Batch:
        return Batch()


def test_a_keyed_output_goes_where_java_s_default_partitioner_sends_its_key() -> None:
    known = {b"foobar": -790332482, b"a-little-bit-long-string": -985981536}  # Kafka's UtilsTest.testMurmur2
    keyed = [Output(key, b"v", (), KEYED) for key in known]
    spread = _spread([*keyed, Output(b"k", b"v", (), 7)], 12)
    expected: dict[int, list[Output]] = {}
    for output, number in zip(keyed, known.values(), strict=True):
        expected.setdefault((number & 0x7FFFFFFF) % 12, []).append(output)
    expected.setdefault(7, []).append(Output(b"k", b"v", (), 7))
    assert spread == expected


def test_outputs_fill_batches_in_their_order() -> None:
    outputs = [Output(b"%d" % number, b"v", (("h", b"1"),)) for number in range(7)]
    packed = [
        (batch._relative_offset, count, batch._builder.records)
        for batch, count in _batches(Producer(), outputs)
    ]
    in_order = [(place % 3, b"%d" % place, b"v", [("h", b"1")]) for place in range(7)]
    assert packed == [(3, 3, in_order[:3]), (3, 3, in_order[3:6]), (1, 1, in_order[6:])]


def test_nothing_to_write_is_no_batch() -> None:
    assert list(_batches(Producer(), [])) == []
