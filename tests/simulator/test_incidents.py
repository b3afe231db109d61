"""An incident changes what it names, while it lasts, and nothing before and after."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from aiohttp import ClientSession

from stream.simulator import incidents
from stream.simulator.calls.options import Options
from stream.simulator.incidents import INCIDENTS, Rehearsal
from stream.simulator.rest.server import serving
from stream.simulator.traffic import Traffic
from tests.simulator.delivery.sending import sent, traffic_of
from tests.simulator.fake_gateway import running_gateway
from tests.simulator.rest.resource_fakes import BEARER, CALLS, KEYS, FakeResources, basic
from tests.tree import ROOT

START_US = 1_760_000_000_000_000
MINUTE_US = 60_000_000


def rehearsed(name: str, after_s: float = 60, for_s: float = 60) -> Rehearsal:
    return Rehearsal(name=name, after_s=after_s, for_s=for_s)


def shipped_rules() -> list[dict[str, Any]]:
    files = sorted((ROOT / "deploy/prometheus").glob("*.rules.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def test_an_incident_names_alerts_and_a_dashboard_that_exist_and_lasts_longer_than_the_alerts_wait() -> None:
    waits_s: dict[str, float] = defaultdict(float)
    for rule in shipped_rules():
        if "alert" in rule:
            minutes = float(rule.get("for", "0m").removesuffix("m"))
            waits_s[rule["alert"]] = max(waits_s[rule["alert"]], 60 * minutes)
    boards = (ROOT / "deploy/grafana/dashboards").glob("*.json")
    titles = {orjson.loads(board.read_text())["title"] for board in boards}
    for name, incident in INCIDENTS.items():
        assert {*incident.alerts, *incident.possible} <= set(waits_s), name
        assert incident.dashboard in titles, name
        assert max(waits_s[alert] for alert in incident.alerts) < incident.lasts_s, name


def minutes(name: str, share: Any, **options: Any) -> list[float]:
    """Of the calls that begin in each of three minutes, of which the second has the incident: the mean."""
    usual = Options(calls=None, seconds=180, rate=50, seed=5, start_us=START_US, telnyx=0.0, **options)
    traffic = Traffic(usual, rehearsal=rehearsed(name))
    for delivery in traffic.outgoing():
        delivery.arrived()
    assert traffic.expected is not None
    found: list[list[float]] = [[], [], []]
    for call in traffic.expected.calls:
        minute = (call.leg.began_us + 200_000 - START_US) // MINUTE_US
        if 0 <= minute <= 2 and call.leg.direction == "outbound-api":
            found[minute].append(share(call))
    return [sum(shares) / len(shares) if shares else -1.0 for shares in found]


def slowest_ms(call: Any) -> int:
    return max(request.duration_ms for request in call.requests)


def test_calls_fail_while_the_carrier_is_down_and_not_before_and_after() -> None:
    before, during, after = minutes(
        "carrier-outage", lambda call: call.leg.ending.status == "failed", failed=0.0
    )
    assert (before, after) == (0, 0)
    assert 0.8 < during < 1


def test_the_application_fails_and_is_slow_only_during_its_incidents() -> None:
    fails = minutes("webhook-down", lambda call: call.requests[-1].failing, failing_webhooks=0.0)
    assert (fails[0], fails[2]) == (0, 0)
    assert fails[1] > 0.8
    slow = minutes("webhook-slow", slowest_ms, failing_webhooks=0.0)
    assert max(slow[0], slow[2]) < 400
    assert slow[1] > 6000


def test_no_calls_begin_while_traffic_stops_and_as_many_as_before_come_back() -> None:
    usual = Options(calls=None, seconds=180, rate=50, seed=5, start_us=START_US)
    traffic = Traffic(usual, rehearsal=rehearsed("traffic-stops"))
    for _ in traffic:
        pass
    assert traffic.expected is not None
    # The legs that a call dials begin with it, and take place later.
    begun = Counter(
        (call.leg.began_us + 200_000 - START_US) // MINUTE_US
        for call in traffic.expected.calls
        if call.leg.direction != "outbound-dial"
    )
    assert begun[0] > 50
    assert begun[1] == 0
    assert begun[0] / 2 < begun[2] < begun[0] * 3


def test_equal_rehearsals_give_equal_bytes() -> None:
    usual = Options(calls=None, seconds=30, rate=50, seed=5, start_us=START_US)
    one, other = ([*Traffic(usual, rehearsal=rehearsed("duplicate-storm", 10, 10))] for _ in range(2))
    assert one == other
    assert one != [*Traffic(usual)]


async def test_new_keys_are_refused_by_a_gateway_that_has_the_old_ones_until_the_rotation_is_over() -> None:
    rehearsal = rehearsed("signature-rotation", 0.2, 0.4)
    traffic = traffic_of(calls=None, seconds=1.0, rate=100)  # type: ignore[arg-type]
    async with running_gateway() as gateway, rehearsal.playing():
        await sent(traffic, gateway.url, keys_now=rehearsal.keys)
    assert {refused.reason for refused in gateway.refused} == {"bad_signature"}
    first, *_, last = gateway.written
    assert last.at_us - first.at_us > 400_000


@pytest.mark.parametrize(
    ("name", "statuses"),
    [("credentials-revoked", [401] * 6), ("poller-throttled", [429, 429, 200] * 2)],
)
@pytest.mark.parametrize(("path", "authorization"), [(f"{CALLS}.json", basic()), ("/v2/call_events", BEARER)])
async def test_a_poller_is_refused_as_its_provider_refuses_it(
    name: str, statuses: list[int], path: str, authorization: str
) -> None:
    rehearsal = rehearsed(name, 0, 30)
    headers = {"Authorization": authorization}

    async def status() -> int:
        async with client.get(url + path, headers=headers) as response:
            await response.read()
            assert (response.headers.get("Retry-After") == "1") == (response.status == 429)
            return response.status

    async with (
        serving(FakeResources(), KEYS, "127.0.0.1:0", refusal=rehearsal.refusal) as url,
        ClientSession() as client,
    ):
        assert await status() == 200
        async with rehearsal.playing():
            assert [await status() for _ in statuses] == statuses


def state(pid: int) -> str:
    """T: stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_slow_broker_is_stopped_in_strokes_and_runs_afterwards_however_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incidents, "STOPPED_S", 0.1)
    monkeypatch.setattr(incidents, "RUNNING_S", 0.1)
    said: list[str] = []
    process = subprocess.Popen(["sleep", "60"])
    try:
        rehearsal = Rehearsal(
            name="broker-slow", after_s=0.0, for_s=30.0, broker_pid=process.pid, say=said.append
        )
        async with asyncio.timeout(10), rehearsal.playing():
            for stopped in (True, False, True):
                while (state(process.pid) == "T") != stopped:
                    await asyncio.sleep(0.01)
        assert state(process.pid) != "T"
        assert said[0].startswith("broker-slow begins. ")
    finally:
        process.kill()
        process.wait()
