"""Folding a run of deliveries of one call, and what the tests compare of the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from stream.core.alerting.alert import Alert
from stream.core.call.fold import Folded, fold
from stream.core.call.identity_pages import Pages
from stream.core.call.lifecycle import lifecycle_of
from stream.core.call.record import LATEST_S, CallRecord
from stream.core.call.state import Call, dump, load
from stream.core.call.timers import tick
from stream.core.effects import Observed
from stream.core.events import Event, Origin, Reading
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.timestamps import SECOND_US
from stream.sources import DECODERS
from tests.core.deliveries import Delivery


class Told(NamedTuple):
    """The result of a run of deliveries of one call."""

    call: Call
    folded: list[Folded]
    policy: CallPolicy = CallPolicy()

    @property
    def effects(self) -> list[Any]:
        return [effect for folded in self.folded for effect in folded.effects]

    @property
    def results(self) -> list[str]:
        return [folded.result for folded in self.folded]

    def all_of(self, kind: type[Any]) -> list[Any]:
        return [effect for effect in self.effects if type(effect) is kind]

    @property
    def events(self) -> list[Event]:
        return self.all_of(Event)

    @property
    def alerts(self) -> list[Alert]:
        return self.all_of(Alert)

    @property
    def raised(self) -> list[str]:
        """The rule of each episode that was opened, and `webhook.failing` for each failure of an endpoint."""
        found = []
        for effect in self.effects:
            if type(effect) is Alert and effect.revision == 1:
                found.append(effect.rule.id)
            elif type(effect) is Observed and "reported" in effect.counters:
                found.append("webhook.failing")
        return found

    @property
    def firing(self) -> dict[str, Alert]:
        """What fires in the end, by rule."""
        newest = {alert.rule.id: alert for alert in self.alerts}
        return {rule: alert for rule, alert in newest.items() if alert.state == "firing"}

    @property
    def record(self) -> CallRecord:
        """The last one, once the call has been quiet for a while."""
        ticked = tick(load(dump(self.call)), self.call.arrival.last_us + LATEST_S * SECOND_US, self.policy)
        records = [effect for effect in (*self.effects, *ticked.effects) if type(effect) is CallRecord]
        return records[-1]


PRIVACY = Privacy("masked")


def readings(one: Delivery, privacy: Privacy = PRIVACY) -> list[Reading]:
    """The readings of a delivery, masked as before the fold."""
    envelope = one.envelope
    said = DECODERS[envelope.source](envelope)
    for reading in said:
        privacy.apply(reading)
    return said


def tell(
    deliveries: Iterable[Delivery],
    *,
    call: Call | None = None,
    policy: CallPolicy | None = None,
    offset: int = 0,
    pages: Pages | None = None,
    privacy: Privacy = PRIVACY,
) -> Told:
    """Fold deliveries of one call in this order."""
    pages = pages if pages is not None else Pages(lambda _: None)
    folded: list[Folded] = []
    for place, one in enumerate(deliveries, start=offset):
        origin = Origin("calls.callbacks.v1", 0, place)
        folded.append(fold(call, readings(one, privacy), one.envelope, origin, policy or CallPolicy(), pages))
        call = folded[-1].call
    assert call is not None
    return Told(call, folded, policy or CallPolicy())


def knowledge(call: Call) -> dict[str, Any]:
    """A state without the fields that depend on the order of arrival; its life cycle is sorted."""
    known = msgspec.structs.asdict(call)
    for name in ("arrival", "due_s", "fetches", "complete", "alerts"):
        del known[name]
    known["lifecycle"] = sorted(call.lifecycle, key=lambda entry: entry.fingerprint)
    return known


def said_of(record: CallRecord) -> dict[str, Any]:
    """A record without the fields that depend on the order of arrival."""
    said: dict[str, Any] = msgspec.to_builtins(record)
    for name in ("revision", "id", "arrival", "updated_at"):
        del said[name]
    return said


def settled(call: Call, policy: CallPolicy | None = None) -> CallRecord:
    """The last record of an ended call, as it leaves the table."""
    ticked = tick(load(dump(call)), call.arrival.last_us + 1_000_000 * SECOND_US, policy or CallPolicy())
    (record,) = (effect for effect in ticked.effects if type(effect) is CallRecord)
    return record


def picked(record: CallRecord, names: Sequence[str]) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(record)
    return {name: said[name] for name in names}


def summary(told: Told) -> tuple[str | None, str | None]:
    """(status, outcome) of the call."""
    seen = lifecycle_of(told.call)
    return (seen.end.status, seen.end.outcome) if seen.end else (seen.status, None)
