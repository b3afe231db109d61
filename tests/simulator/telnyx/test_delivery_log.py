"""The deliveries say what the log says of the same webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from stream.simulator.calls.call import ProviderReport
from stream.simulator.calls.options import Options
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.delivery_log import WebhookDelivery
from stream.simulator.traffic import Traffic
from tests.simulator.fake_poller import START_US, Clock

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def calls() -> list[TelnyxCall]:
    options = Options(calls=80, telnyx=1.0, failing_webhooks=0.3, served=True, start_us=START_US)
    traffic = Traffic(options, now_us=Clock())
    for _ in traffic.outgoing():
        pass
    assert traffic.expected is not None
    return [call for call in traffic.expected.calls if isinstance(call, TelnyxCall)]


def rows(calls: list[TelnyxCall]) -> Iterator[tuple[TelnyxCall, WebhookDelivery, dict[str, Any]]]:
    for call in calls:
        for n, delivery in enumerate(call.deliveries):
            yield call, delivery, call.body(ProviderReport("telnyx_webhook_delivery", n, 0), 1)


def test_there_is_one_for_each_webhook_and_it_went_as_the_log_says(calls: list[TelnyxCall]) -> None:
    for call in calls:
        logged = {row.event: row.failed for row in call.log if row.event is not None}
        assert {sent.event: sent.failed for sent in call.deliveries} == logged
        assert len(call.deliveries) == len(call.events)


def test_each_has_an_id_of_its_own_and_the_event_that_it_delivered(calls: list[TelnyxCall]) -> None:
    ids = []
    for call, delivery, row in rows(calls):
        ids.append(row["id"])
        assert re.fullmatch(UUID, row["id"])
        assert row["webhook"] == call.body(ProviderReport("telnyx_webhook", delivery.event, 0), 1)["data"]
        assert row["record_type"] == "webhook_delivery"
    assert len(set(ids)) == len(ids) > 200


def test_attempts_are_newest_first_and_all_failed_or_the_only_one_did_not(calls: list[TelnyxCall]) -> None:
    seen = set()
    for _, _, row in rows(calls):
        attempts = [(attempt["status"], attempt["started_at"]) for attempt in row["attempts"]]
        assert attempts == sorted(attempts, key=lambda attempt: attempt[1], reverse=True)
        assert row["started_at"] == attempts[-1][1] < row["finished_at"] == row["attempts"][0]["finished_at"]
        seen.add((row["status"], *(status for status, _ in attempts)))
    assert seen == {("delivered", "delivered"), ("failed", "failed", "failed", "failed")}
