"""What a faultless worker would write for a simulation: its decoders and its fold, without Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import orjson

from stream.core.alerting.alert import Alert
from stream.core.alerting.conditions import take
from stream.core.alerting.rules import DEFAULT_RULES, Rules
from stream.core.alerting.scopes import Scope, Told
from stream.core.call.fold import fold
from stream.core.call.identity_pages import Pages
from stream.core.call.record import CallRecord
from stream.core.call.state import Call
from stream.core.call.timers import child_found, sibling_answered, tick
from stream.core.effects import ChildFound, Observed
from stream.core.events import Event, Origin
from stream.core.identity import identify
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.kafka.envelope_codec import read_envelope
from stream.simulator.calls.call import SourceRecord
from stream.simulator.calls.options import Options
from stream.simulator.check.compare import Comparison
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.check.report import CheckReport
from stream.sources import DECODERS

RUN = Options(calls=60, duplicates=0.2, failed=0.2, errors=0.2, failing_webhooks=0.2, seed=42)


class Outputs(NamedTuple):
    """Records as JSON reads them, each list in the order of its topic."""

    events: list[dict[str, Any]]
    records: list[dict[str, Any]]
    alerts: list[dict[str, Any]]


def outputs_of(
    records: Iterable[SourceRecord], mode: str = "masked", rules: Rules = DEFAULT_RULES
) -> Outputs:
    """All that comes out of a run's records, in this order."""
    calls: dict[bytes, Call | None] = {}
    scopes: dict[str, Scope] = {}
    found = Outputs([], [], [])
    lists = {Event: found.events, CallRecord: found.records, Alert: found.alerts}
    policy, privacy, pages = CallPolicy(alert_rules=rules), Privacy(mode), Pages(lambda _: None)

    def keep(effects: Iterable[Any]) -> None:
        for effect in effects:
            if type(effect) in lists:
                lists[type(effect)].append(orjson.loads(msgspec.json.encode(effect)))
            elif type(effect) is Observed:
                told = Told(scope=effect.scope, heard_us=effect.heard_us)
                told.add(effect)
                scopes[effect.scope], alerts = take(scopes.get(effect.scope), told, policy)
                keep(alerts)

    def revise(key: bytes, now_us: int) -> None:
        call = calls.get(key)
        if call is not None and 0 < call.arrival.revise_us <= now_us:
            tick_call(key, call, now_us)

    def tick_call(key: bytes, call: Call, now_us: int) -> None:
        ticked = tick(call, now_us, policy)
        calls[key] = ticked.call
        keep(ticked.effects)

    def tell_parent(found: ChildFound, received_us: int) -> None:
        key = found.parent_key.encode()
        parent, losers = child_found(calls.get(key), found, received_us, policy)
        if parent is not None:
            calls[key] = parent
        for loser in losers:
            call = calls.get(loser.key.encode())
            keep((sibling_answered(call, loser, policy) if call is not None else None) or ())

    for offset, record in enumerate(records):
        envelope = read_envelope(record.value)
        readings = DECODERS[envelope.source](envelope)
        assert readings[0].event.key.encode() == record.key
        for reading in readings:
            privacy.apply(reading)
        if b":conference:" in record.key:
            for reading in readings:
                identify(reading)
            keep(reading.event for reading in readings)
            continue
        revise(record.key, envelope.received_us)
        origin = Origin(record.topic, 0, offset)
        folded = fold(calls.get(record.key), readings, envelope, origin, policy, pages)
        calls[record.key] = folded.call
        keep(folded.effects)
        for effect in folded.effects:
            if type(effect) is ChildFound:
                tell_parent(effect, envelope.received_us)
    for key in list(calls):
        while (call := calls[key]) is not None and (due_us := _due_us(call)):
            tick_call(key, call, due_us)
    return found


def _due_us(call: Call) -> int:
    """When a record is written again, or gaps are reviewed; 0 for never."""
    due = (call.arrival.revise_us, call.arrival.gap_due_us)
    return min(filter(None, due), default=0)


def compared(
    expected: ExpectedOutputs, outputs: Outputs, *, alone: bool = True, rules: Rules = DEFAULT_RULES
) -> CheckReport:
    """The report of a comparison of these outputs with the expected."""
    comparison = Comparison(expected, alone=alone, rules=rules)
    for event in outputs.events:
        comparison.event(event)
    for record in outputs.records:
        comparison.record(record)
    pass_alerts(comparison, outputs)
    return comparison.report()


def pass_alerts(comparison: Comparison, outputs: Outputs) -> None:
    """The records of both topics of alerts."""
    for alert in outputs.alerts:
        comparison.alert(alert)
        comparison.alerts.active(alert["fingerprint"], active=alert["state"] == "firing")


def only_example(expected: ExpectedOutputs, outputs: Outputs, kind: str) -> str:
    report = compared(expected, outputs)
    assert report.differences == {kind: 1}, "\n".join(report.lines())
    return report.examples[kind][0]


def first(records: list[dict[str, Any]], **wanted: Any) -> int:
    return next(at for at, r in enumerate(records) if all(r[name] == value for name, value in wanted.items()))


def first_alert(outputs: Outputs, rule: str) -> int:
    return next(at for at, alert in enumerate(outputs.alerts) if alert["rule"]["id"] == rule)


def last_revision(outputs: Outputs, status: str) -> int:
    newest = {record["key"]: at for at, record in enumerate(outputs.records)}
    return next(at for at in newest.values() if outputs.records[at]["status"] == status)


def headers_of(record: dict[str, Any]) -> list[tuple[str, bytes]]:
    """The headers of an event, a call record or an alert that a check looks at."""
    found = {"ce_id": record["id"]}
    if "rule" in record:
        found |= {"callstream-rule": record["rule"]["id"], "callstream-severity": record["severity"]}
    elif "revision" in record:
        found["callstream-outcome"] = record["outcome"] or "unknown"
    else:
        found["callstream-family"] = record["family"]
    return [(name, said.encode()) for name, said in found.items()]
