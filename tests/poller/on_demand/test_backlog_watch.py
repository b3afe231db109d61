"""A backlog of reads that grows is said, once in the log and as long as it lasts beside `/readyz`."""

from __future__ import annotations

import logging

import pytest

from stream.poller import service
from stream.poller.on_demand.backlog_watch import LEAST, LOOKS, BacklogWatch
from stream.poller.resources.account import Account
from stream.service.metrics.poller import BudgetState
from stream.service.settings import Settings


def looked(*counts: int) -> BacklogWatch:
    waiting = {"twilio/main": 0}
    watch = BacklogWatch(lambda: waiting)
    for count in counts:
        waiting["twilio/main"] = count
        watch.look()
    return watch


GROWING = tuple(LEAST + 50 * look for look in range(LOOKS))


@pytest.mark.parametrize(
    "counts",
    [
        (),
        GROWING[:-1],
        tuple(reversed(GROWING)),
        tuple(count - LEAST // 2 for count in range(1, LOOKS + 1)),
        (500, 900, 500, 900, 500, 900),
        (900, 500, 600, 700, 800),
        (3000,) * 8,
    ],
    ids=str,
)
def test_a_small_a_steady_and_a_falling_backlog_are_not_mentioned(
    counts: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    assert looked(*counts).notes() == []
    assert caplog.records == []


def test_a_growing_backlog_is_said_until_it_has_fallen_by_half(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    said = "twilio/main: {} reads wait, and more come than are read: raise CALLSTREAM_POLL_RATE and "
    (note,) = looked(*GROWING).notes()
    assert note.startswith(said.format(GROWING[-1]))
    (note,) = looked(*GROWING, 5000, 5000, 2600).notes()
    assert note.startswith(said.format(2600))
    caplog.clear()
    assert looked(*GROWING, 5000, 5000, 2400, 2300).notes() == []
    assert [(one.levelname, one.getMessage()[:44]) for one in caplog.records] == [
        ("WARNING", "twilio/main: 300 reads wait, and more come t"),
        ("INFO", "twilio/main: the backlog of reads falls, 240"),
    ]


def test_a_backlog_that_is_small_again_is_over() -> None:
    assert looked(*GROWING, LEAST - 1).notes() == []


def test_an_account_that_cannot_be_read_has_another_trouble_and_begins_anew() -> None:
    waiting = {"twilio/main": 0}
    watch = BacklogWatch(lambda: waiting)
    for count in GROWING:
        waiting = {"twilio/main": count}
        watch.look()
    assert len(watch.notes()) == 1
    waiting = {}
    watch.look()
    assert watch.notes() == []
    waiting = {"twilio/main": 9000}
    watch.look()
    assert watch.notes() == []


async def test_reads_that_wait_for_a_provider_that_does_not_answer_are_no_backlog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def state(account: Account) -> BudgetState:
        name = "unreachable" if account.provider == "twilio" else "running"
        return BudgetState(account.provider, "main", name, 1, 1, 0, {"heal": 3, "terminal": 4})

    chosen = Settings(
        kafka="127.0.0.1:9", twilio_account_sid="AC1", twilio_auth_token=("t",), telnyx_api_key="k"
    )
    poller = service.Poller(chosen)
    monkeypatch.setattr(poller, "_state", state)
    assert list(poller._waiting_reads().values()) == [7]


def test_a_backlog_is_told_beside_ready_and_does_not_change_it() -> None:
    assert service.ready(None, [("a", "running")], backlogs=["a: many wait"]) == (True, ["a: many wait"])
