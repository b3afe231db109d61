"""Plays a case: what a provider sends, as the gateway, the poller and the worker take it, without any I/O.

A webhook passes the gateway's pure path, a polled row is written as the poller writes it. The worker's
processor then decodes, masks and folds them in their order, and time goes on until the call is quiet. A case
may name more times of ticks: `ticks_s`, one every so many seconds between its deliveries; `later_s`, at these
seconds after its last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlencode

import orjson

from agents.processor import CallProcessor
from stream.core.privacy.masking import Privacy
from stream.core.timestamps import utc
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.records import records_of
from stream.gateway.receive.request import FORM, Client, WebhookRequest, headers_of, parse
from stream.gateway.receive.verification import verify
from stream.kafka.envelope_codec import read_envelope, write_envelope
from stream.sources import DECODERS
from tests.agents.batches import PARTITION, TOPICS, Fetched, Lane, Written, to

START_US = 1_772_445_600_000_000
"""2026-03-02T10:00:00Z, when a case begins."""

QUIET_S = 120
"""After the last delivery. By then every revision of a record is written."""

UNSIGNED = GatewayCredentials(accept_unsigned=True)


@dataclass
class Played:
    """What came of a case: all written records, and what the gateway counted as about no call."""

    written: list[Written] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def of(self, topic: str) -> list[Any]:
        return [one.json for one in to(topic, self.written)]

    @property
    def events(self) -> list[Any]:
        return self.of(TOPICS.events)

    @property
    def records(self) -> list[Any]:
        return self.of(TOPICS.ended)

    @property
    def alerts(self) -> list[str]:
        newest = {one["fingerprint"]: one for one in self.of(TOPICS.alerts)}
        return sorted(one["rule"]["id"] for one in newest.values() if one["state"] == "firing")

    @property
    def dead(self) -> list[dict[str, bytes]]:
        return [dict(one.output.headers or ()) for one in to(TOPICS.dead_letters, self.written)]

    @property
    def leaving(self) -> bytes:
        """Everything that leaves. Dead letters hold the original bytes, and say so."""
        return b"\n".join(
            part
            for one in self.written
            if one.topic != TOPICS.dead_letters
            for part in (one.output.key, one.output.value, *(value for _, value in one.output.headers or ()))
            if part
        )


def play(case: dict[str, Any]) -> Played:
    lane = Lane()
    lane.processor = CallProcessor(
        TOPICS,
        lane.policy,
        Privacy(case.get("privacy", "masked"), "secret"),
        lane.metrics,
        deployment="calls",
        errors_limit=1,
    )
    lane.processor.partition_assigned(PARTITION, ())
    played, offset, at_s = Played(), 0, 0.0
    ticks = count(case["ticks_s"], case["ticks_s"]) if "ticks_s" in case else count(QUIET_S * 1000)
    next_tick_s = next(ticks)
    for delivery in case["deliveries"]:
        at_s = delivery.get("at", at_s)
        while next_tick_s <= at_s:
            played.written += lane.run([_tick(next_tick_s)])
            next_tick_s = next(ticks)
        for topic, key, value in landed(delivery, START_US + round(at_s * 1_000_000), played.ignored):
            played.written += lane.run([Fetched(topic, offset, key, value)])
            offset += 1
    for last_s in (int(at_s) + QUIET_S, *case.get("later_s", ())):
        played.written += lane.run([_tick(last_s)])
    return played


def _tick(second: int) -> Fetched:
    now = utc(START_US + second * 1_000_000)
    return Fetched(TOPICS.ticks, 0, None, orjson.dumps({"v": 1, "now": now}))


def landed(
    delivery: dict[str, Any], received_us: int, ignored: Counter[str]
) -> Iterable[tuple[str, bytes | None, bytes]]:
    """(topic, key, value) of the records of one delivery."""
    if "source" in delivery:
        value = write_envelope(
            delivery["source"],
            delivery["body"],
            received_us=received_us,
            account=delivery.get("account"),
            endpoint=delivery["endpoint"],
            delivery={"verified": True},
            ordinal=delivery.get("ordinal", 0),
        )
        [reading, *_] = DECODERS[delivery["source"]](read_envelope(value))
        yield TOPICS.polled, reading.event.key.encode(), value
        return
    verified = verify(parse(_request(delivery), Client("192.0.2.7")), UNSIGNED, received_us / 1_000_000)
    for record in records_of(verified, endpoint=delivery["path"], received_us=received_us):
        if record.ignored is not None:
            ignored[record.ignored] += 1
        else:
            yield TOPICS.callbacks, record.key, record.value


def _request(delivery: dict[str, Any]) -> WebhookRequest:
    """A webhook as it comes over the wire: a form, a GET's query, or JSON."""
    body, path = delivery["body"], delivery["path"]
    if delivery.get("as", "json") == "json":
        headers = headers_of([("Host", "cb.example.com"), ("Content-Type", "application/json")])
        return WebhookRequest(method="POST", target=path, headers=headers, body=orjson.dumps(body))
    headers = headers_of([("Host", "cb.example.com"), ("Content-Type", FORM)])
    form = urlencode(body, doseq=True)
    if delivery["as"] == "query":
        return WebhookRequest(method="GET", target=f"{path}?{form}", headers=headers)
    return WebhookRequest(method="POST", target=path, headers=headers, body=form.encode())
