"""A forgotten call leaves the samples of the alerts about endpoints and accounts, whatever is read first."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import orjson
import pytest

from stream.archive.questions import AlertFilter
from stream.archive.reader import Archive
from stream.archive.writing.samples import without_forgotten
from stream.core.alerting.conditions import take
from stream.core.alerting.rules import read_rules
from stream.core.alerting.scopes import Told
from stream.core.effects import Observed
from stream.core.policy import CallPolicy
from tests.archive.kept import Keeper
from tests.archive.writing.test_writer import forgotten
from tests.core.deliveries import START_US, TELNYX_KEY, TWILIO_KEY

RULES = read_rules(
    '[links]\ncall = "https://ui.example.test/ui/calls/{key}"\nrunbook = "https://x.test/{rule}"'
)
OTHERS = {"runbook"}
LATER = "2026-03-03T10:00:00.000000Z"


def an_alert(*keys: str) -> dict[str, Any]:
    """What fires of an endpoint that these calls show."""
    told = Told(scope="twilio:endpoint:AC1:https://hooks.example.test/tw", heard_us=START_US)
    for key in keys:
        for _ in range(10):
            told.add(Observed(told.scope, START_US, START_US, ("answers", "failing"), (key, "answered 502")))
    (alert,) = take(None, told, CallPolicy(alert_rules=RULES))[1]
    return orjson.loads(msgspec.json.encode(alert))  # type: ignore[no-any-return]


def told(alert: dict[str, Any]) -> tuple[str, bytes, bytes]:
    return "alerts", alert["scope"]["id"].encode(), orjson.dumps(alert)


def kept_of(archive: Archive) -> tuple[list[str], set[str]]:
    """(the samples of the one alert, the names of its links)."""
    (alert,) = archive.alerts(AlertFilter()).items
    return [one["key"] for one in alert["samples"]], {*alert["links"]}


@pytest.mark.parametrize("order", ["alert first", "alert last", "one batch"])
@pytest.mark.parametrize("key", [TWILIO_KEY, "telnyx:v3:a/b"])
def test_it_is_shown_no_longer_and_no_link_opens_it(
    kept: tuple[Keeper, Archive], key: str, order: str
) -> None:
    keeper, archive = kept
    alert, said = told(an_alert(TELNYX_KEY, key)), forgotten(key, LATER)
    batches = {"alert first": [[alert], [said]], "alert last": [[said], [alert]]}.get(order, [[alert, said]])
    for batch in batches:
        keeper.keep(batch)
    newest_is_gone = max(TELNYX_KEY, key) == key
    assert kept_of(archive) == ([TELNYX_KEY], OTHERS if newest_is_gone else OTHERS | {"call"})


def test_another_call_and_one_that_was_seen_after_it_was_forgotten_stay(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep([forgotten(TWILIO_KEY, "2026-03-01T10:00:00.000000Z"), forgotten("twilio:CA1", LATER)])
    keeper.keep([told(an_alert(TWILIO_KEY))])
    keeper.keep([forgotten("twilio:CA2", LATER)])
    assert kept_of(archive) == ([TWILIO_KEY], OTHERS | {"call"})


def test_an_alert_without_samples_is_left_as_it_is() -> None:
    assert without_forgotten('{"links": {}}', {TWILIO_KEY: 1}) is None


def test_an_alert_is_not_written_while_another_writer_forgets_what_it_shows(
    kept: tuple[Keeper, Archive],
) -> None:
    """Neither would see what the other one writes."""
    keeper, archive = kept
    if keeper.writer.engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time")
    other = Keeper(keeper.url, keeper.writer.engine)
    writing = threading.Thread(target=other.keep, args=([told(an_alert(TWILIO_KEY))],))
    with keeper.writer._transaction() as statements:
        statements.forget({TWILIO_KEY: START_US + 86_400_000_000})
        writing.start()
        writing.join(0.5)
        assert writing.is_alive()
        assert [*statements.condition_alerts()] == []
    writing.join(10)
    assert kept_of(archive) == ([], OTHERS)
