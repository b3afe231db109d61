"""The same command again continues the job, or shows its result."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.core.timestamps import utc
from stream.poller.schedule.planning import BackfillRefusedError, cancelled, next_job
from stream.poller.schedule.progress import BackfillJob, new_job

NOW_US = 1_772_452_800_000_000
HOUR_US = 3_600_000_000
WANTED = new_job("twilio_call", "AC1", NOW_US - 3 * HOUR_US, NOW_US, NOW_US)
HALF = {"done_until": utc(NOW_US - HOUR_US), "rows": 7}


def known(**fields: Any) -> BackfillJob:
    return msgspec.structs.replace(WANTED, updated_at=utc(NOW_US - HOUR_US), **fields)


def wanted(**fields: Any) -> BackfillJob:
    return msgspec.structs.replace(WANTED, **fields)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, wanted()),
        (known(), None),
        (known(state="running", **HALF), None),
        (known(state="done", done_until=WANTED.until), None),
        (known(state="failed", error="it broke", **HALF), wanted(asked=2, **HALF)),
        (known(state="cancelled", asked=4, **HALF), wanted(asked=5, **HALF)),
        (known(state="failed", unread=3, **HALF), wanted(asked=2)),
        (known(state="cancelled", done_until=WANTED.until), wanted(asked=2, done_until=WANTED.until)),
    ],
)
def test_an_unfinished_job_continues_and_a_finished_one_stays_finished(
    before: BackfillJob | None, expected: BackfillJob | None
) -> None:
    assert next_job(before, WANTED, NOW_US) == expected


@pytest.mark.parametrize("state", ["waiting", "running", "failed", "cancelled", "done"])
def test_with_again_a_job_starts_over_in_any_state(state: str) -> None:
    assert next_job(known(state=state, asked=2, **HALF), WANTED, NOW_US, again=True) == wanted(asked=3)


def test_a_time_beyond_the_providers_limit_is_refused_but_a_result_is_still_shown() -> None:
    old = new_job("telnyx_call_event", "T1", NOW_US - 25 * HOUR_US, NOW_US - HOUR_US, NOW_US)
    with pytest.raises(BackfillRefusedError, match="for the last 24 hours only: begin later"):
        next_job(None, old, NOW_US)
    done = msgspec.structs.replace(old, state="done", done_until=old.until)
    assert next_job(done, old, NOW_US) is None
    rest = msgspec.structs.replace(old, state="failed", done_until=utc(NOW_US - 2 * HOUR_US))
    assert next_job(rest, old, NOW_US) is not None, "the rest of it is still within the limit"


def test_only_an_unfinished_job_can_be_cancelled() -> None:
    expected = wanted(state="cancelled", **HALF)
    assert cancelled(known(state="running", **HALF), NOW_US) == expected
    with pytest.raises(BackfillRefusedError, match="there is no such backfill"):
        cancelled(None, NOW_US)
    with pytest.raises(BackfillRefusedError, match="it is done already"):
        cancelled(known(state="done"), NOW_US)
