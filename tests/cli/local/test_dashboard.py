"""What `callstream up` shows."""

from __future__ import annotations

import io

import pytest

from stream.cli.local.dashboard import DashboardState, line, panel
from stream.cli.local.figures import Figures, WatchedRole
from stream.cli.support.drawing import PlainConsole
from stream.service.metrics import poller
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import DEAD_LETTERS, Family
from tests.cli.local.alerts import notice

LINKS = [
    ("webhooks", "http://127.0.0.1:8080/callbacks/twilio and /callbacks/telnyx"),
    ("a topic", ".venv/bin/callstream tail alerts   (or events, ended, …)"),
    ("worker", "http://127.0.0.1:8081/metrics   http://127.0.0.1:8081/readyz"),
    ("gateway", "http://127.0.0.1:8084/metrics   http://127.0.0.1:8084/readyz"),
    ("poller", "http://127.0.0.1:8082/metrics   http://127.0.0.1:8082/readyz"),
    ("Kafka", "127.0.0.1:9092"),
    ("logs", "/srv/calls/.callstream"),
]


def role(at_s: float = 10.0, **sums: dict[str, float]) -> WatchedRole:
    """A role that was looked at once. `sums`: by the family's name in `worker_families`."""
    found = WatchedRole("http://127.0.0.1:8081")
    found.saw(Figures(at_s, {getattr(f, name): split for name, split in sums.items()}))
    return found


def busy() -> DashboardState:
    """A worker at work: every figure has a value, and many alerts have come."""
    worker = role(WORKER_STATE={"running": 1.0, "starting": 0.0}, EVENTS_PROCESSED={"applied": 1000.0})
    outcomes = ("answered", "busy", "no_answer", "canceled", "rejected", "failed")
    sums: dict[Family, dict[str, float]] = {
        f.WORKER_STATE: {"running": 1.0, "starting": 0.0},
        f.EVENTS_PROCESSED: {"applied": 1400.0, "duplicate": 60.0, "late": 40.0},
        f.CONSUMER_LAG: {"callbacks": 3.0, "polled": 4.0},
        f.CALLS_ACTIVE: {"inbound": 12.0},
        f.CALLS_ENDED: dict.fromkeys(outcomes, 1234.0),
        f.ALERTS_PUBLISHED: {"call.failed": 20.0, "webhook.failing": 5.0},
        f.RECONCILED_CALLS: {"match": 5.0, "missing_callback": 2.0},
        f.EVENT_LATENCY: {
            "received_sum": 10.0,
            "received_count": 20.0,
            "state_visible_sum": 13.0,
            "state_visible_count": 20.0,
        },
        DEAD_LETTERS: {"not_json": 7.0},
    }
    worker.saw(Figures(20.0, sums))
    polling = WatchedRole("http://127.0.0.1:8082")
    polling.saw(Figures(20.0, {poller.POLL_WAITING: {"heal": 5.0, "terminal": 4307.0}}))
    polling.reasons = ["simulated: 4,312 reads wait, and the number grows"]
    state = DashboardState(worker, polling, LINKS)
    for at in range(30):
        text = f"The call failed with SIP response code {404 + at % 20} and error code 13224."
        state.alerts.add(notice(f"2026-11-21T13:18:{at:02}Z", text=text, call=f"CA{at:032x}"))
    return state


def shown(state: DashboardState, width: int, height: int, now_s: float = 20.0) -> list[str]:
    console = PlainConsole(width=width, height=height, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(panel(state, width, height, now_s))
    return capture.get().splitlines()


def test_a_worker_that_does_not_answer_is_said_and_nothing_is_invented() -> None:
    assert line(DashboardState(), 0.0) == "worker: not answering yet"
    lines = shown(DashboardState(links=LINKS), 80, 24)
    assert lines[0].split(maxsplit=1) == ["worker", "not answering yet"]
    assert "no alerts yet" in lines
    assert lines[-1].split() == ["stop", "Ctrl-C"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 48), (132, 40), (60, 15), (40, 12)])
def test_the_view_fits_the_terminal_and_ends_with_how_to_stop_it(width: int, height: int) -> None:
    lines = shown(busy(), width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert lines[-1].split() == ["stop", "Ctrl-C"]
    assert "no alerts yet" not in lines, "there is only no room for them"


def test_on_80_by_24_each_alert_has_its_reason_and_its_call_with_both_ends() -> None:
    lines = shown(busy(), 80, 24)
    at = lines.index("newest alerts")
    head, reason, second = lines[at + 1 : at + 4]
    assert head.split() == ["13:18:29", "2x", "call.failed", "twilio:CA0000…00001d"]
    assert reason == "  The call failed with SIP response code 413 and error code 13224."
    assert second.startswith("13:18:28")
    assert sum("The call failed" in line for line in lines) >= 3


def test_on_80_by_24_neither_a_code_nor_what_to_do_is_cut_off() -> None:
    state = busy()
    said = "The provider reported an error: connection error at carrier_edge, error code 31404."
    state.alerts.add(notice("2026-11-21T13:19:00Z", text=said))
    assert state.poller is not None
    mend = "raise CALLSTREAM_POLL_RATE and CALLSTREAM_POLL_CONCURRENCY as far as the provider allows"
    state.poller.reasons = [f"twilio/simulated: 114 reads wait, and more come than are read: {mend}"]
    lines = shown(state, 80, 24)
    (reason,) = [one for one in lines if "reported" in one]
    assert reason.startswith("  The provider reported an error: conn")
    assert reason.endswith("carrier_edge, error code 31404.")
    assert mend in " ".join(one.strip() for one in lines)
    assert len(lines) < 24
    state.poller.reasons = []
    assert any(one.endswith("/callbacks/twilio and /callbacks/telnyx") for one in shown(state, 80, 24))


@pytest.mark.parametrize("width", [80, 140])
def test_the_call_of_an_alert_is_a_link_to_its_page(width: int) -> None:
    page = "https://calls.example.com/ui/calls/twilio%3ACA1"
    state = busy()
    linked = notice("2026-11-21T13:19:00Z", text="It failed.")
    linked.links = {"call": page}
    state.alerts.add(linked)
    console = PlainConsole(width=width, height=40, file=io.StringIO(), force_terminal=True)
    with console.capture() as capture:
        console.print(panel(state, width, 40, 20.0))
    assert capture.get().count(page) == 1
    assert "It failed." in capture.get()


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://x\x1b\\evil", "https://x y", ""])
def test_an_address_that_could_control_the_terminal_is_no_link(address: str) -> None:
    linked = notice("2026-11-21T13:19:00Z")
    linked.links = {"call": address}
    assert linked.page is None


def test_on_a_wide_terminal_an_alert_is_one_line_and_all_links_are_there() -> None:
    lines = shown(busy(), 160, 48)
    (first,) = [one for one in lines if one.startswith("13:18:29")]
    assert first.endswith("The call failed with SIP response code 413 and error code 13224.")
    assert all(any(one.startswith(name) for one in lines) for name, _ in LINKS)


def test_the_figures_have_rate_latency_backlog_and_what_the_poller_says() -> None:
    lines = shown(busy(), 160, 48)
    rows = dict(one.split(maxsplit=1) for one in lines if one and one[0] != " ")
    assert rows["deliveries"].startswith("50/s, applied 1,400")
    assert rows["latency"] == "0.15 s from receipt to state"
    assert rows["backlog"] == "7 records, 4,312 reads"
    assert "! simulated: 4,312 reads wait, and the number grows" in lines


def test_a_missed_scrape_keeps_the_last_figures_dimmed_with_their_age() -> None:
    state = busy()
    fresh, stale = shown(state, 160, 48, 21.0), shown(state, 160, 48, 32.0)
    assert fresh[0].split(maxsplit=1)[1] == "running"
    assert stale[0].split(maxsplit=1)[1] == "running, no answer for 12 s"

    assert fresh[1:] == stale[1:]
    console = PlainConsole(width=160, height=48, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(panel(state, 160, 48, 32.0))
    assert all("\x1b[" in one and "2m" in one for one in capture.get().splitlines()[:7])
    assert "running, no answer for 12 s" in line(state, 32.0)


def test_a_worker_of_several_processes_has_the_number_in_each_state() -> None:
    state = DashboardState(role(WORKER_STATE={"recovering": 1.0, "running": 2.0, "starting": 0.0}))
    assert line(state, 10.0).startswith("worker recovering, running (2), deliveries ")


def test_reads_of_a_poller_that_answers_no_more_are_not_shown_as_of_now() -> None:
    state = busy()
    state.worker.saw(
        Figures(32.0, {f.CONSUMER_LAG: {"callbacks": 2.0}, f.EVENTS_PROCESSED: {"late": 1600.0}})
    )
    assert "backlog 2 records, 4,312 reads 12 s ago" in line(state, 32.0)


def test_dead_letters_and_compared_calls_are_shown_once_there_are_any() -> None:
    quiet = DashboardState(role(WORKER_STATE={"running": 1.0}))
    assert "dead letters" not in line(quiet, 10.0)
    assert "read whole" not in line(quiet, 10.0)
    assert "dead letters 7" in line(busy(), 20.0)
    assert "read whole 7: match 5, missing_callback 2" in line(busy(), 20.0)
