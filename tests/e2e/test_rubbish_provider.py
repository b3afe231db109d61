"""Providers that answer rubbish: every read ends and says how, nothing is lost, and no secret is told."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stream.core.fetches import FetchRequest
from stream.kafka import topics
from stream.poller.pages.paged_read import WINDOW_LIMITS
from tests.e2e.harness import Read, ending, read_topic, wait_until
from tests.e2e.poller import PARTITIONS, Poller, ask, beside, everything, landed, request, wait_answered
from tests.e2e.rubbish import BOMB_BYTES, GOOD, HUGE_BYTES, Rubbish, call_id
from tests.poller.provider import FakeProvider, fake_provider
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

Note = Callable[[str, object], None]

INTERVAL_S = "5"
STOP_S = 10.0
RECOVERY_S = 120.0
SLOW_S = 300.0
"""Five times the client's patience of 30 s, its pauses, and a slow machine."""


class Kind(NamedTuple):
    """A way to answer rubbish, and what becomes of it.

    - `outcome`: of a fetch; `reason`: of the dead letter that is left of its page, None for none.
    - `window`: what the log says of a window, None where its rows are read.
    - `answered`: what `poll_requests_total` counts.
    """

    name: str
    outcome: str
    reason: str | None
    window: str | None
    answered: str
    provider: str = "twilio"

    @property
    def alias(self) -> str:
        return f"{self.provider}-{self.name}"

    @property
    def account(self) -> str:
        return f"AC{self.alias}"

    @property
    def source(self) -> str:
        return f"{self.provider}_call_event"

    @property
    def window_source(self) -> str:
        return "twilio_call" if self.provider == "twilio" else "telnyx_call_event"


KINDS = [
    Kind("circle", "rubbish", "invalid_field", "rubbish (the pages form a loop)", "success"),
    Kind("repeating", "rubbish", "invalid_field", "rubbish (the pages repeat the same rows)", "success"),
    Kind(
        "endless",
        "rubbish",
        "invalid_field",
        f"rubbish (there are more than {WINDOW_LIMITS.max_pages} pages)",
        "success",
    ),
    Kind(
        *("elsewhere_next", "rubbish", "invalid_field"),
        *("rubbish (the next page is on another host, which is not requested)", "success"),
    ),
    Kind("html", "rubbish", "not_json", "rubbish (", "rubbish"),
    Kind("truncated", "rubbish", "not_json", "rubbish (", "rubbish"),
    Kind("huge", "success", "too_large", None, "success"),
    Kind("bomb", "rubbish", "too_large", "rubbish (more than ", "rubbish"),
    Kind("redirect", "client_error", None, "client_error (answered 302", "client_error"),
    Kind("refused", "auth_error", None, "auth_error (answered 401", "auth_error"),
    Kind("failing", "server_error", None, "server_error (answered 500", "server_error"),
    Kind("garbage", "network_error", None, "network_error (", "network_error"),
    Kind("slow", "network_error", None, None, "network_error"),
    Kind("slow_window", "success", None, "network_error (no whole response within", "success"),
    Kind("repeating", "rubbish", "invalid_field", "rubbish (the pages repeat", "success", "telnyx"),
    Kind("html", "rubbish", "not_json", "rubbish (", "rubbish", "telnyx"),
    Kind("redirect", "client_error", None, "client_error (answered 302", "client_error", "telnyx"),
    Kind("refused", "auth_error", None, "auth_error (answered 401", "auth_error", "telnyx"),
    Kind("failing", "server_error", None, "server_error (answered 500", "server_error", "telnyx"),
    Kind("garbage", "network_error", None, "network_error (", "network_error", "telnyx"),
]


class Planted:
    """Secrets, each of its own, and how they are told when they are told."""

    def __init__(self) -> None:
        self.needles: set[bytes] = set()
        self.headers: set[str] = set()

    def token(self, user: str = "") -> str:
        """A new secret; with `user` one of HTTP Basic."""
        secret = secrets.token_urlsafe(40)
        pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
        self.headers.add(f"Basic {pair}" if user else f"Bearer {secret}")
        self.needles |= {secret.encode(), pair.rstrip("=").encode(), base64.b64encode(secret.encode())}
        return secret

    def unused(self) -> str:
        """One that is set and not sent."""
        secret = secrets.token_urlsafe(40)
        self.needles.add(secret.encode())
        return secret

    def told_in(self, *texts: bytes | None) -> int:
        return sum(needle in text for text in texts if text for needle in self.needles)


def table(kind: Kind, url: str, planted: Planted) -> dict[str, Any]:
    """An account that is read there; those of Twilio by token or, every other one, by API key."""
    said: dict[str, Any] = {"provider": kind.provider, "id": kind.account, "alias": kind.alias}
    if kind.provider == "telnyx":
        return {**said, "secret": planted.token(), "api_url": f"{url}/{kind.name}/v2"}
    user = f"SK{kind.alias}" if len(kind.name) % 2 else kind.account
    return {**said, "user": user, "secret": planted.token(user), "api_url": f"{url}/{kind.name}"}


def by_settings(url: str, planted: Planted) -> dict[str, str]:
    """The accounts that are set without tables."""
    return {
        "CALLSTREAM_TWILIO_ACCOUNT_SID": "ACplain",
        "CALLSTREAM_TWILIO_AUTH_TOKEN": planted.unused(),
        "CALLSTREAM_TWILIO_API_KEY": "SKplain",
        "CALLSTREAM_TWILIO_API_SECRET": planted.token("SKplain"),
        "CALLSTREAM_TWILIO_API_URL": f"{url}/plain",
        "CALLSTREAM_TELNYX_API_KEY": planted.token(),
        "CALLSTREAM_TELNYX_API_URL": f"{url}/plain/v2",
        "CALLSTREAM_POLL_INTERVAL_S": INTERVAL_S,
        "CALLSTREAM_POLL_RATE": "400",
        "CALLSTREAM_POLL_CONCURRENCY": "6",
    }


@contextmanager
def evil() -> Iterator[tuple[FakeProvider, Rubbish, FakeProvider]]:
    """A provider that answers rubbish, its ways, and another server to which it would like to lead."""
    with beside(fake_provider()) as elsewhere, beside(fake_provider()) as provider:
        rubbish = Rubbish(elsewhere.url)
        provider.otherwise = rubbish
        yield provider, rubbish, elsewhere


def fetch(kind: Kind, number: int) -> FetchRequest:
    key = f"{kind.provider}:{call_id(kind.provider, number)}"
    return request(key, kind.account, source=kind.source)


def each(first: int, kinds: Sequence[Kind] = KINDS) -> dict[str, FetchRequest]:
    """A request for each kind, by alias."""
    return {kind.alias: fetch(kind, first + number) for number, kind in enumerate(kinds)}


def outcomes(results: Mapping[str, Any], asked: Mapping[str, FetchRequest]) -> dict[str, str]:
    return {alias: results[one.id]["outcome"] for alias, one in asked.items()}


def results_of(broker: RealBroker, prefix: str) -> dict[str, dict[str, Any]]:
    """Each fetch's result. It is the last that was landed of its call, and the only one."""
    found = {}
    for envelopes in landed(broker, prefix).values():
        for envelope in envelopes:
            if envelope["source"] == "fetch_result":
                assert envelope["body"]["fetch_id"] not in found
                found[envelope["body"]["fetch_id"]] = envelope["body"]
    return found


def headers_of(record: Read) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def peak_mb(pid: int) -> int:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024


def said_windows(log: str) -> dict[str, str]:
    """What the log says last of each window that could not be read."""
    lines = re.findall(r"the window of (\w+ of \S+) cannot be read to its end: (.*)", log)
    return dict(lines)


def test_whatever_a_provider_answers_every_read_ends_and_no_secret_is_told(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note
) -> None:
    planted = Planted()
    pages: list[str] = []
    with evil() as (provider, _, elsewhere):
        tables = [table(kind, provider.url, planted) for kind in KINDS]
        poller = Poller(
            *(broker, prefix, tmp_path, tables), verbose=True, environ=by_settings(provider.url, planted)
        )

        def look() -> None:
            pages.extend(poller.get(path)[1] for path in ("/metrics", "/readyz", "/livez"))

        with ending(poller.process):
            poller.process.start()
            poller.wait_owns(PARTITIONS)
            bad, beside_them = each(0), each(GOOD)
            ask(broker, prefix, [*bad.values(), *beside_them.values()])
            wait_until(lambda: _windows_ended(poller), "every window was read or said why not", SLOW_S)
            look()
            wait_answered(broker, prefix, SLOW_S)
            look()
            after = each(GOOD + len(KINDS))
            ask(broker, prefix, after.values())
            wait_answered(broker, prefix, RECOVERY_S)
            look()
            letters = read_topic(broker.bootstrap, topics.names(prefix).dead_letters)
            counted = Counted(poller)
            peak = peak_mb(poller.process.running.pid)
            last = each(len(KINDS))["twilio-slow"]
            ask(broker, prefix, [last])
            wait_until(lambda: _was_asked(provider, last), "it is in the middle of a page", 60)
            code, stopped_s = poller.process.terminate(STOP_S)
        log = poller.process.log.read_text()
        results = results_of(broker, prefix)
        records = everything(broker, prefix)

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
    assert results[bad["twilio-huge"].id]["rows"] == 2

    # What was searched for is what was sent.
    assert {authorization for _, authorization in provider.seen} == planted.headers
    assert "DEBUG" in log or "INFO" in log
    assert planted.told_in(log.encode(), *(page.encode() for page in pages)) == 0
    in_records = [
        part for one in records for part in (one.key, one.value, *(value for _, value in one.headers))
    ]
    assert planted.told_in(*in_records) == 0


class Counted:
    """The poller's counters, read once."""

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
    """Every window was read once, or the log says why it was not."""
    said = said_windows(poller.process.output())
    return all(
        f"{kind.window_source} of {kind.provider}/{kind.alias}" in said for kind in KINDS if kind.window
    )


def _was_asked(provider: FakeProvider, one: FetchRequest) -> bool:
    return any(one.key.partition(":")[2] in path for path, _ in list(provider.seen))


def _assert_windows(log: str, counted: Counted) -> None:
    """What became of each: read, or why not."""
    said = said_windows(log)
    for kind in KINDS:
        name = f"{kind.window_source} of {kind.provider}/{kind.alias}"
        assert (counted.read[kind.alias] > 0) == (kind.window is None), name
        assert said.get(name, "").startswith(kind.window or ""), name
    assert {alias for alias, refused in counted.refused.items() if refused} == {
        "twilio-refused",
        "telnyx-refused",
    }


def _assert_kept(letters: Sequence[Read]) -> None:
    """Of each page and row that is none, whoever read it, there is a dead letter with its reason."""
    kept = {(headers_of(one)["source_topic"], headers_of(one)["reason"]) for one in letters}
    for kind in KINDS:
        for path in _paths(kind):
            found = {reason for endpoint, reason in kept if endpoint == path}
            assert found == ({kind.reason} if kind.reason else set()), path
    for one in letters:
        if headers_of(one)["reason"] == "too_large":
            assert one.value is not None
            assert int(headers_of(one)["truncated"]) >= HUGE_BYTES > len(one.value)
    # A window shows the same row pass after pass.
    endpoints = Counter(headers_of(one)["source_topic"] for one in letters)
    assert [endpoints[path] for kind in KINDS if kind.name == "huge" for path in _paths(kind)] == [1, 1]


def _paths(kind: Kind) -> list[str]:
    if kind.provider == "telnyx":
        return [f"/{kind.name}/v2/{resource}" for resource in ("call_events", "webhook_deliveries")]
    calls = f"/{kind.name}/2010-04-01/Accounts/{kind.account}/Calls"
    return [f"{calls}.json", f"{calls}/{call_id('twilio', KINDS.index(kind))}/Events.json"]


def _assert_counted(letters: Sequence[Read], counted: Counted) -> None:
    """All that went wrong, and every dead letter that was there when the counters were read."""
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


REFUSED = Kind("refused", "auth_error", None, "auth_error", "auth_error")
PLAIN = Kind("plain", "success", None, None, "success")


def test_an_account_that_is_refused_is_left_alone_until_it_is_accepted_again(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note
) -> None:
    planted = Planted()
    with evil() as (provider, rubbish, _):
        tables = [table(kind, provider.url, planted) for kind in (REFUSED, PLAIN)]
        poller = Poller(broker, prefix, tmp_path, tables, environ={"CALLSTREAM_POLL_INTERVAL_S": "2"})

        def state(kind: Kind, name: str) -> float:
            return poller.counted("poll_account_state", provider="twilio", account=kind.alias, state=name)

        def asked(kind: Kind) -> int:
            return sum(path.startswith(f"/{kind.name}/") for path, _ in list(provider.seen))

        def read_at_s(kind: Kind) -> float:
            return poller.counted(
                "poll_last_success_timestamp_seconds", source="twilio_call", account=kind.alias
            )

        with ending(poller.process):
            poller.process.start()
            poller.wait_owns(PARTITIONS)
            wait_until(lambda: state(REFUSED, "refused") == 1, "the account is refused", 60)
            wait_until(lambda: read_at_s(PLAIN) > 0, "the other one is read", 60)
            before, windows_before = asked(REFUSED), read_at_s(PLAIN)
            refused = [fetch(REFUSED, number) for number in range(30)]
            undisturbed = [fetch(PLAIN, number) for number in range(100, 130)]
            ask(broker, prefix, [*refused, *undisturbed])
            wait_answered(broker, prefix)
            wait_until(lambda: read_at_s(PLAIN) > windows_before, "the other one's window goes on", 60)
            # One may have been the probe, and the window's.
            asked_meanwhile = asked(REFUSED) - before
            states = (state(REFUSED, "refused"), state(PLAIN, "running"), read_at_s(REFUSED))
            ready = poller.get("/readyz")

            rubbish.forgiven.add("refused")
            began_s = time.monotonic()
            wait_until(lambda: state(REFUSED, "running") == 1, "it is accepted again", RECOVERY_S)
            recovered_s = time.monotonic() - began_s
            wait_until(lambda: read_at_s(REFUSED) > 0, "its window is read", RECOVERY_S)
            again = [fetch(REFUSED, number) for number in range(200, 210)]
            ask(broker, prefix, again)
            wait_answered(broker, prefix)
            code, _ = poller.process.terminate(STOP_S)
        results = results_of(broker, prefix)

    record_property("recovered_s", round(recovered_s, 1))
    print(f"\nrefused: asked meanwhile {asked_meanwhile}, accepted again after {recovered_s:.1f} s")
    assert {results[one.id]["outcome"] for one in refused} == {"auth_error"}
    assert {results[one.id]["outcome"] for one in [*undisturbed, *again]} == {"success"}
    assert asked_meanwhile <= 2
    assert states == (1, 1, 0)
    assert ready[0] == 200
    assert json.loads(ready[1])
    assert "the provider refuses the credentials" in ready[1]
    assert code == 0
