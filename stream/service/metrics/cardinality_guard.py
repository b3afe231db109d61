"""The cardinality guard: a value that is not in its label's list becomes `other` and is counted.

Only words from a list become label values, so ids, phone numbers and URLs never do.
"""

from __future__ import annotations

from prometheus_client import Counter

from stream.service.metrics.family import CONFIGURED, RUNNING, Family
from stream.service.metrics.histogram import Labels
from stream.service.metrics.label_values import OTHER, UNKNOWN, LabelValues

DIRECTIONS = {
    "inbound": "inbound",
    "incoming": "inbound",
    "trunking-originating": "inbound",
    "outbound": "outbound",
    "outbound-api": "outbound",
    "outbound-dial": "outbound",
    "outgoing": "outbound",
    "trunking-terminating": "outbound",
}
"""Each provider's word for a direction. Trunks are named from their own side, calls from the customer's."""


class CardinalityGuard:
    """Admits label values or folds them into `other`. `capped` counts the folded ones by label."""

    def __init__(self, label_values: LabelValues, capped: Counter) -> None:
        self._label_values = label_values
        self._capped = capped
        self._known: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}

    def values(self, label: str, listed: tuple[str, ...]) -> tuple[str, ...]:
        """All values that a label of a family can have; none where only the running role knows them."""
        if listed is RUNNING:
            return ()
        return self._label_values.values(label) if listed is CONFIGURED else listed

    def admit(self, family: Family, raw: tuple[object, ...], n: int = 1) -> Labels:
        """The label set for these values; `n`: how often they were seen."""
        return tuple(
            self._admit(label, listed, value, n)
            for (label, listed), value in zip(family.labels.items(), raw, strict=True)
        )

    def _admit(self, label: str, listed: tuple[str, ...], value: object, n: int) -> str:
        if listed is RUNNING:
            return str(value)
        known = self._known.get((label, listed))
        if known is None:
            known = self._known[label, listed] = frozenset(self.values(label, listed))
        word = self._word(label, value)
        if word in known:
            return word
        if value is not None:
            self._capped.labels(label).inc(n)
        return UNKNOWN if UNKNOWN in known else OTHER

    def _word(self, label: str, value: object) -> str:
        """The installation's word for a provider's value."""
        label_values = self._label_values
        if label == "account":
            if value is None or not label_values.accounts:
                return label_values.account_alias
            return label_values.accounts.get(str(value), "")
        if value is None:
            return ""
        word = str(value)
        if label == "endpoint":
            return label_values.endpoints.get(word, "")
        if label == "topic":
            return label_values.topics.get(word, "") if label_values.topics else word
        if label == "direction":
            return DIRECTIONS.get(word, word)
        if label == "edge" and word == "unknown_edge":
            return OTHER
        return word.lower() if label == "level" else word
