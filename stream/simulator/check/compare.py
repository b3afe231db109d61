"""Compares outputs with the expected ones, record by record, in the order of their topics. Knows no Kafka.

Every record that a read_committed consumer sees counts; none is excused because of where it came from.
A callback that its provider gave up on may have arrived all the same, and a row that was readable for a while
may have been read. Its event says so: once that is found, everything else that follows from it is expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from stream.core.alerting.rules import DEFAULT_RULES, Rules
from stream.core.sources import FETCHED_SOURCES, SOURCE_BY_NAME
from stream.simulator.check.alert_check import AlertCheck
from stream.simulator.check.expected_call import Answer, ExpectedCall, ExpectedEvent, facts_of, to_second
from stream.simulator.check.expected_outputs import ExpectedOutputs, PossibleEvent, expected_of
from stream.simulator.check.report import CheckReport

OF_NO_CALL = ":conference:"
"""In the key of an event of no call: there is no state by which a repetition is known."""

READ_BY_CALL = frozenset(name for name in FETCHED_SOURCES if not SOURCE_BY_NAME[name].only_failures)
"""Sources that are read call by call and so can be complete; the others are read by time, or report only
what went wrong.
"""


class Completeness(NamedTuple):
    """What the last record of a served call's end must say of its sources.

    - `seen` must be said to be seen: the provider held something of these sources.
    - `perhaps` may be: a callback that its provider gave up on may have arrived.
    - `complete` must be said to be complete.
    """

    seen: frozenset[str]
    perhaps: frozenset[str]
    complete: frozenset[str]

    def fault(self, said: dict[str, Any]) -> str | None:
        """What is wrong with a record's `completeness`; None if nothing is."""
        seen, complete = set(said.get("seen", ())), set(said.get("complete", ()))
        wrong = [f"{name} was not seen" for name in sorted(self.seen - seen)]
        wrong += [f"{name} was seen" for name in sorted(seen - self.seen - self.perhaps)]
        wrong += [f"{name} is not complete" for name in sorted(self.complete - complete)]
        return ", ".join(wrong) or None


def completeness_by_key(outputs: ExpectedOutputs) -> dict[str, Completeness]:
    """What is right of each call at the end of a run; empty if no source is served."""
    found = {}
    for call in outputs.calls if outputs.served else ():
        seen = frozenset(source for source, _ in call.delivered)
        perhaps = frozenset(source for source, _ in call.maybe_delivered)
        found[call.key] = Completeness(seen, perhaps - seen, seen & READ_BY_CALL & outputs.served)
    return found


class Place(NamedTuple):
    """Where a record was found. A call's records have one key and one partition number in each topic: so
    they are read in order. `headers`: None if they do not matter.
    """

    topic: str
    key: str | None
    partition: int
    headers: Mapping[str, str] | None = None


class _FoundEnd(NamedTuple):
    """The newest record of a call's end. `fault`: what is wrong with its completeness; `facts`: what else it
    says of the call, see `facts_of`.
    """

    revision: int
    status: str | None
    outcome: str | None
    fault: str | None
    facts: dict[str, Any]


class Comparison:
    """Pass every event, call record, alert and dead letter, then ask for the report.

    `alone`: no other program writes to these topics, so a record of an unknown call is a difference too.
    `rules`: the worker's.
    `records`: how many of the records that were passed are of this run.
    """

    def __init__(
        self, outputs: ExpectedOutputs, *, alone: bool = False, rules: Rules = DEFAULT_RULES
    ) -> None:
        self._alone = alone
        self._keys = {call.key for call in outputs.calls}
        self._accounts = {call.account for call in outputs.calls}
        self._completeness = completeness_by_key(outputs)
        self._calls: dict[str, ExpectedCall] = {}
        self._events: dict[str, ExpectedEvent] = {}
        self._children: dict[str, set[str]] = {}
        self._lost: set[str] = set()
        self._possible: dict[str, PossibleEvent] = {one.event_id: one for one in outputs.possible()}
        self._arrived: dict[str, set[tuple[str, int]]] = {}
        self._ends_expected = 0
        self._ended: dict[str, _FoundEnd] = {}
        self._right_ends: set[str] = set()
        self._report = CheckReport()
        self._seen_events: dict[str, int] = {}
        self._seen_records: set[str] = set()
        self._partitions: dict[str, int] = {}
        self.alerts = AlertCheck(self._report, rules)
        self.records = 0
        self.events_found = 0
        for call in outputs.expected():
            self._expect(call)

    @property
    def complete(self) -> bool:
        return (
            self.events_found == len(self._events)
            and len(self._right_ends) == self._ends_expected
            and self.alerts.is_right(self._answers())
        )

    @property
    def events_expected(self) -> int:
        return len(self._events)

    def event(self, event: dict[str, Any], place: Place | None = None) -> None:
        """A record of the events topic. `place`: where it was; None: that does not matter."""
        id_, key = event["id"], event["key"]
        if not self._ours(key):
            self.alerts.shared |= event["account"] in self._accounts
            return
        self._check_place(key, place, {"ce_id": id_, "callstream-family": event["family"]})
        count = self._seen_events[id_] = self._seen_events.get(id_, 0) + 1
        if count > 1 and OF_NO_CALL in key:
            return
        if count > 1:
            self._report.differ("event_repeated", f"{_event(event)}, {count} times")
            return
        if id_ not in self._events and id_ in self._possible:
            self._has_arrived(self._possible[id_])
        expected = self._events.get(id_)
        if expected is None:
            self._report.differ("event_unexpected", _event(event))
            return
        self.events_found += 1
        found = {**event, "occurred_at": to_second(event["occurred_at"])}
        for name, said in _fields(expected).items():
            if found[name] != said:
                what = f"{_event(event)}: expected {name} {said}, found {found[name]}"
                self._report.differ("event_different", what)
                return

    def record(self, record: dict[str, Any], place: Place | None = None) -> None:
        """A record of the ended topic. The highest revision of a call is the one that counts."""
        key, revision = record["key"], record["revision"]
        if not self._ours(key):
            return
        outcome = record["outcome"] or "unknown"
        self._check_place(key, place, {"ce_id": record["id"], "callstream-outcome": outcome})
        if record["id"] in self._seen_records:
            self._report.differ("record_repeated", f"{key}: revision {revision}, id {record['id']}")
            return
        self._seen_records.add(record["id"])
        known = self._ended.get(key)
        if known is not None and known.revision >= revision:
            if known.revision == revision:
                self._report.differ("record_repeated", f"{key}: two records of revision {known.revision}")
            else:
                self._report.differ("record_order", f"{key}: revision {revision} after {known.revision}")
            return
        before = known.revision if known is not None else 0
        if revision != before + 1:
            self._report.differ("record_order", f"{key}: revision {revision} after {before or 'none'}")
        wanted = self._completeness.get(key)
        fault = wanted.fault(record["completeness"]) if wanted is not None else None
        said = facts_of(record)
        self._ended[key] = _FoundEnd(revision, record["status"], record["outcome"], fault, said)
        self._check_end(key)

    def alert(self, alert: dict[str, Any], place: Place | None = None) -> None:
        """A record of the alerts topic. What is active, `alerts` takes itself."""
        scope = alert["scope"]["id"]
        if any(account in scope for account in self._accounts):
            self.records += 1
        elif not self._ours(scope):
            return
        rule = {"callstream-rule": alert["rule"]["id"], "callstream-severity": alert["severity"]}
        self._check_place(scope, place, {"ce_id": alert["id"], **rule})
        self.alerts.alert(alert)

    def dead_letter(self, key: str | None, reason: str, error: str) -> None:
        if self._ours(key or ""):
            self._report.differ("dead_letter", f"{key}: {reason} ({error})")

    def _expect(self, call: ExpectedCall) -> None:
        before = self._calls.get(call.key)
        self._ends_expected += (call.status is not None) - (before is not None and before.status is not None)
        self._calls[call.key] = call
        self._expect_events(call)
        self.alerts.expect(call)
        self._check_end(call.key)
        self._lost.update(call.won_over)
        for loser in call.won_over:
            self._check_end(loser)
        if call.parent is not None:
            self._children.setdefault(call.parent, set()).add(call.key.partition(":")[2])
            self._check_end(call.parent)

    def _expect_events(self, call: ExpectedCall) -> None:
        """Each has an id of its own: of two with one id, one comes out, and nobody would miss the other."""
        fresh: dict[str, ExpectedEvent] = {}
        for event in call.events:
            known = fresh.setdefault(event.id, event)
            other = self._events.get(event.id)
            if known is not event or (other is not None and other.key != event.key):
                self._report.differ("event_id_shared", f"{_expected(event)}: another event has it, too")
        self._events.update(fresh)

    def _has_arrived(self, possible: PossibleEvent) -> None:
        """A report that may have arrived did: its event came out."""
        call = possible.call
        arrived = self._arrived.setdefault(call.key, set(call.delivered))
        arrived.add(possible.report)
        self._report.landed += possible.pushed
        self._expect(expected_of(call, arrived))

    def _check_end(self, key: str) -> None:
        """Note whether the newest record of a call's end is the expected one."""
        call, found = self._calls.get(key), self._ended.get(key)
        self._right_ends.discard(key)
        if call is None or call.status is None or found is None:
            return
        wanted = self._facts(call)
        facts = {name: found.facts[name] for name in wanted}
        if (call.status, call.outcome, None, wanted) == (found.status, found.outcome, found.fault, facts):
            self._right_ends.add(key)

    def _facts(self, call: ExpectedCall) -> dict[str, Any]:
        children = sorted(self._children.get(call.key, ()))
        lost = call.key in self._lost and call.parent is not None
        facts = {**call.says, "child_call_ids": children, "fault": None if lost else call.fault}
        return facts if call.delivery is None else {**facts, "delivery": call.delivery}

    def report(self) -> CheckReport:
        """All differences. Call it once, at the end."""
        report = self._report
        report.calls, report.calls_ended = (
            sum(OF_NO_CALL not in key for key in self._calls),
            self._ends_expected,
        )
        report.events_expected, report.events_found = len(self._events), self.events_found
        for event in self._events.values():
            if event.id not in self._seen_events:
                report.differ("event_missing", _expected(event))
        for key in self._calls.keys() | self._ended.keys():
            self._compare_end(key)
        self.alerts.compare(self._answers())
        return report

    def _answers(self) -> list[Answer]:
        return [answer for call in self._calls.values() for answer in call.answers]

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
            for name, said in self._facts(call).items():
                if found.facts[name] != said:
                    self._report.differ(
                        "call_wrong", f"{key}: expected {name} {said}, found {found.facts[name]}"
                    )
            if found.fault is not None:
                self._report.differ("completeness_wrong", f"{key}: {found.fault}, in {_end(found)}")

    def _check_place(self, key: str, place: Place | None, wanted: Mapping[str, str]) -> None:
        """`wanted`: headers by which consumers choose what they read."""
        if place is None:
            return
        topic, found, partition, headers = place
        for name, said in wanted.items():
            if headers is not None and headers.get(name) != said:
                what = f"{key}: a record of {topic} has {name} {headers.get(name)}, expected {said}"
                self._report.differ("misplaced", what)
        if found != key:
            self._report.differ("misplaced", f"{key}: a record of {topic} has the key {found}")
        elif self._partitions.setdefault(key, partition) != partition:
            known = self._partitions[key]
            self._report.differ("misplaced", f"{key}: partition {partition} of {topic}, {known} before")

    def _ours(self, key: str) -> bool:
        if key in self._keys or self._alone:
            self.records += 1
            return True
        self._report.others += 1
        return False


def _end(found: _FoundEnd) -> str:
    return f"{found.status} ({found.outcome}) in revision {found.revision}"


def _fields(event: ExpectedEvent) -> dict[str, Any]:
    """All that an event must say."""
    found = {"key": event.key, "family": event.family, "status": event.status, **event.says}
    return {**found, "sequence_number": event.number, **({"name": event.name} if event.name else {})}


def _expected(event: ExpectedEvent) -> str:
    said = " ".join(filter(None, (event.family, event.name, event.status)))
    number = f" number {event.number}" if event.number is not None else ""
    return f"{event.key}: {said}{number}, id {event.id}"


def _event(event: dict[str, Any]) -> str:
    number = event["sequence_number"]
    found = ExpectedEvent(event["id"], event["key"], event["family"], event["name"], event["status"], number)
    return f"{_expected(found)}, from {event['source']} at {event['occurred_at']}"
