"""When two deliveries are one event."""

from __future__ import annotations

import json
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream.core.events import Event, Reading
from stream.core.identity import (
    NAMESPACE,
    VERSION,
    content_hash,
    event_id,
    identify,
    name_id,
)

scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=12))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=6)


@given(st.lists(scalars, max_size=5))
def test_an_id_is_the_standards_uuid5_of_the_compact_json_array(parts: list[Any]) -> None:
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    assert name_id(*parts) == str(uuid.uuid5(NAMESPACE, text))


def test_parts_do_not_run_into_one_another() -> None:
    assert name_id("ab", "c") != name_id("a", "bc")
    assert name_id("1") != name_id(1)


def test_an_id_says_version_call_family_and_rung() -> None:
    assert event_id("twilio:CA1", "progress", "1", (3, "completed")) == name_id(
        VERSION, "twilio:CA1", "progress", "1", 3, "completed"
    )


def test_the_same_number_and_status_of_two_legs_are_two_events() -> None:
    """Case 57."""
    assert event_id("twilio:CA1", "progress", "1", (0, "ringing")) != event_id(
        "twilio:CA2", "progress", "1", (0, "ringing")
    )


def test_ids_never_change_between_versions_of_this_program() -> None:
    assert event_id("twilio:CA1", "progress", "1", (3, "completed")) == FROZEN_ID


FROZEN_ID = "599cba59-5cd0-5f89-bb63-6998cdb22460"


@given(objects, st.randoms(use_true_random=False))
def test_content_is_the_same_in_any_order_of_its_keys(content: dict[str, Any], order: Any) -> None:
    names = list(content)
    order.shuffle(names)
    assert content_hash({name: content[name] for name in names}) == content_hash(content)


@given(values, values)
def test_other_content_has_another_hash(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (content_hash(one) == content_hash(other)) == same


@given(st.text(max_size=8), st.lists(scalars, max_size=3))
def test_an_event_is_identified_by_its_id_and_its_fingerprint_at_once(key: str, parts: list[Any]) -> None:
    event = Event(
        key=key, provider="twilio", source="twilio_insights_event", family="insights", name="jitter"
    )
    reading = Reading(event, "4", tuple(parts))
    identify(reading)
    assert event.id == event_id(key, "insights", "4", tuple(parts))
    assert reading.fingerprint == uuid.UUID(event.id).int >> 64
