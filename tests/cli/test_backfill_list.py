"""`callstream backfill --list`."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from stream.cli import backfill
from stream.core.timestamps import utc
from stream.poller.schedule.progress import BackfillJob, new_job
from tests.cli.test_backfill import HOUR_US, JOB, NOW_US, changed, run


def test_those_that_are_not_done_are_listed_with_what_asks_for_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = changed(
        state="running",
        done_until=utc(NOW_US - 3 * HOUR_US // 4),
        rows=1234,
        error="network_error: refused",
        failing_since=utc(NOW_US),
        updated_at=utc(NOW_US + 9),
    )
    failed = new_job("telnyx_call_event", "", NOW_US - HOUR_US, NOW_US, NOW_US)
    failed = msgspec.structs.replace(failed, state="failed", error="auth_error: answered 401")
    known = [JOB, failed, running]
    over = [changed(id="1", state="done"), changed(id="2", state="cancelled")]

    async def found(*_: object) -> list[BackfillJob]:
        return [*known, *over]

    monkeypatch.setattr(backfill, "_known", found)
    listed = run("--list", CALLSTREAM_KAFKA="127.0.0.1:1")
    assert (listed.exit_code, listed.stderr) == (0, "")
    lines = listed.stdout.splitlines()
    assert lines[0] == (
        f"backfill {JOB.id}: --source twilio_call --account AC1 --since 2026-03-02T10:00:00.000000Z "
        "--until 2026-03-02T12:30:00.000000Z"
    )
    assert lines[1] == (
        "  running: 50 %, 1,234 rows, up to 2026-03-02T11:15:00.000000Z, failing since "
        "2026-03-02T12:00:00.000000Z: network_error: refused, as of 2026-03-02T12:00:00.000009Z"
    )
    assert lines[3].startswith("  waiting: 0 %, 0 rows")
    assert lines[4].startswith(f"backfill {failed.id}: --source telnyx_call_event --since ")
    assert lines[5].startswith("  failed: auth_error: answered 401: 0 %, 0 rows")
    assert len(lines) == 6
    listed = run("--list", "--json", CALLSTREAM_KAFKA="127.0.0.1:1")
    assert [orjson.loads(line)["state"] for line in listed.stdout.splitlines()] == [
        "running",
        "waiting",
        "failed",
    ]
    known.clear()
    listed = run("--list", CALLSTREAM_KAFKA="127.0.0.1:1")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert listed.stderr == "No backfill waits, runs or has failed.\n"
