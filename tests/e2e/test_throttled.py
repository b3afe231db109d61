"""Pollers and a provider that allows little: its limits are kept to, nobody is forgotten, little is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stream.core.fetches import FetchRequest
from stream.simulator.rest.server import serving
from stream.simulator.rest.throttle import AnsweredRequest, ProviderLimit, ProviderLimits, RequestStats
from tests.e2e.harness import stopped_after, wait_until
from tests.e2e.poller import (
    PARTITIONS,
    Poller,
    fetch_request,
    polled_envelopes,
    run_in_thread,
    send_requests,
    wait_committed,
)
from tests.real_broker import RealBroker
from tests.simulator.rest.resource_fakes import ACCOUNT, KEYS, TOKEN, FakeResources, logged, sid

pytestmark = pytest.mark.e2e

RATE, AT_ONCE = 10.0, 5
LATENCY_S = 0.2
NOT_COUNTED_S = 3.0
"""A provider's burst, and the poller's beginning."""

ALL_HAVE_WORK = 0.6
"""Of what is asked for: the end is not counted."""

BACKLOG, URGENT = 250, 40
ROWS = 2
SHELF = FakeResources(logs={sid(number): [logged(1), logged(2)] for number in range(BACKLOG + URGENT)})

Note = Callable[[str, object], None]


def limits(latency_s: float = LATENCY_S) -> ProviderLimits:
    return ProviderLimits(twilio=ProviderLimit(rate=RATE, in_flight=AT_ONCE, latency_s=latency_s))


def poller(
    broker: RealBroker,
    prefix: str,
    directory: Path,
    url: str,
    *,
    name: str = "a",
    rate: float = RATE,
    at_once: int = AT_ONCE,
) -> Poller:
    account = {"provider": "twilio", "id": ACCOUNT, "alias": "only", "secret": TOKEN, "api_url": url}
    environ = {"CALLSTREAM_POLL_RATE": f"{rate:g}", "CALLSTREAM_POLL_CONCURRENCY": str(at_once)}
    return Poller(broker, prefix, directory, [account], name=name, environ=environ)


def requests(numbers: range, priority: str) -> list[FetchRequest]:
    return [fetch_request(f"twilio:{sid(number)}", ACCOUNT, priority=priority) for number in numbers]


def of_calls(seen: RequestStats) -> list[AnsweredRequest]:
    """The answers about calls, in their order; windows are read beside."""
    return [one for one in list(seen.latest) if one.route == "request_log"]


def throughput(seen: RequestStats, share: float = 1.0) -> float:
    """Answered requests a second, of the first `share` of them, without refusals and the first seconds."""
    at_s = [one.at_s for one in seen.latest if one.status == 200]
    at_s = at_s[: round(share * len(at_s))]
    counted = [one for one in at_s if one > at_s[0] + NOT_COUNTED_S]
    return len(counted) / (at_s[-1] - at_s[0] - NOT_COUNTED_S)


def most_in_a_second(answered: Sequence[AnsweredRequest]) -> int:
    at_s = [one.at_s for one in answered]
    return max(sum(0 <= at - begin < 1 for at in at_s) for begin in at_s)


def say(note: Note, what: str, seen: RequestStats, **more: object) -> None:
    """The figures of a run, for who reads its output."""
    rate = throughput(seen)
    figures: dict[str, object] = {
        "requests_a_second": round(rate, 2),
        "share_of_the_limit": round(rate / RATE, 3),
        "while_all_have_work": round(throughput(seen, ALL_HAVE_WORK), 2),
        "most_at_once": seen.most_in_flight["twilio"],
        "most_in_a_second": most_in_a_second(list(seen.latest)),
        "refused": seen.refused["twilio"],
        **more,
    }
    for name, value in figures.items():
        note(name, value)
    print(f"\n{what}: {figures}")


def assert_all_answered(broker: RealBroker, prefix: str, asked: Sequence[FetchRequest]) -> None:
    """Each request has its rows and behind them one result, which says so."""
    found = polled_envelopes(broker, prefix)
    assert {key: [_brief(envelope) for envelope in envelopes] for key, envelopes in found.items()} == {
        one.key: ["twilio_call_event"] * ROWS + [(one.id, "success", ROWS)] for one in asked
    }


def _brief(envelope: dict[str, Any]) -> object:
    if envelope["source"] != "fetch_result":
        return envelope["source"]
    body = envelope["body"]
    (read,) = body["reads"]
    return body["fetch_id"], read["outcome"], read["rows"]


def test_a_poller_uses_what_the_provider_allows_and_the_urgent_go_ahead_of_a_backlog(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note
) -> None:
    seen = RequestStats()
    with run_in_thread(serving(SHELF, KEYS, "127.0.0.1:0", limits=limits(), stats=seen)) as url:
        one = poller(broker, prefix, tmp_path, url)
        with stopped_after(one.process):
            one.process.start()
            one.wait_owns(PARTITIONS)
            backlog = requests(range(BACKLOG), "terminal")
            send_requests(broker, prefix, backlog)
            wait_until(lambda: len(of_calls(seen)) >= 40, "it works on the backlog", 60)
            waited = one.counted("poll_waiting_requests", priority="terminal")
            urgent = requests(range(BACKLOG, BACKLOG + URGENT), "heal")
            send_requests(broker, prefix, urgent)
            wait_committed(broker, prefix)
            budget = {
                name: one.counted(f"poll_budget_{name}", provider="twilio", account="only")
                for name in ("requests_per_second", "concurrent_requests")
            }
            running = one.counted("poll_account_state", account="only", state="running")
            succeeded = one.counted("poll_requests_total", source="twilio_call_event", outcome="success")
            assert one.process.terminate()[0] == 0
    ids = {one.key.partition(":")[2] for one in urgent}
    order = [answer.about in ids for answer in of_calls(seen)]
    first, last = order.index(True), len(order) - 1 - order[::-1].index(True)
    between = (last - first + 1) - URGENT
    say(record_property, "one poller", seen, backlog_between_the_urgent=between)
    assert_all_answered(broker, prefix, [*backlog, *urgent])
    assert seen.most_in_flight["twilio"] <= AT_ONCE
    assert seen.refused["twilio"] == 0
    assert throughput(seen) >= 0.9 * RATE
    assert succeeded == len(order) == BACKLOG + URGENT
    # Of eight turns one is the backlog's; what was on its way goes first.
    assert between <= URGENT // 7 + AT_ONCE
    assert order[last:].count(False) > 100
    assert waited > 0
    assert budget == {"requests_per_second": RATE, "concurrent_requests": AT_ONCE}
    assert running == 1


def shared(pollers: Sequence[Poller]) -> bool:
    """Whether each of two serves half of the partitions."""
    return [one.owned() for one in pollers] == [PARTITIONS / 2] * 2


@pytest.mark.parametrize(("latency_s", "count"), [(LATENCY_S, 200), (0.8, 120)], ids=["quick", "slow"])
def test_of_two_pollers_the_owner_of_an_account_uses_what_it_allows(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note, latency_s: float, count: int
) -> None:
    """A slow provider's limit is how many are on their way, a quick one's how many come in a second."""
    seen = RequestStats()
    with run_in_thread(serving(SHELF, KEYS, "127.0.0.1:0", limits=limits(latency_s), stats=seen)) as url:
        both = [poller(broker, prefix, tmp_path, url, name=name) for name in ("a", "b")]
        with stopped_after(*(one.process for one in both)):
            for one in both:
                one.process.start()
            wait_until(lambda: shared(both), "they share the partitions", 60)
            asked = requests(range(count), "terminal")
            send_requests(broker, prefix, asked)
            wait_committed(broker, prefix)
            read = sorted(one.counted("poll_requests_total", outcome="success") for one in both)
            states = sorted(
                one.counted("poll_account_state", account="only", state="standby") for one in both
            )
            assert [one.process.terminate()[0] for one in both] == [0, 0]
    say(record_property, f"two pollers, answers after {latency_s:g} s", seen, read_by_each=read)
    assert_all_answered(broker, prefix, asked)
    assert (read, states) == ([0, count], [0, 1])
    assert seen.most_in_flight["twilio"] <= AT_ONCE
    assert seen.refused["twilio"] == 0
    assert throughput(seen) >= 0.9 * min(RATE, AT_ONCE / latency_s)
    # Answers may be written late, and then together.
    assert most_in_a_second(list(seen.latest)) <= RATE + AT_ONCE


def test_an_account_whose_owner_dies_is_taken_over_and_no_second_sees_more_than_the_rate(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note
) -> None:
    seen = RequestStats()
    with run_in_thread(serving(SHELF, KEYS, "127.0.0.1:0", limits=limits(), stats=seen)) as url:
        both = [poller(broker, prefix, tmp_path, url, name=name) for name in ("a", "b")]
        with stopped_after(*(one.process for one in both)):
            for one in both:
                one.process.start()
            wait_until(lambda: shared(both), "they share the partitions", 60)
            asked = requests(range(150), "terminal")
            send_requests(broker, prefix, asked)
            wait_until(lambda: len(of_calls(seen)) >= 50, "the owner reads", 60)
            owner, other = sorted(both, key=lambda one: one.counted("poll_in_flight_requests"), reverse=True)
            os.kill(owner.process.running.pid, signal.SIGKILL)
            other.wait_owns(PARTITIONS)
            wait_committed(broker, prefix)
            assert other.process.terminate()[0] == 0
    at_s = [one.at_s for one in of_calls(seen)]
    silent_s = max(later - earlier for earlier, later in pairwise(at_s))
    say(record_property, "the owner was killed", seen, silent_s=round(silent_s, 1))
    # What was in flight is read again, and its rows are known by the worker.
    found = {
        key: [_brief(one) for one in envelopes][-1]
        for key, envelopes in polled_envelopes(broker, prefix).items()
    }
    assert found == {one.key: (one.id, "success", ROWS) for one in asked}
    assert 150 <= len(at_s) <= 150 + 2 * AT_ONCE
    assert silent_s < 20
    assert seen.refused["twilio"] == 0
    assert most_in_a_second(list(seen.latest)) <= RATE + AT_ONCE


def test_a_poller_that_may_ask_too_much_leaves_the_provider_alone_when_told_to(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note
) -> None:
    seen = RequestStats()
    at_once = 3 * AT_ONCE
    with run_in_thread(serving(SHELF, KEYS, "127.0.0.1:0", limits=limits(), stats=seen)) as url:
        one = poller(broker, prefix, tmp_path, url, rate=3 * RATE, at_once=at_once)
        with stopped_after(one.process):
            one.process.start()
            one.wait_owns(PARTITIONS)
            asked = requests(range(BACKLOG), "terminal")
            send_requests(broker, prefix, asked)
            wait_committed(broker, prefix, 240)
            throttled = one.counted("poll_requests_total", outcome="throttled")
            waited_s = one.counted("poll_throttle_wait_seconds_total")
            assert one.process.terminate()[0] == 0
    came = came_while_told_not_to(seen)
    silent = sum(late == 0 for _, late in came) / len(came)
    say(record_property, "a ceiling three times too high", seen, most_in_a_pause=max(came)[0], silent=silent)
    assert_all_answered(broker, prefix, asked)
    assert throttled == seen.refused["twilio"] > 0
    assert waited_s > 0
    # What was on its way when the refusal was written, and nothing more.
    assert max(count for count, _ in came) < at_once
    assert silent > 0.8


def came_while_told_not_to(seen: RequestStats) -> list[tuple[int, int]]:
    """Of each second for which a refusal wanted silence: how many came in it, and in its second half."""
    came_s = sorted(one.at_s - (0 if one.status == 429 else LATENCY_S) for one in seen.latest)
    refused_s = sorted(one.at_s for one in seen.latest if one.status == 429)
    # A refusal of the same burst tells nothing new.
    first_s = refused_s[:1] + [later for one, later in pairwise(refused_s) if later - one > 0.5]
    return [
        (sum(0 < at - begin < 1 for at in came_s), sum(0.5 < at - begin < 1 for at in came_s))
        for begin in first_s
    ]
