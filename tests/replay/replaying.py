"""Plays a trace: what providers sent about a few calls, and time going on, through the whole job of a worker.

A trace is a JSON file: `about` says what happened, `deliveries` are in the form of `tests/cases`, each `at` a
second of the trace, and `until` is where it ends. `polled` are the sources that are read, none by default;
`policy` has further fields of the policy; with `short`, the outcome of its many records is enough.
Ticks come once a second, and once a minute when all is quiet.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from agents.processor import CallProcessor
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.timestamps import utc
from tests.agents.batches import PARTITION, TOPICS, Fetched, Lane, Written, to
from tests.cases.playing import START_US, landed

FOLDER = Path(__file__).parent
TRACES = {path.stem: path for path in sorted((FOLDER / "traces").glob("*.json"))}

QUIET_S = 120
"""After the last delivery, ticks come once a minute."""

OF_ALERT = ("state", "severity", "confidence", "revision", "occurrences", "starts_at", "ends_at")


def expected_path(name: str) -> Path:
    return FOLDER / "expected" / f"{name}.json"


def read_trace(name: str) -> dict[str, Any]:
    trace: dict[str, Any] = orjson.loads(TRACES[name].read_bytes())
    return trace


def replay(trace: dict[str, Any]) -> dict[str, Any]:
    """What comes of a trace, see `told`."""
    return told(written_by(trace), short=trace.get("short", False))


def written_by(trace: dict[str, Any]) -> list[Written]:
    """All that a worker writes of a trace, in order. Each delivery is a batch of its own."""
    policy = CallPolicy(polled=tuple(trace.get("polled", ())), **trace.get("policy", {}))
    lane = Lane(policy=policy)
    lane.processor = CallProcessor(
        TOPICS, policy, Privacy(), lane.metrics, deployment="calls", errors_limit=1
    )
    lane.processor.partition_assigned(PARTITION, ())
    coming = sorted(trace["deliveries"], key=lambda one: one["at"])
    quiet_s = int(coming[-1]["at"]) + QUIET_S
    written: list[Written] = []
    offsets = count()

    def run(topic: str, key: bytes | None, value: bytes | None) -> None:
        new = lane.run([Fetched(topic, next(offsets), key, value)])
        written.extend(new)
        for one in to(TOPICS.scopes, new):
            run(TOPICS.scopes, one.output.key, one.output.value)

    for second in [*range(quiet_s), *range(quiet_s, trace["until"], 60), trace["until"]]:
        while coming and coming[0]["at"] <= second:
            delivery = coming.pop(0)
            received_us = START_US + round(delivery["at"] * 1_000_000)
            for topic, key, value in landed(delivery, received_us, Counter()):
                run(topic, key, value)
        now = utc(START_US + second * 1_000_000)
        run(TOPICS.ticks, None, orjson.dumps({"v": 1, "now": now}))
    return written


def told(written: list[Written], *, short: bool) -> dict[str, Any]:
    """What a reader compares: the events in a line each, every revision of an alert in short, the last record
    of each call whole (`short`: its outcome), what was asked of the pollers, and dead letters.
    """
    events = [one.json for one in to(TOPICS.events, written)]
    alerts = [one.json for one in to(TOPICS.alerts, written)]
    records = {one.json["key"]: one.json for one in to(TOPICS.ended, written) if one.output.value}
    for record in records.values():
        del record["id"]  # a hash of all that is known
    if short:
        records = {key: {"outcome": record["outcome"]} for key, record in records.items()}
    fetches = [one.json for one in to(TOPICS.fetches, written)]
    return {
        "events": [
            " ".join(str(one[name] or "-") for name in ("received_at", "source", "family", "name", "status"))
            + (" late" if one["late"] else "")
            for one in events
        ],
        "alerts": [
            {"rule": one["rule"]["id"], "scope": one["scope"]["id"], "reason": one["reason"]["code"]}
            | {name: one[name] for name in OF_ALERT}
            for one in alerts
        ],
        "records": records,
        "fetches": [
            f"{one['due_at']} {one['reason']} "
            + ", ".join(f"{read['source']} {read['edge'] or ''}".strip() for read in one["reads"])
            for one in fetches
        ],
        "dead_letters": [
            dict(one.output.headers)["reason"].decode() for one in to(TOPICS.dead_letters, written)
        ],
    }
