"""An alert as notify reads it: the published example, and its least fields."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from stream.contracts.documents import document
from stream.contracts.json_schema import example_of
from stream.core.alerting.alert import Alert
from stream.core.events import DecodeError
from stream.notify.alert import ReceivedAlert, read_alert, route_of
from stream.service.tables.notify_tables import RouteSetting
from tests.notify.alerts import alert, record

REQUIRED = {"id", "fingerprint", "episode_id", "rule", "scope", "severity", "state", "starts_at"}


def test_the_published_example_is_read_with_all_that_notify_needs() -> None:
    example: dict[str, Any] = example_of(document("alert"))
    found = read_alert(orjson.dumps(example))
    assert set(ReceivedAlert.__struct_fields__) <= set(Alert.__struct_fields__)
    for name in (
        "id",
        "fingerprint",
        "episode_id",
        "revision",
        "state",
        "severity",
        "starts_at",
        "occurrences",
    ):
        assert getattr(found, name) == example[name]
    assert (found.rule.id, found.scope.id) == (example["rule"]["id"], example["scope"]["id"])
    assert (found.reason.text, found.reason.help) == (example["reason"]["text"], example["reason"]["help"])
    assert found.account_name == example["account_alias"]


def test_what_an_older_or_newer_worker_leaves_out_is_no_fault() -> None:
    least = {name: value for name, value in record().items() if name in REQUIRED}
    found = read_alert(orjson.dumps(least))
    assert (found.account_name, found.provider, found.samples, found.links) == ("", "", (), {})
    for name in REQUIRED:
        with pytest.raises(DecodeError):
            read_alert(orjson.dumps({key: value for key, value in least.items() if key != name}))


TIMELESS = orjson.dumps(record(starts_at="yesterday"))
"""Alertmanager would refuse all that is posted with it."""


@pytest.mark.parametrize(
    "value", [None, b"", b"null", b"[]", b'{"id": 1}', b"\xff", b"{" * 100_000, TIMELESS]
)
def test_what_is_no_alert_is_told_so(value: bytes | None) -> None:
    with pytest.raises(DecodeError) as told:
        read_alert(value)
    assert told.value.reason == "invalid_field"


def test_facts_of_one_rule_and_account_are_one_group_also_where_the_id_is_known_later() -> None:
    unknown, known = alert("telnyx:1", account=None), alert("telnyx:2", account="AC1")
    assert unknown.group == known.group
    assert unknown.group != alert("telnyx:1", account=None, account_alias="other").group


def test_a_pattern_takes_what_begins_with_all_that_is_before_its_star() -> None:
    route = RouteSetting(sink="s", name="r", rules=("call.*",))
    taken = {
        rule: route_of(alert(rule=rule), [route]) for rule in ("call.failed", "call.", "call", "callx.y")
    }
    assert taken == {"call.failed": route, "call.": route, "call": None, "callx.y": None}
