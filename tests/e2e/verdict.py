"""What a fault run left behind, against the truth and against a run that nothing disturbed.

The rule of this file: it reads topics as their consumers do, after everything has ended, and forgives
nothing.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import orjson

from stream.simulator.check.compare import Comparison
from stream.simulator.check.leaks import LeakSearch
from tests.e2e.harness import Read, latest, more_than_once, read_topic, unlike_repeats
from tests.e2e.story import Story, deliveries_of, knowledge, last_records, undisturbed


class Verdict(NamedTuple):
    """What differs. All zero but the last three is what must be."""

    differences: dict[str, int]
    """Events, records and alerts against the simulator's truth, by kind."""
    lost: int
    """Deliveries that the states do not know of."""
    doubled: int
    """Deliveries that the states took in once more than they came."""
    states_wrong: int
    """States that know something else than those of the undisturbed run."""
    records_wrong: int
    """Last call records that say something else than those of the undisturbed run."""
    twice: int
    """Outputs that a reader of committed records sees more than once."""
    unlike: int
    """Repetitions, for a reader of uncommitted records, that differ from what they repeat."""
    not_active: int
    """Alerts of which `alerts.active` says something else."""
    leaks: int
    """Outputs with a number, a name or a secret in them."""
    dead_letters: int
    deliveries: int
    repeated: int
    """Outputs that only a reader of uncommitted records sees. Not a fault."""
    retold: int
    """Of those, revisions of call records that were told otherwise when they were repeated, because the two
    topics came interleaved otherwise. They have other ids. Not a fault, but as few as can be.
    """

    @property
    def faults(self) -> dict[str, Any]:
        """Only what must not be."""
        left = self._asdict()
        del left["deliveries"], left["repeated"], left["retold"]
        return {name: found for name, found in left.items() if found}


def judge(bootstrap: str, story: Story, *, poisoned: bool = False) -> Verdict:
    """Read it all back. `poisoned`: dead letters are expected and looked at elsewhere."""
    names = story.names
    read = _read_all(bootstrap, story)
    comparison = Comparison(story.expected, alone=True)
    twice = repeated = 0
    unlike: list[tuple[Read, Read]] = []
    retold = 0
    tell = {names.events: comparison.event, names.ended: comparison.record, names.alerts: comparison.alert}
    committed: dict[str, list[Read]] = {}
    for topic, say in tell.items():
        committed[topic], uncommitted = read[topic, True], read[topic, False]
        for record in committed[topic]:
            say(orjson.loads(record.value or b""))
        twice += sum(count - 1 for count in more_than_once(map(_id, committed[topic])).values())
        repeated += len(uncommitted) - len(committed[topic])
        unlike += unlike_repeats(uncommitted, _id)
        if topic == names.ended:
            retold = len(unlike_repeats(uncommitted, _revision))
    buried = [] if poisoned else read[names.dead_letters, True]
    for record in buried:
        headers = {name: value.decode() for name, value in record.headers}
        comparison.dead_letter((record.key or b"").decode(), headers["reason"], headers["error"])
    report = comparison.report()

    search = LeakSearch()
    for topic in (*tell, names.alerts_active):
        for one in read[topic, True]:
            search.record(topic, f"-{one.partition}@{one.offset}", one.key, one.value, one.headers)

    smooth = undisturbed(story)
    states = latest(read[names.changelog, True])
    told = {key: deliveries_of(state) for key, state in states.items()}
    sent = {key: deliveries_of(state) for key, state in smooth.states.items()}
    wrong = [
        key
        for key in states.keys() | smooth.states.keys()
        if key not in states or key not in smooth.states or _known(states[key]) != _known(smooth.states[key])
    ]
    records = last_records(record.value or b"" for record in committed[names.ended])
    records_wrong = [
        key for key in records.keys() | smooth.records.keys() if records.get(key) != smooth.records.get(key)
    ]
    active = latest(read[names.alerts_active, True])
    alerts = {orjson.loads(record.value or b"")["fingerprint"].encode() for record in committed[names.alerts]}
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
        dead_letters=len(buried),
        deliveries=len(story.records),
        repeated=repeated,
        retold=retold,
    )
    print(verdict, file=sys.stderr)
    for kind, examples in report.examples.items():
        print(kind, *examples, sep="\n  ")
    print("leaks", *search.examples, sep="\n  ")
    for one, other in unlike[:3]:
        _show(_id(one), orjson.loads(one.value or b""), orjson.loads(other.value or b""))
    for key in wrong[:3]:
        _show(key, _known(states.get(key)), _known(smooth.states.get(key)))
    for key in records_wrong[:3]:
        _show(key, records.get(key), smooth.records.get(key))
    return verdict


def _read_all(bootstrap: str, story: Story) -> dict[tuple[str, bool], list[Read]]:
    """Every topic that is looked at, by (topic, as a reader of committed records), all read at once."""
    names = story.names
    wanted = [(topic, True) for topic in (names.dead_letters, names.changelog, names.alerts_active)]
    wanted += [(topic, way) for topic in (names.events, names.ended, names.alerts) for way in (True, False)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = pool.map(lambda place: read_topic(bootstrap, place[0], committed=place[1]), wanted)
        return dict(zip(wanted, found, strict=True))


def _show(what: object, found: dict[str, Any] | None, wanted: dict[str, Any] | None) -> None:
    """The fields in which two differ, for whoever reads the failure."""
    print(f"{what}:")
    for name in sorted((found or {}).keys() | (wanted or {}).keys()):
        one, other = (found or {}).get(name), (wanted or {}).get(name)
        if one != other:
            print(f"  {name}: {one!s:.300}\n    and: {other!s:.300}")


def _known(stored: bytes | None) -> Any:
    return knowledge(stored) if stored is not None else None


def _id(record: Read) -> tuple[str, str]:
    return (record.topic, orjson.loads(record.value or b"")["id"])


def _revision(record: Read) -> tuple[bytes | None, int]:
    return (record.key, orjson.loads(record.value or b"")["revision"])
