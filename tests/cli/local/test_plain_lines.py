"""What `callstream up` says where there is no terminal."""

from __future__ import annotations

from stream.cli.local.figures import Figures, WatchedRole
from stream.cli.local.plain_lines import plain_line
from stream.service.metrics import poller
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import DEAD_LETTERS, Family


def role(at_s: float = 10.0, **sums: dict[str, float]) -> WatchedRole:
    """A role that was looked at once. `sums`: by the family's name in `worker_families`."""
    found = WatchedRole("http://127.0.0.1:8081")
    found.saw(Figures(at_s, {getattr(f, name): split for name, split in sums.items()}))
    return found


def busy() -> tuple[WatchedRole, WatchedRole]:
    """A worker at work, for which every figure has a value, and its poller."""
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
        f.CALLBACK_LATENCY: {"0.1": 50.0, "0.2": 98.0, "0.3": 100.0, "+Inf": 100.0},
        DEAD_LETTERS: {"not_json": 7.0},
    }
    worker.saw(Figures(20.0, sums))
    polling = WatchedRole("http://127.0.0.1:8082")
    polling.saw(Figures(20.0, {poller.POLL_WAITING: {"heal": 5.0, "terminal": 4307.0}}))
    return worker, polling


def test_a_worker_that_does_not_answer_is_said_and_nothing_is_invented() -> None:
    assert plain_line(None, None, 0.0) == "worker: not answering yet"
    assert plain_line(WatchedRole(""), None, 0.0) == "worker: not answering yet"


def test_a_line_has_every_figure_of_a_busy_worker() -> None:
    assert plain_line(*busy(), 20.0) == (
        "worker running, deliveries 50/s, applied 1,400, duplicate 60, late 40, "
        "latency p50 0.1 s, p99 0.25 s from receipt to commit, backlog 7 records, 4,312 reads, "
        "calls 12 active, 7,404 ended, "
        "outcomes answered 1,234, busy 1,234, canceled 1,234, failed 1,234, no_answer 1,234, rejected 1,234, "
        "alerts call.failed 20, webhook.failing 5, read whole 7: match 5, missing_callback 2, dead letters 7"
    )


def test_figures_of_a_worker_that_no_longer_answers_have_their_age() -> None:
    assert "worker running, no answer for 12 s" in plain_line(*busy(), 32.0)


def test_a_worker_of_several_processes_has_the_number_in_each_state() -> None:
    worker = role(WORKER_STATE={"recovering": 1.0, "running": 2.0, "starting": 0.0})
    assert plain_line(worker, None, 10.0).startswith("worker recovering, running (2), deliveries ")


def test_reads_of_a_poller_that_answers_no_more_are_not_shown_as_of_now() -> None:
    worker, polling = busy()
    worker.saw(Figures(32.0, {f.CONSUMER_LAG: {"callbacks": 2.0}, f.EVENTS_PROCESSED: {"late": 1600.0}}))
    assert "backlog 2 records, 4,312 reads 12 s ago" in plain_line(worker, polling, 32.0)


def test_dead_letters_and_compared_calls_are_shown_once_there_are_any() -> None:
    quiet = plain_line(role(WORKER_STATE={"running": 1.0}), None, 10.0)
    assert "dead letters" not in quiet
    assert "read whole" not in quiet
