"""Outputs against the truth.

The rule of this file: it is told records one by one, in the order of their topics, and knows no Kafka. Every
record that a read_committed consumer sees counts; nothing is forgiven because of where it came from.
What a provider gave up may have arrived all the same, and what it held for a while may have been read. Its
event says so: once that is found, all else that follows from it is expected too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stream.simulator.calls.planted import endpoint_scope
from stream.simulator.check.expected_outputs import (
    ExpectedCall,
    ExpectedEvent,
    ExpectedOutputs,
    PossibleEvent,
    expected_of,
)
from stream.simulator.check.report import CheckReport

RULES = frozenset({"call.failed", "call.error_event", "webhook.failing"})
"""The alert rules whose truth the simulator knows; alerts of others are not compared."""

AlertPlace = tuple[str, str, str | None]
"""Rule, scope, and the id of the event that opened it; None for the rules that fire once a call."""


class _Ended(NamedTuple):
    """`fault`: what is wrong with what it says of its sources."""

    revision: int
    status: str | None
    outcome: str | None
    fault: str | None = None


class Comparison:
    """Tell it every event, call record, alert and dead letter, then ask for the report.

    `alone`: nobody else writes to these topics, so that a record of an unknown call is a difference too.
    """

    def __init__(self, truth: ExpectedOutputs, *, alone: bool = False) -> None:
        self._alone = alone
        self._calls: dict[str, ExpectedCall] = {}
        self._events: dict[str, ExpectedEvent] = {}
        self._alerts: set[AlertPlace] = set()
        self._doubts: dict[str, PossibleEvent] = {doubt.event_id: doubt for doubt in truth.doubts()}
        self._landed: dict[str, set[tuple[str, int]]] = {}
        self._to_end = 0
        self._ended: dict[str, _Ended] = {}
        self._completeness = truth.completeness()
        self._right: set[str] = set()
        self._strange_alerts: list[tuple[AlertPlace, str, str]] = []
        for call in truth.expected():
            self._expect(call)
        self._keys = {call.key for call in truth.calls}
        self._accounts = truth.accounts()
        self._report = CheckReport()
        self._seen_events: dict[str, int] = {}
        self._seen_records: set[str] = set()
        self._found_alerts: dict[AlertPlace, str] = {}
        self._events_found = 0
        self.told = 0

    @property
    def complete(self) -> bool:
        """All that is expected is there. There may be more than is expected."""
        return (
            self._events_found == len(self._events)
            and len(self._right) == self._to_end
            and len(self._found_alerts) >= len(self._alerts)
            and all(place in self._found_alerts for place in self._alerts)
        )

    @property
    def events_expected(self) -> int:
        """How many different events there must be."""
        return len(self._events)

    @property
    def events_found(self) -> int:
        """How many of them there are."""
        return self._events_found

    def event(self, event: dict[str, Any]) -> None:
        """A record of the events topic."""
        self.told += 1
        id_, key = event["id"], event["key"]
        if not self._ours(key):
            return
        count = self._seen_events[id_] = self._seen_events.get(id_, 0) + 1
        if count > 1:
            self._report.differ("event_repeated", f"{_event(event)}, {count} times")
            return
        if id_ not in self._events and id_ in self._doubts:
            self._has_landed(self._doubts[id_])
        expected = self._events.get(id_)
        if expected is None:
            self._report.differ("event_unexpected", _event(event))
            return
        self._events_found += 1
        wanted = (expected.key, expected.family, expected.status, expected.number)
        found = (key, event["family"], event["status"], event["sequence_number"])
        if wanted != found or (expected.name and expected.name != event["name"]):
            self._report.differ("event_different", f"{_expected(expected)}: found {_event(event)}")

    def record(self, record: dict[str, Any]) -> None:
        """A record of the ended topic. The highest revision of a call is what counts in the end."""
        self.told += 1
        key = record["key"]
        if not self._ours(key):
            return
        if record["id"] in self._seen_records:
            self._report.differ("record_repeated", f"{key}: revision {record['revision']}, id {record['id']}")
            return
        self._seen_records.add(record["id"])
        known = self._ended.get(key)
        if known is not None and known.revision >= record["revision"]:
            if known.revision == record["revision"]:
                self._report.differ("record_repeated", f"{key}: two records of revision {known.revision}")
            return
        wanted = self._completeness.get(key)
        fault = wanted.fault(record["completeness"]) if wanted is not None else None
        self._ended[key] = _Ended(record["revision"], record["status"], record["outcome"], fault)
        self._judge_end(key)

    def alert(self, alert: dict[str, Any]) -> None:
        """A record of the alerts topic."""
        self.told += 1
        rule, scope = alert["rule"]["id"], alert["scope"]["id"]
        if rule not in RULES:
            return
        if (
            not (scope in self._keys or any(account in scope for account in self._accounts))
            and not self._alone
        ):
            self._report.others += 1
            return
        opened_by = None if rule == "call.failed" else alert["evidence"][0]["event_id"]
        place = (rule, endpoint_scope(scope), opened_by)
        if alert["state"] != "firing":
            self._report.differ("alert_unexpected", _alert(alert))
        else:
            self._fired(place, _alert(alert), alert["id"])

    def _fired(self, place: AlertPlace, said: str, id_: str) -> None:
        if place not in self._alerts:
            self._strange_alerts.append((place, said, id_))
        elif place in self._found_alerts:
            self._report.differ("alert_repeated", f"{said}, before as alert {self._found_alerts[place]}")
        else:
            self._found_alerts[place] = id_

    def dead_letter(self, key: str | None, reason: str, error: str) -> None:
        """A record of the dead letters topic."""
        self.told += 1
        if key is None or self._ours(key):
            self._report.differ("dead_letter", f"{key}: {reason} ({error})")

    def _expect(self, call: ExpectedCall) -> None:
        """All this of a call, in the place of what was expected of it before."""
        before = self._calls.get(call.key)
        self._to_end += (call.status is not None) - (before is not None and before.status is not None)
        self._calls[call.key] = call
        self._events.update((event.id, event) for event in call.events)
        self._alerts.update(call.alerts)
        self._judge_end(call.key)

    def _has_landed(self, doubt: PossibleEvent) -> None:
        """What was in doubt arrived."""
        landed = self._landed.setdefault(doubt.call.key, set(doubt.call.seen))
        landed.add(doubt.place)
        self._report.landed += doubt.pushed
        self._expect(expected_of(doubt.call, landed))
        strange, self._strange_alerts = self._strange_alerts, []
        for place, said, id_ in strange:
            self._fired(place, said, id_)

    def _judge_end(self, key: str) -> None:
        """Whether the newest record of a call's end is what must come out."""
        call, found = self._calls.get(key), self._ended.get(key)
        self._right.discard(key)
        if call is None or call.status is None or found is None:
            return
        if (call.status, call.outcome, None) == found[1:]:
            self._right.add(key)

    def report(self) -> CheckReport:
        """All differences. Ask once, at the end."""
        report = self._report
        for _, said, _ in self._strange_alerts:
            report.differ("alert_unexpected", said)
        report.calls, report.calls_ended = len(self._calls), self._to_end
        report.events_expected, report.events_found = len(self._events), self._events_found
        report.alerts_expected, report.alerts_found = len(self._alerts), len(self._found_alerts)
        for event in self._events.values():
            if event.id not in self._seen_events:
                report.differ("event_missing", _expected(event))
        for key in self._calls.keys() | self._ended.keys():
            self._compare_end(key)
        for rule, scope, opened_by in sorted(self._alerts - self._found_alerts.keys(), key=str):
            opening = self._events.get(opened_by or "")
            by = f", opened by {_expected(opening)}" if opening is not None else ""
            report.differ("alert_missing", f"{rule} of {scope}{by}")
        return report

    def _compare_end(self, key: str) -> None:
        call, found = self._calls.get(key), self._ended.get(key)
        wanted = call.status if call is not None else None
        if call is not None and wanted is not None and found is None:
            self._report.differ("call_missing", f"{key}: expected {wanted} ({call.outcome}), found no record")
        elif wanted is None and found is not None:
            self._report.differ("call_unexpected", f"{key}: found {_end(found)}")
        elif call is not None and found is not None:
            if (wanted, call.outcome) != (found.status, found.outcome):
                self._report.differ(
                    "call_wrong", f"{key}: expected {wanted} ({call.outcome}), found {_end(found)}"
                )
            if found.fault is not None:
                self._report.differ("completeness_wrong", f"{key}: {found.fault}, in {_end(found)}")

    def _ours(self, key: str) -> bool:
        if key in self._keys or self._alone:
            return True
        self._report.others += 1
        return False


def _end(found: _Ended) -> str:
    return f"{found.status} ({found.outcome}) in revision {found.revision}"


def _expected(event: ExpectedEvent) -> str:
    words = [event.family, event.name, event.status]
    number = f" number {event.number}" if event.number is not None else ""
    return f"{event.key}: {' '.join(word for word in words if word)}{number}, id {event.id}"


def _event(event: dict[str, Any]) -> str:
    words = [event["family"], event["name"], event["status"]]
    number = f" number {event['sequence_number']}" if event["sequence_number"] is not None else ""
    found = f"{event['key']}: {' '.join(word for word in words if word)}{number}, id {event['id']}"
    return f"{found}, from {event['source']} at {event['occurred_at']}"


def _alert(alert: dict[str, Any]) -> str:
    evidence = alert["evidence"][0]
    found = f"{alert['rule']['id']} of {alert['scope']['id']} ({alert['state']}), alert {alert['id']}"
    return f"{found}, opened by {evidence['source']} {evidence['name']}, event {evidence['event_id']}"
