"""What masking by value costs: the same callbacks masked by name alone and by name and value, in pairs.

Run alone, it needs no broker: `python -m tests.bench.masking`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator

from stream.core.events import Reading
from stream.core.privacy.field_plans import FieldPlans
from stream.core.privacy.masking import REDACTED, Privacy
from stream.kafka.envelope_codec import read_envelope
from stream.sources import DECODERS
from tests.bench.callbacks import callbacks

CALLBACKS = 20_000
CHUNK = 50
ROUNDS = 5


plans = FieldPlans()


def by_name(privacy: Privacy, reading: Reading) -> None:
    """What `Privacy.apply` does of a status callback, without a look at what no name speaks of."""
    event, facts = reading.event, reading.facts
    fields = event.attributes
    plan = plans[tuple(fields)]
    try:
        "".join(fields.values())
    except TypeError:
        return
    for name in plan.secrets + plan.texts:
        if fields[name]:
            fields[name] = REDACTED
    for name in plan.addresses:
        fields[name] = privacy.address(fields[name])
    for name in plan.urls:
        fields[name] = privacy.url(fields[name])
    if facts:
        for name in ("from", "to"):
            if number := facts.get(name):
                facts[name] = privacy.address(number)


def by_name_and_value(privacy: Privacy, reading: Reading) -> None:
    privacy.apply(reading)


def measure(values: Iterable[bytes]) -> dict[str, float]:
    """CPU µs a status callback: medians over the rounds, and of the differences within them."""
    kept = list(values)
    rounds = [_round(kept) for _ in range(ROUNDS)]
    found = {way: statistics.median(one[way] for one in rounds) for way in rounds[0]}
    found["by value"] = statistics.median(one["by name and value"] - one["by name"] for one in rounds)
    return found


def _round(values: list[bytes]) -> dict[str, float]:
    """Both ways over each chunk, now the one first and now the other."""
    ways: dict[str, Callable[[Privacy, Reading], None]] = {
        "by name": by_name,
        "by name and value": by_name_and_value,
    }
    privacies = {way: Privacy() for way in ways}
    spent = dict.fromkeys(ways, 0.0)
    for turn, chunk in enumerate(_chunks(values)):
        for way in list(ways) if turn % 2 else reversed(ways):
            readings = [reading for value in chunk for reading in _decoded(value)]
            mask, privacy = ways[way], privacies[way]
            began = time.process_time()
            for reading in readings:
                mask(privacy, reading)
            spent[way] += time.process_time() - began
    return {way: seconds / len(values) * 1e6 for way, seconds in spent.items()}


def _decoded(value: bytes) -> list[Reading]:
    envelope = read_envelope(value)
    return DECODERS[envelope.source](envelope)


def _chunks(values: list[bytes]) -> Iterator[list[bytes]]:
    for at in range(0, len(values), CHUNK):
        yield values[at : at + CHUNK]


def with_a_new_text(values: Iterable[bytes]) -> Iterator[bytes]:
    """The same callbacks, each with a parameter that no other has: nothing that is remembered helps."""
    for number, value in enumerate(values):
        yield value.replace(b'"body":{', b'"body":{"Reference":"the order K%x of a customer",' % number, 1)


def main() -> None:
    values = [record.value for record in callbacks(CALLBACKS, CALLBACKS // 10)]
    for title, told in (("usual", values), ("with a new text each", with_a_new_text(values))):
        for way, us in measure(told).items():
            print(f"{title}, {way}: {us:.2f} µs")


if __name__ == "__main__":
    main()
