"""Alerts in the lines of `callstream up`: their parts, their order, equal ones together."""

from __future__ import annotations

import orjson
import pytest

from stream.cli.local import notices
from stream.cli.local.notices import NewestAlerts, read_notice
from tests.cli.local.alerts import ALERT, notice


def test_an_alert_of_an_endpoint_names_the_call_that_showed_it() -> None:
    found = read_notice(orjson.dumps(ALERT))
    assert found is not None
    assert (found.at, found.where) == ("13:18:20", "twilio:CA1")


@pytest.mark.parametrize(
    "value",
    [None, b"", b"7", b"{", b"{}", b'{"scope":1}', b'{"scope":{"id":null}}', b"\xff", b'{"x":' * 100_000],
)
def test_a_record_that_is_not_an_alert_is_not_a_notice(value: bytes | None) -> None:
    assert read_notice(value) is None


def test_an_alert_whose_words_are_not_texts_is_not_a_notice() -> None:
    assert read_notice(orjson.dumps(ALERT | {"severity": [1]})) is None


def test_alerts_are_sorted_by_their_time_whatever_partition_brought_them_first() -> None:
    alerts = NewestAlerts()
    for second, text in ((20, "b"), (10, "a"), (30, "c")):
        alerts.add(notice(f"2026-11-21T13:18:{second}Z", text=text))
    assert [group.newest.reason.text for group in alerts] == ["c", "b", "a"]


def test_equal_alerts_are_one_group_with_their_number_and_the_newest_call() -> None:
    alerts = NewestAlerts()
    alerts.add(notice("2026-11-21T13:18:20Z", call="CA2"))
    alerts.add(notice("2026-11-21T13:18:10Z", call="CA1"))
    alerts.add(notice("2026-11-21T13:18:30Z", text="Another one."))
    alerts.add(notice("2026-11-21T13:18:22Z", call="CA2", revision=2))
    alerts.add(notice("2026-11-21T13:18:05Z", state="resolved", code="retracted", revision=2))
    alerts.add(notice("2026-11-21T13:18:40Z", state="resolved", code="settled", revision=2))
    assert [(group.newest.says, group.newest.where, group.number) for group in alerts] == [
        ("Another one.", "twilio:CA1", 1),
        ("The call failed.", "twilio:CA2", 2),
        ("(resolved) The call failed.", "twilio:CA1", 1),
    ]
    assert alerts.seen == 3


def test_a_revision_is_not_another_alert_and_the_end_of_a_wrong_one_is() -> None:
    alerts = NewestAlerts()
    assert alerts.add(notice("2026-11-21T13:18:20Z"))
    assert not alerts.add(notice("2026-11-21T13:18:20Z", revision=2))
    assert alerts.add(notice("2026-11-21T13:18:30Z", state="resolved", code="retracted", revision=3))
    assert not alerts.add(notice("2026-11-21T13:18:40Z", state="resolved", code="settled", revision=2))


def test_the_oldest_group_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "GROUPS", 2)
    alerts = NewestAlerts()
    for second in (20, 10, 30):
        alerts.add(notice(f"2026-11-21T13:18:{second}Z", text=str(second)))
    assert [group.newest.reason.text for group in alerts] == ["30", "20"]
