"""A poller of ten lines for what a providers holds, and a clock that goes when it is told to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from stream.provider_api.time_formats import iso_us
from stream.simulator.calls.call import SimulatedCall, SourceRecord
from stream.simulator.calls.options import ALL_SOURCES, OPTIONAL_SOURCES, Options
from stream.simulator.check.compare import READ_BY_CALL
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.traffic import Traffic
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.outputs import Outputs, outputs_of

START_US = 1_760_000_000_000_000
S = 1_000_000


class Clock:
    """Says the time that it was set to."""

    def __init__(self, now_us: int = START_US) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


def readable_records(
    providers: ProviderState, calls: Iterable[SimulatedCall], now_us: int
) -> Iterator[SourceRecord]:
    """Every row that can be read of these calls, as a poller lands it."""
    deliveries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in providers.webhook_deliveries(now_us):
        deliveries[row["webhook"]["payload"]["call_leg_id"]].append(row)
    for call in calls:
        for source, rows in _resources(providers, call, deliveries, now_us):
            twins: Counter[bytes] = Counter()
            for row in rows:
                content = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
                envelope = {
                    "v": 1,
                    "source": source,
                    "received_at": iso_us(now_us),
                    "account": call.account,
                    "endpoint": call.endpoint(source),
                    "delivery": {"token": None, "attempt": None, "query": None, "verified": True},
                    "body": row,
                    "ordinal": twins[content],
                }
                twins[content] += 1
                yield SourceRecord("polled", call.key.encode(), orjson.dumps(envelope), now_us)


def _resources(
    providers: ProviderState, call: SimulatedCall, deliveries: dict[str, list[dict[str, Any]]], now_us: int
) -> Iterator[tuple[str, Iterable[dict[str, Any] | None]]]:
    if isinstance(call, TwilioCall):
        row, summary = providers.call(call.id, now_us), providers.summary(call.id, now_us)
        yield "twilio_call", [row] if row is not None else []
        yield "twilio_call_event", providers.call_events(call.id, now_us) or []
        yield "twilio_insights_event", providers.insights(call.id, now_us) or []
        yield "twilio_call_summary", [summary] if summary is not None else []
        alerts = [one["sid"] for one in providers.alerts(now_us) if one["resource_sid"] == call.id]
        yield "twilio_alert", [providers.alert(sid, now_us) for sid in alerts]
        if call.leg.ending.status != "completed":
            yield "twilio_notification", providers.notifications(call.id, now_us) or []
        return
    leg_id = call.key.partition(":")[2]
    yield "telnyx_call_event", providers.telnyx_leg(leg_id, now_us)
    yield "telnyx_webhook_delivery", deliveries.get(leg_id, [])


def run_served(
    options: Options, *, looks_every: int = 0, ends_s: float = 2400.0, mode: str = "masked"
) -> tuple[Traffic, Outputs]:
    """A served run whose callbacks arrive and whose rows are read: in the end, `ends_s` after the last
    delivery, and if asked for after every so many deliveries and a while after the last one. `mode`: of the
    privacy.
    """
    clock = Clock(options.start_us)
    traffic = Traffic(options, now_us=clock)
    assert traffic.expected is not None
    assert traffic.providers is not None
    landed: list[SourceRecord] = []
    for delivery in traffic.outgoing():
        clock.now_us = delivery.at_us
        landed.append(traffic.record(delivery))
        if looks_every and traffic.deliveries % looks_every == 0:
            landed += readable_records(traffic.providers, traffic.expected.calls, clock.now_us)
    if looks_every:
        clock.now_us += int(ends_s / 8 * S)
        landed += readable_records(traffic.providers, traffic.expected.calls, clock.now_us)
    clock.now_us += int(ends_s * S)
    landed += readable_records(traffic.providers, traffic.expected.calls, clock.now_us)
    return traffic, complete(outputs_of(landed, mode), options)


EVERY_SOURCE = frozenset(ALL_SOURCES + OPTIONAL_SOURCES)


def planted_records() -> list[SourceRecord]:
    """As gateway and poller write them: of calls with planted data and of a few others, all sources."""
    faults = {"failed": 0.3, "failing_webhooks": 0.3, "duplicates": 0.1}
    pushed = Traffic(Options(calls=600, start_us=START_US, sources=EVERY_SOURCE, **faults))
    found = [pushed.record(delivery) for delivery in pushed.outgoing() if _searched(delivery.call)]
    served = Traffic(Options(calls=300, served=True, start_us=START_US, **faults), now_us=Clock())
    for _ in served.outgoing():
        pass
    assert served.expected is not None
    assert served.providers is not None
    calls = [call for call in served.expected.calls if _searched(call)]
    return [*found, *readable_records(served.providers, calls, START_US + 3_600_000_000)]


def _searched(call: SimulatedCall) -> bool:
    return call.planted is not None or call.id.endswith("7")


def complete(outputs: Outputs, options: Options) -> Outputs:
    """With records that say that all was read to its end, as a worker's do when a poller has told it so."""
    for record in outputs.records:
        mine = {source for source in READ_BY_CALL & options.sources if source.startswith(record["provider"])}
        record["completeness"]["complete"] = sorted(mine)
    return outputs
