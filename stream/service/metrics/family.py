"""A metric family: its declaration, and the families that every role has.

A family is declared once, here or in the file of its role, and counted by one line:
`counts[FAMILY, *labels] += 1` in a worker's batch, `metrics.count(FAMILY, *labels)` elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.service.metrics import label_values as words

PREFIX = "callstream_"
CONFIGURED: tuple[str, ...] = ("<configured>",)
"""The label's values come from the installation's lists, see `LabelValues`."""
RUNNING: tuple[str, ...] = ("<running>",)
"""The label's values are known only while the role runs (partitions, aliases)."""


@dataclass(frozen=True, eq=False)
class Family:
    """One metric family. Compared by identity, which makes it a cheap key.

    - `name` has no prefix; `text` is its help; `labels` are names with the values they may take.
    - `bounds`: upper bounds of a histogram's buckets, in seconds.
    - `start`: the label sets that are known in advance, where they are fewer than all combinations.
    - `remedy`: what an operator does where the family shows trouble.
    """

    name: str
    kind: str
    text: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    start: tuple[tuple[str, ...], ...] | None = None
    remedy: str = ""


def counter(
    name: str,
    text: str,
    *,
    remedy: str = "",
    start: tuple[tuple[str, ...], ...] | None = None,
    **labels: tuple[str, ...],
) -> Family:
    return Family(name, "counter", text, labels, start=start, remedy=remedy)


def gauge(name: str, text: str, *, remedy: str = "", **labels: tuple[str, ...]) -> Family:
    return Family(name, "gauge", text, labels, remedy=remedy)


def histogram(
    name: str, text: str, bounds: tuple[float, ...], *, remedy: str = "", **labels: tuple[str, ...]
) -> Family:
    return Family(name, "histogram", text, labels, bounds, remedy=remedy)


DEAD_LETTERS = counter(
    "dead_letters_total",
    "Events written to the dead-letter topic.",
    source=words.ANY_SOURCE,
    reason=words.DEAD_LETTER_REASONS,
    remedy="Read them: `callstream tail dead_letters --from-beginning`. Has the provider changed a format?",
)
PRODUCE_MESSAGES = counter(
    "produce_messages_total",
    "Messages sent to Kafka by final delivery outcome.",
    topic=(*words.TOPICS, words.OTHER),
    outcome=words.PRODUCE_OUTCOMES,
    remedy="On errors: does the broker run, does it authorize the role, is its disk full?",
)
PRODUCE_DURATION = histogram(
    "produce_duration_seconds",
    "Time from send to broker acknowledgement.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    topic=(*words.TOPICS, words.OTHER),
    remedy="When it rises: the broker's disk, and whether its followers keep up.",
)
BUILD_INFO = gauge(
    "build_info",
    "Build and runtime versions; value is always 1.",
    version=RUNNING,
    python=RUNNING,
    faust=RUNNING,
)
LABEL_VALUES_CAPPED = counter(
    "label_values_capped_total",
    "Label values folded into other by the cardinality guard.",
    label=words.CAPPED_LABELS,
    remedy="Add the value to the installation's list, or accept `other`.",
)
LOG_MESSAGES = counter(
    "log_messages_total",
    "Log records emitted by level.",
    level=words.LOG_LEVELS,
    remedy="On errors: read the role's log.",
)

SHARED = (DEAD_LETTERS, PRODUCE_MESSAGES, PRODUCE_DURATION, BUILD_INFO, LABEL_VALUES_CAPPED, LOG_MESSAGES)
"""The families of every role."""
