"""What `callstream up` shows."""

from __future__ import annotations

import orjson
import pytest

from stream.cli.local.dashboard import AlertNotice, DashboardState, line, panel
from stream.cli.local.worker_metrics import WorkerSnapshot
from stream.cli.support.drawing import PlainConsole

ALERT = {
    "detected_at": "2026-11-21T13:18:20.041696Z",
    "severity": "critical",
    "rule": {"id": "webhook.failing", "version": 1},
    "provider": "twilio",
    "scope": {"type": "endpoint", "id": "twilio:endpoint:AC1:https://app.example.test/voice"},
    "call": {"id": "CA1"},
    "reason": {"text": "The application answered 502 at https://app.example.test/voice."},
}


def shown(scene: DashboardState) -> str:
    console = PlainConsole(width=160, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(panel(scene))
    return capture.get()


def test_an_alert_of_an_endpoint_names_the_call_that_showed_it():
    notice = AlertNotice.of(ALERT)
    assert notice.scope == "twilio:CA1"
    assert notice.at == "13:18:20"


def test_a_worker_that_does_not_answer_is_said_and_nothing_is_invented():
    scene = DashboardState([("stop", "Ctrl-C")])
    assert line(scene) == "worker: not answering yet"
    assert "not answering yet" in shown(scene)
    assert "none yet" in shown(scene)


def test_the_view_shows_rate_lag_outcomes_and_the_newest_alert_first():
    scene = DashboardState(
        [("stop", "Ctrl-C")], WorkerSnapshot(1.0, "running", 12, {"applied": 12.0}, 3, 4, {"busy": 2.0}), 6.0
    )
    scene.alerts.append(AlertNotice("13:00:00", "warning", "call.failed", "twilio:CA0", "The call failed."))
    scene.alerts.append(AlertNotice.of(ALERT))
    text = shown(scene)
    assert text.index("webhook.failing") < text.index("call.failed")
    for part in ("6/s", "applied 12", "3 records", "4 active, 2 ended", "busy 2", "Ctrl-C"):
        assert part in text


def test_dead_letters_are_shown_only_where_there_are_any():
    quiet = DashboardState([], WorkerSnapshot(1.0, "running", 12))
    loud = DashboardState([], WorkerSnapshot(1.0, "running", 12, dead_letters=7))
    assert "dead letters" not in line(quiet)
    assert "dead letters 7" in line(loud)


def test_what_was_read_of_calls_is_shown_once_there_is_any():
    quiet = DashboardState([], WorkerSnapshot(1.0, "running", 12, compared={"match": 0.0}))
    read = DashboardState(
        [], WorkerSnapshot(1.0, "running", 12, compared={"match": 5.0, "missing_callback": 2.0})
    )
    assert "read whole" not in line(quiet) + shown(quiet)
    assert "read whole 7 (match 5, missing_callback 2)" in line(read)
    assert "missing_callback 2" in shown(read)


@pytest.mark.parametrize("value", [None, b"", b"7", b"{", b"{}", b'{"scope":1}', b'{"scope":{"id":null}}'])
def test_a_record_that_is_not_an_alert_is_not_a_notice(value):
    assert AlertNotice.read(value) is None


def test_an_alert_whose_words_are_not_texts_is_not_a_notice():
    assert AlertNotice.read(orjson.dumps(ALERT)) == AlertNotice.of(ALERT)
    assert AlertNotice.read(orjson.dumps(ALERT | {"severity": [1]})) is None
