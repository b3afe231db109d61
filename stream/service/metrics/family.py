"""A metric family: its declaration, and the families that every role has.

A family is declared once, here or in the file of its role, and counted by one line:
`counts[FAMILY, *labels] += 1` in a worker's batch, `metrics.count(FAMILY, *labels)` elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from stream.service.metrics import label_values as words

PREFIX = "callstream_"


@dataclass(frozen=True, eq=False)
class Family:
    """One metric family. Compared by identity, which makes it a cheap key.

    - `name` has no prefix; `text` is its help; `labels` are names with the values they may take.
    - `remedy`: what an operator does when it moves, or what it is good for; shown in docs/metrics.md.
    - `bounds`: upper bounds of a histogram's buckets, in seconds.
    - `start`: the label sets that are known in advance, where they are fewer than all combinations.
    - `several`: what a worker of several processes shows: the `sum`, `max` or `min` of its processes, or
      `each` of them, with the label `process`.
    """

    kind: str
    name: str
    text: str
    remedy: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    start: tuple[tuple[str, ...], ...] | None = None
    several: str = "sum"


counter, gauge, histogram = (partial(Family, kind) for kind in ("counter", "gauge", "histogram"))

DEAD_LETTERS = counter(
    "dead_letters_total",
    "Events written to the dead-letter topic.",
    "Read them: `callstream dead-letters list --since 1h`. Has the provider changed a format?",
    {"source": words.ANY_SOURCE, "reason": words.DEAD_LETTER_REASONS},
)
PRODUCE_MESSAGES = counter(
    "produce_messages_total",
    "Messages sent to Kafka by final delivery outcome.",
    "On errors: does the broker run, does it authorize the role, is its disk full?",
    {"topic": words.WRITTEN, "outcome": ("success", "error")},
)
PRODUCE_DURATION = histogram(
    "produce_duration_seconds",
    "Time from send to broker acknowledgement.",
    "When it rises: look at the broker's disk, and whether its followers keep up.",
    {"topic": words.WRITTEN},
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
BUILD_INFO = gauge(
    "build_info",
    "Build and runtime versions; value is always 1.",
    "Compare it between processes during an upgrade.",
    {"version": words.RUNNING, "python": words.RUNNING, "faust": words.RUNNING},
    several="each",
)
LABEL_VALUES_CAPPED = counter(
    "label_values_capped_total",
    "Label values folded into other by the cardinality guard.",
    "Nothing is lost but the detail: report the value, or accept `other`.",
    {"label": words.RUNNING},
    start=tuple((label,) for label in words.CAPPED_LABELS),
)
LOG_MESSAGES = counter(
    "log_messages_total",
    "Log records emitted by level.",
    "On errors: read the role's log.",
    {"level": words.LOG_LEVELS},
)

CONFIG_RELOADED = gauge(
    "config_last_reload_successful",
    "1 when the file (a worker's alert rules, the API's tokens) is in use as it was last read, 0 if refused.",
    "On 0: `callstream config check` says what is wrong with it; correct it, and send a worker SIGHUP again.",
    several="min",
)
"""Of the roles that read a file again."""

SHARED = (DEAD_LETTERS, PRODUCE_MESSAGES, PRODUCE_DURATION, BUILD_INFO, LABEL_VALUES_CAPPED, LOG_MESSAGES)
"""The families of every role."""
