"""A provider that answers rubbish: every read ends with an outcome, nothing is lost, and no secret leaks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from stream.core.fetches import FetchRequest
from stream.kafka import topics
from tests.e2e.harness import ReadRecord, read_topic, stopped_after, wait_until
from tests.e2e.poller import PARTITIONS, Poller, all_records, send_requests, wait_committed
from tests.e2e.rubbish import BOMB_BYTES, GOOD, HUGE_BYTES, call_id
from tests.e2e.rubbish_accounts import (
    KINDS,
    Kind,
    PlantedSecrets,
    by_settings,
    outcomes,
    requests_of,
    results_of,
    rubbish_provider,
    table,
)
from tests.poller.fake_provider import FakeProvider
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

Note = Callable[[str, object], None]

STOP_S = 10.0
RECOVERY_S = 120.0
SLOW_S = 600.0
"""The client's timeout of 30 s, five times; and of a provider that fails, a request a minute is tried."""


def test_every_read_of_a_provider_that_answers_rubbish_ends_and_no_secret_leaks(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note
) -> None:
    planted = PlantedSecrets()
    pages: list[str] = []
    with rubbish_provider() as (provider, _, elsewhere):
        tables = [table(kind, provider.url, planted) for kind in KINDS]
        poller = Poller(
            *(broker, prefix, tmp_path, tables), verbose=True, environ=by_settings(provider.url, planted)
        )

        def look() -> None:
            pages.extend(poller.get_text(path)[1] for path in ("/metrics", "/readyz", "/livez"))

        with stopped_after(poller.process):
            poller.process.start()
            poller.wait_owns(PARTITIONS)
            bad, beside_them = requests_of(0), requests_of(GOOD)
            send_requests(broker, prefix, [*bad.values(), *beside_them.values()])
            wait_until(lambda: _windows_ended(poller), "every window was read or its failure logged", SLOW_S)
            look()
            wait_committed(broker, prefix, SLOW_S)
            look()
            after = requests_of(GOOD + len(KINDS))
            send_requests(broker, prefix, after.values())
            wait_committed(broker, prefix, RECOVERY_S)
            look()
            letters = read_topic(broker.bootstrap, topics.names(prefix).dead_letters)
            counted = Counted(poller)
            peak = peak_mb(poller.process.running.pid)
            last = requests_of(len(KINDS))["twilio-slow"]
            send_requests(broker, prefix, [last])
            wait_until(lambda: _was_asked(provider, last), "the last request is in the middle of a page", 60)
            code, stopped_s = poller.process.terminate(STOP_S)
        log = poller.process.log.read_text()
        results = results_of(broker, prefix)
        records = all_records(broker, prefix)

    figures = {
        "peak_mb": peak,
        "stopped_s": round(stopped_s, 1),
        "records": len(records),
        "letters": len(letters),
    }
    record_property("figures", figures)
    print(f"\nrubbish: {figures}, requests: {len(provider.seen)}, log lines: {log.count(chr(10))}")

    assert outcomes(results, bad) == {kind.alias: kind.outcome for kind in KINDS}
    good = {kind.alias: "auth_error" if kind.name == "refused" else "success" for kind in KINDS}
    assert outcomes(results, after) == good
    assert outcomes(results, beside_them) == good
    assert last.id not in results
    assert code == 0
    assert elsewhere.seen == []
    assert peak < BOMB_BYTES >> 20

    _assert_windows(log, counted)
    _assert_kept(letters)
    _assert_counted(letters, counted)
    (huge,) = results[bad["twilio-huge"].id]["reads"]
    assert huge["rows"] == 2

    # The secrets that are searched for are those that were sent.
    assert {authorization for _, authorization in provider.seen} == planted.headers
    assert "DEBUG" in log or "INFO" in log
    assert planted.count_in(log.encode(), *(page.encode() for page in pages)) == 0
    in_records = [
        part for one in records for part in (one.key, one.value, *(value for _, value in one.headers))
    ]
    assert planted.count_in(*in_records) == 0


class Counted:
    """The poller's metrics, read once."""

    def __init__(self, poller: Poller) -> None:
        self.letters = {
            (source, reason): poller.counted("dead_letters_total", source=source, reason=reason)
            for source in ("twilio_call", "twilio_call_event", "telnyx_call_event", "telnyx_webhook_delivery")
            for reason in ("invalid_field", "not_json", "too_large")
        }
        self.requests = {
            (source, outcome): poller.counted("poll_requests_total", source=source, outcome=outcome)
            for source, outcome in {(kind.source, kind.answered) for kind in KINDS}
        }
        self.read = {
            kind.alias: poller.counted(
                "poll_last_success_timestamp_seconds", source=kind.window_source, account=kind.alias
            )
            for kind in KINDS
        }
        self.refused = {
            kind.alias: poller.counted("poll_account_state", account=kind.alias, state="refused")
            for kind in KINDS
        }


def _windows_ended(poller: Poller) -> bool:
    """Whether every window was read once, or its failure was logged."""
    said = failed_windows(poller.process.output())
    return all(
        f"{kind.window_source} of {kind.provider}/{kind.alias}" in said for kind in KINDS if kind.window
    )


def _was_asked(provider: FakeProvider, one: FetchRequest) -> bool:
    return any(one.key.partition(":")[2] in path for path, _ in list(provider.seen))


def _assert_windows(log: str, counted: Counted) -> None:
    """Each window was read, or its failure was logged."""
    said = failed_windows(log)
    for kind in KINDS:
        name = f"{kind.window_source} of {kind.provider}/{kind.alias}"
        assert (counted.read[kind.alias] > 0) == (kind.window is None), name
        assert said.get(name, "").startswith(kind.window or ""), name
    assert {alias for alias, refused in counted.refused.items() if refused} == {
        "twilio-refused",
        "telnyx-refused",
    }


def _assert_kept(letters: Sequence[ReadRecord]) -> None:
    """Each malformed page and row has a dead letter with its reason, whichever read it was."""
    kept = {(headers_of(one)["source_topic"], headers_of(one)["reason"]) for one in letters}
    for kind in KINDS:
        for path in _paths(kind):
            found = {reason for endpoint, reason in kept if endpoint == path}
            assert found == ({kind.reason} if kind.reason else set()), path
    for one in letters:
        if headers_of(one)["reason"] == "too_large":
            assert one.value is not None
            assert int(headers_of(one)["truncated"]) >= HUGE_BYTES > len(one.value)
    # Each pass of the window returns the same row: it becomes one dead letter.
    endpoints = Counter(headers_of(one)["source_topic"] for one in letters)
    assert [endpoints[path] for kind in KINDS if kind.name == "huge" for path in _paths(kind)] == [1, 1]


def _paths(kind: Kind) -> list[str]:
    if kind.provider == "telnyx":
        return [f"/{kind.name}/v2/{resource}" for resource in ("call_events", "webhook_deliveries")]
    calls = f"/{kind.name}/2010-04-01/Accounts/{kind.account}/Calls"
    return [f"{calls}.json", f"{calls}/{call_id('twilio', KINDS.index(kind))}/Events.json"]


def _assert_counted(letters: Sequence[ReadRecord], counted: Counted) -> None:
    """The metrics count each error, and each dead letter that was there when they were read."""
    assert all(count > 0 for count in counted.requests.values()), counted.requests
    landed_letters: Counter[tuple[str, str]] = Counter()
    for one in letters:
        said = headers_of(one)
        source = _source_of(said["source_topic"])
        landed_letters[source, said["reason"]] += 1
    assert landed_letters
    for what, count in landed_letters.items():
        assert counted.letters[what] >= count > 0, what


def _source_of(endpoint: str) -> str:
    if endpoint.endswith("/webhook_deliveries"):
        return "telnyx_webhook_delivery"
    if endpoint.endswith("/call_events"):
        return "telnyx_call_event"
    return "twilio_call" if endpoint.endswith("/Calls.json") else "twilio_call_event"


def headers_of(record: ReadRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def peak_mb(pid: int) -> int:
    """The peak memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024


def failed_windows(log: str) -> dict[str, str]:
    """The last logged failure of each window, by its name."""
    lines = re.findall(r"the window of (\w+ of \S+) cannot be read to its end: (.*)", log)
    return dict(lines)
