"""Numbers, addresses, names and secrets in every field of every source: in no output, log or metric.

What the worker writes of a delivery is searched whole: keys, values and headers of all topics, the state in
the changelog, the metrics, and the log at its finest. Of a dead letter only the headers are ours.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from agents.processor import CallProcessor
from stream.core.events import DecodeError
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import POLLED_SOURCES, SOURCES
from stream.kafka.envelope_codec import read_envelope
from stream.simulator.calls.options import ALL_SOURCES, OPTIONAL_SOURCES, Options
from stream.simulator.run import traffic_for
from stream.sources import DECODERS
from tests.agents.batches import PARTITION, TOPICS, Fetched, Lane, Written, a_tick, records, to
from tests.core.deliveries import CALL_ID, callback
from tests.core.privacy.planted import NUMBER, SECRET, SECRET_NAMES, USER
from tests.core.privacy.planted_bodies import LEG_ID
from tests.core.privacy.planted_places import PLACES
from tests.core.privacy.test_planted import MODES, delivered

ADDRESS = f"sip:{USER}@pbx.example.test"
LOCAL = "4155550142"
IDS = frozenset(
    (
        *("CallSid", "call_sid", "sid", "parent_call_sid", "AccountSid", "account_sid"),
        *("call_leg_id", "call_session_id"),
    )
)
"""Ids of calls and accounts. They are keys, and stay as the provider made them whatever they hold."""


class Sown(NamedTuple):
    """A delivery, where something is planted in it, and what must not come out in which modes."""

    where: str
    source: str
    body: dict[str, Any]
    planted: tuple[str, ...]
    modes: tuple[str, ...] = MODES


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all texts and numbers in a body."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, (*path, at))
    else:
        yield path


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from objects(inner, (*path, name))


def replaced(body: dict[str, Any], path: tuple[Any, ...], new: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(body)
    within = changed
    for step in path[:-1]:
        within = within[step]
    within[path[-1]] = new
    return changed  # type: ignore[no-any-return]


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """(source, body): the planted bodies, and those of simulated calls."""
    for place in PLACES:
        yield place.source, place.body
    shares = {"failed": 0.3, "errors": 0.3, "failing_webhooks": 0.3, "telnyx": 0.4}
    options = Options(calls=60, **shares, planted=False, sources=frozenset(ALL_SOURCES + OPTIONAL_SOURCES))
    for delivery in traffic_for("calls.", options):
        envelope = msgspec.json.decode(delivery.value)
        call_id = delivery.key.decode().partition(":")[2]
        body = msgspec.json.encode(envelope["body"]).decode().replace(call_id, CALL_ID)
        yield envelope["source"], msgspec.json.decode(body)


def sown() -> Iterator[Sown]:
    """Every planted place; every field of every source with a number or an address in its place; and a secret
    beside the fields of every object.
    """
    personal = ("masked", "hashed")
    for place in PLACES:
        yield Sown(place.name, place.source, place.body, place.planted, MODES if place.never else personal)
    known: set[tuple[str, ...]] = set()
    for source, body in bodies():
        for path in leaves(body):
            where = (source, *("[]" if type(step) is int else step for step in path))
            if where in known or path[-1] in IDS:
                continue
            known.add(where)
            for said in (NUMBER, f"{NUMBER} <{ADDRESS}>"):
                yield Sown(" ".join(where), source, replaced(body, path, said), (LOCAL, USER), personal)
        for at, path in enumerate(objects(body)):
            where = (source, *path, "{}")
            if where not in known:
                known.add(where)
                name = SECRET_NAMES[(len(known) + at) % len(SECRET_NAMES)]
                yield Sown(" ".join((*where, name)), source, replaced(body, (*path, name), SECRET), (SECRET,))


def record(one: Sown, number: int) -> Fetched:
    """The record of a delivery, each about a call of its own. Its key is what the gateway would make it."""
    text = msgspec.json.encode(one.body).decode()
    text = text.replace(CALL_ID, f"CA{number:032x}").replace(LEG_ID, f"{number:08x}{LEG_ID[8:]}")
    place = PLACES[0]._replace(source=one.source, body=msgspec.json.decode(text))
    value = delivered(place).value
    try:
        key = DECODERS[one.source](read_envelope(value))[0].event.key.encode()
    except DecodeError:
        key = b"twilio:CA%032x" % number
    topic = TOPICS.polled if one.source in POLLED_SOURCES else TOPICS.callbacks
    return Fetched(topic, number, key, value)


def leaving(some: list[Written]) -> Iterator[bytes]:
    """Of a dead letter, key and value are the original bytes, and say so."""
    for one in some:
        if one.topic != TOPICS.dead_letters:
            yield one.output.key or b""
            yield one.output.value or b""
        yield from (said for _, said in one.output.headers)


def test_an_alert_has_no_number_and_no_address_in_any_mode() -> None:
    """Alerts go to pagers and chats. What sources disagree on is in the text of one."""
    policy = CallPolicy(polled=POLLED_SOURCES, settle_s=60, max_age_s=120)
    lane = Lane(policy=policy)
    lane.processor = CallProcessor(
        TOPICS, policy, Privacy("full"), lane.metrics, deployment="calls", errors_limit=1
    )
    lane.processor.partition_assigned(PARTITION, ())
    others = ("+14155550199", "sip:john.doe@pbx.example.test")
    told = [callback("failed", "2", 3, From=one, To=ADDRESS) for one in (f"+1{LOCAL}", *others)]
    written = lane.run(records(told))
    for number, one in enumerate(sown()):
        if "full" not in one.modes:
            written += lane.run([record(one, number)])
    alerts = [one for one in written if one.topic in (TOPICS.alerts, TOPICS.alerts_active, TOPICS.scopes)]
    assert {one.json["rule"]["id"] for one in to(TOPICS.alerts, written)} >= {"state.conflict", "call.failed"}
    out = b"\n".join(leaving(alerts)).decode()
    assert [one for one in (LOCAL, USER, "4155550199", "john.doe") if one in out] == []


def test_every_source_has_planted_places() -> None:
    assert {place.source for place in PLACES} == set(SOURCES)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_that_is_planted_leaves_in_an_output_a_log_or_a_metric(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    policy = CallPolicy(polled=POLLED_SOURCES, settle_s=60, max_age_s=120)
    lane = Lane(policy=policy)
    lane.processor = CallProcessor(
        TOPICS, policy, Privacy(mode, "s3cret"), lane.metrics, deployment="calls", errors_limit=1
    )
    lane.processor.partition_assigned(PARTITION, ())
    leaked: set[str] = set()
    for number, one in enumerate(sown()):
        if mode not in one.modes:
            continue
        written = lane.run([record(one, number)])
        kept = list(lane.states.values())
        written += lane.run([a_tick(200 * (number + 1), number)])
        out = b"\n".join([*leaving(written), *kept]).decode("utf-8", "replace")
        leaked |= {f"{one.where}: {text}" for text in one.planted if text in out}
    exposed = lane.metrics.exposition("")[0].decode() + caplog.text
    leaked |= {f"metric or log: {text}" for text in (LOCAL, USER, SECRET) if text in exposed}
    assert sorted(leaked) == []
