"""The outputs of a fault run, compared with the expected ones and with a run without faults.

Topics are read as their consumers read them, after everything has ended. No difference is excused.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import orjson

from stream.core.alerting.scopes import is_scope
from stream.core.delivery.subscriptions import KEY as SUBSCRIPTIONS_KEY
from stream.kafka.topics import roles
from stream.simulator.check.compare import Comparison, Place
from stream.simulator.check.leaks import LeakSearch
from tests.contracts.closed import off_schema
from tests.e2e.harness import ReadRecord, differing_repeats, latest, more_than_once, read_topic
from tests.e2e.simulated_load import (
    SimulatedLoad,
    comparable_state,
    deliveries_of,
    due_records,
    last_records,
    undisturbed_outputs,
)


class Verdict(NamedTuple):
    """What differs. Everything but the last three must be zero."""

    differences: dict[str, int]
    """Differences of events, records and alerts from the expected ones, by kind."""
    lost: int
    """Deliveries that are missing in the states."""
    doubled: int
    """Deliveries that the states counted more than once."""
    states_wrong: int
    """States that differ from those of the run without faults."""
    records_wrong: int
    """Last call records that differ from those of the run without faults."""
    twice: int
    """Outputs that a reader of committed records sees more than once."""
    unlike: int
    """Repetitions, for a reader of uncommitted records, that differ from what they repeat."""
    not_active: int
    """Alerts that `alerts.active` does not agree with."""
    leaks: int
    """Outputs with a number, a name or a secret in them."""
    off_schema: int
    """What the published schemas, closed, have against outputs and their headers. Some of each topic are
    looked at."""
    dead_letters: int
    deliveries: int
    repeated: int
    """Outputs that only a reader of uncommitted records sees. Not a fault."""
    retold: int
    """Of those, revisions of call records, and events that two topics told, that differed when repeated,
    because the topics were interleaved differently. Not a fault, but should be rare.
    """

    @property
    def faults(self) -> dict[str, Any]:
        """Only the faults."""
        left = self._asdict()
        del left["deliveries"], left["repeated"], left["retold"]
        return {name: found for name, found in left.items() if found}


def read_verdict(bootstrap: str, story: SimulatedLoad, *, poisoned: bool = False) -> Verdict:
    """Reads everything back. `poisoned`: dead letters are expected and checked elsewhere."""
    names = story.names
    read = _read_all(bootstrap, story)
    comparison = Comparison(story.expected, alone=True)
    twice = repeated = 0
    unlike: list[tuple[ReadRecord, ReadRecord]] = []
    retold = 0
    tell = {names.events: comparison.event, names.ended: comparison.record, names.alerts: comparison.alert}
    committed: dict[str, list[ReadRecord]] = {}
    for topic, say in tell.items():
        committed[topic], uncommitted = read[topic, True], read[topic, False]
        for record in committed[topic]:
            key = record.key.decode() if record.key is not None else None
            say(orjson.loads(record.value or b""), Place(topic, key, record.partition))
        twice += sum(count - 1 for count in more_than_once(map(_id, committed[topic])).values())
        repeated += len(uncommitted) - len(committed[topic])
        for pair in differing_repeats(filter(_is_of_a_call, uncommitted), _id):
            if topic == names.events and _told_by(pair[0]) != _told_by(pair[1]):
                retold += 1
            else:
                unlike.append(pair)
        if topic == names.ended:
            retold += len(differing_repeats(uncommitted, _revision))
    buried = [] if poisoned else read[names.dead_letters, True]
    for record in buried:
        headers = {name: value.decode() for name, value in record.headers}
        comparison.dead_letter((record.key or b"").decode(), headers["reason"], headers["error"])
    states = latest(read[names.changelog, True])
    states.pop(SUBSCRIPTIONS_KEY, None)
    # What is counted over calls depends on how batches were cut; its outcome is compared.
    states = {key: state for key, state in states.items() if not is_scope(key)}
    for record in read[names.alerts_active, True]:
        comparison.alerts.active((record.key or b"").decode(), active=record.value is not None)
    # A worker may have stopped before a call was quiet for long enough.
    for due in due_records(states):
        comparison.record(due)
    report = comparison.report()

    search = LeakSearch()
    for topic in (*tell, names.alerts_active):
        for one in read[topic, True]:
            search.record(topic, f"-{one.partition}@{one.offset}", one.key, one.value, one.headers)

    wrong_forms = [
        error
        for topic in (*tell, names.alerts_active)
        for error in off_schema(roles(names)[topic], read[topic, True])
    ]

    smooth = undisturbed_outputs(story)
    told = {key: deliveries_of(state) for key, state in states.items()}
    sent = {key: deliveries_of(state) for key, state in smooth.states.items()}
    wrong = [
        key
        for key in states.keys() | smooth.states.keys()
        if key not in states or key not in smooth.states or _known(states[key]) != _known(smooth.states[key])
    ]
    said = (record.value or b"" for record in committed[names.ended])
    records = last_records(said, states)
    records_wrong = [
        key for key in records.keys() | smooth.records.keys() if records.get(key) != smooth.records.get(key)
    ]
    active = latest(read[names.alerts_active, True])
    newest: dict[bytes, str] = {}
    for record in committed[names.alerts]:
        alert = orjson.loads(record.value or b"")
        newest[alert["fingerprint"].encode()] = alert["state"]
    alerts = {fingerprint for fingerprint, state in newest.items() if state == "firing"}
    verdict = Verdict(
        differences=dict(report.differences),
        lost=sum(max(0, count - told.get(key, 0)) for key, count in sent.items()),
        doubled=sum(max(0, count - sent.get(key, 0)) for key, count in told.items()),
        states_wrong=len(wrong),
        records_wrong=len(records_wrong),
        twice=twice,
        unlike=len(unlike),
        not_active=len(alerts ^ active.keys()),
        leaks=search.found,
        off_schema=len(wrong_forms),
        dead_letters=len(buried),
        deliveries=len(story.records),
        repeated=repeated,
        retold=retold,
    )
    print(verdict, file=sys.stderr)
    for kind, examples in report.examples.items():
        print(kind, *examples, sep="\n  ")
    print("leaks", *search.examples, sep="\n  ")
    print("off schema", *wrong_forms[:10], sep="\n  ")
    for one, other in unlike[:3]:
        _show(_id(one), orjson.loads(one.value or b""), orjson.loads(other.value or b""))
    for key in wrong[:3]:
        _show(key, _known(states.get(key)), _known(smooth.states.get(key)))
    for key in records_wrong[:3]:
        _show(key, records.get(key), smooth.records.get(key))
    return verdict


def _is_of_a_call(record: ReadRecord) -> bool:
    """What an alert counts over calls depends on how batches were cut, its id does not."""
    value = record.value or b""
    return b'"scope":{"type":"call"' in value or b'"scope":' not in value


def _read_all(bootstrap: str, story: SimulatedLoad) -> dict[tuple[str, bool], list[ReadRecord]]:
    """Every topic that is looked at, by (topic, as a reader of committed records), all read at once."""
    names = story.names
    wanted = [(topic, True) for topic in (names.dead_letters, names.changelog, names.alerts_active)]
    wanted += [(topic, way) for topic in (names.events, names.ended, names.alerts) for way in (True, False)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = pool.map(lambda place: read_topic(bootstrap, place[0], committed=place[1]), wanted)
        return dict(zip(wanted, found, strict=True))


def _show(what: object, found: dict[str, Any] | None, wanted: dict[str, Any] | None) -> None:
    """Prints the fields in which two differ, to explain a failure."""
    print(f"{what}:")
    for name in sorted((found or {}).keys() | (wanted or {}).keys()):
        one, other = (found or {}).get(name), (wanted or {}).get(name)
        if one != other:
            print(f"  {name}: {one!s:.300}\n    and: {other!s:.300}")


def _known(stored: bytes | None) -> Any:
    return comparable_state(stored) if stored is not None else None


def _id(record: ReadRecord) -> tuple[str, str]:
    return (record.topic, orjson.loads(record.value or b"")["id"])


def _told_by(event: ReadRecord) -> str:
    """The topic whose delivery came first."""
    topic: str = orjson.loads(event.value or b"")["origin"]["topic"]
    return topic


def _revision(record: ReadRecord) -> tuple[bytes | None, int]:
    return (record.key, orjson.loads(record.value or b"")["revision"])
