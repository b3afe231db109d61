"""What a metric family is: a name, a type, labels with the values that they may take, help and buckets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PREFIX = "callstream_"
CONFIGURED: tuple[str, ...] = ("<configured>",)
RUNNING: tuple[str, ...] = ("<running>",)


@dataclass(frozen=True)
class Family:
    """One metric family.

    - `name` has no prefix; `text` is its help; `labels` are names with the values they may take.
    - `bounds`: upper bounds of a histogram's buckets, in seconds.
    - `start`: the label sets that are known in advance, where they are fewer than all combinations.
    """

    name: str
    kind: str
    text: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    start: tuple[tuple[str, ...], ...] | None = None


def counter(name: str, text: str, **labels: tuple[str, ...]) -> Family:
    return Family(name, "counter", text, labels)


def gauge(name: str, text: str, **labels: tuple[str, ...]) -> Family:
    return Family(name, "gauge", text, labels)


def histogram(name: str, text: str, bounds: tuple[float, ...], **labels: tuple[str, ...]) -> Family:
    return Family(name, "histogram", text, labels, bounds)
