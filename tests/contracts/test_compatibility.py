"""The schemas of the last release still hold: a change that breaks a reader is a new topic."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.compatibility import breaks
from tests.contracts.release import RELEASED, TOPICS, contracts

NAMES = sorted(path.stem for path in RELEASED.glob("*.json"))


def released(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RELEASED / f"{name}.json").read_text())
    return found


def test_every_contract_of_this_tree_has_a_release_to_compare_with() -> None:
    assert [*contracts()] != []
    assert {*NAMES} <= {*contracts()}, "a document is gone"


@pytest.mark.parametrize("name", [name for name in NAMES if name != TOPICS])
def test_no_reader_of_the_last_release_is_broken(name: str) -> None:
    assert breaks(released(name), contracts()[name]) == [], (
        "write a new topic, or, if this version is not released yet: python -m tests.contracts.release"
    )


def test_no_topic_of_the_last_release_is_gone() -> None:
    assert released(TOPICS).items() <= contracts()[TOPICS].items()


def changed(name: str, change: Any) -> list[str]:
    old = contracts()[name]
    new = copy.deepcopy(old)
    change(new)
    return breaks(old, new)


def of(name: str) -> Callable[[dict[str, Any]], Any]:
    """Picks what a schema says of a field."""
    return lambda schema: schema["properties"][name]


BREAKING: list[tuple[str, Any, str]] = [
    ("event", lambda s: s["properties"].pop("late"), "late is gone"),
    ("event", lambda s: s["required"].remove("late"), "late may be left out now"),
    ("event", lambda s: of("late")(s).update(type=["boolean", "null"]), "late may be null now"),
    ("event", lambda s: of("status")(s)["enum"].append("parked"), "status may be parked now"),
    ("event", lambda s: of("status")(s).pop("enum"), "status may be any word now"),
    ("event", lambda s: of("id")(s).pop("pattern"), "id has another pattern"),
    ("event", lambda s: of("schema_version")(s).update(const=2), "schema_version has another const"),
    ("event", lambda s: of("duration_s")(s).pop("minimum"), "duration_s has another minimum"),
    (
        "event",
        lambda s: of("offset")(s["$defs"]["Origin"]).pop("minimum"),
        "origin.offset has another minimum",
    ),
    ("event", lambda s: s["$defs"]["Origin"]["properties"].pop("offset"), "origin.offset is gone"),
    ("event", lambda s: s["allOf"].clear(), "no longer: "),
    ("call_record", lambda s: s["$defs"]["TimelineItem"]["properties"].pop("name"), "timeline[].name is"),
    ("fetch_request", lambda s: of("reads")(s).pop("minItems"), "reads has another minItems"),
    ("event_headers", lambda s: s["properties"].pop("ce_id"), "ce_id is gone"),
]


@pytest.mark.parametrize(("name", "change", "said"), BREAKING)
def test_a_change_that_breaks_a_reader_is_found(name: str, change: Any, said: str) -> None:
    found = changed(name, change)
    assert len(found) == 1
    assert found[0].startswith(said)


def test_a_new_field_fewer_words_and_another_description_break_nobody() -> None:
    def change(schema: dict[str, Any]) -> None:
        fields = schema["properties"]
        fields["colour"] = {"type": "string"}
        fields["status"]["enum"].remove("queued")
        fields["late"]["description"] = "Whether it was late."
        fields["duration_s"]["type"] = "integer"

    assert changed("event", change) == []
