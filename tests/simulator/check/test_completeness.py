"""What a record must say of its sources follows from what was delivered and what is held."""

from __future__ import annotations

from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.check.compare import Completeness, completeness_by_key
from stream.simulator.traffic import Traffic
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.fake_poller import START_US, Clock

TWILIO = frozenset({"twilio_call", "twilio_call_event", "twilio_insights_event", "twilio_call_summary"})


def traffic(**more: object) -> Traffic:
    return Traffic(Options(calls=40, served=True, start_us=START_US, **more), now_us=Clock())  # type: ignore[arg-type]


def said(sent: Traffic) -> set[tuple[str, Completeness]]:
    """By provider, what is asked of its calls' records."""
    assert sent.expected is not None
    return {(key.partition(":")[0], asked) for key, asked in completeness_by_key(sent.expected).items()}


def test_all_that_is_held_must_be_seen_and_what_is_read_by_call_complete() -> None:
    sent = traffic(drop=1.0, failing_webhooks=0.0)
    assert list(sent) == []
    telnyx = frozenset({"telnyx_call_event", "telnyx_webhook_delivery"})
    assert said(sent) == {
        ("twilio", Completeness(TWILIO, frozenset(), TWILIO)),
        ("telnyx", Completeness(telnyx, frozenset(), frozenset({"telnyx_call_event"}))),
    }


def test_a_callback_that_arrived_must_be_seen_and_one_that_was_given_up_may_be() -> None:
    sent = traffic(telnyx=0.0, failing_webhooks=0.0, sources=frozenset({*CALLBACK_SOURCES, "twilio_call"}))
    for delivery in sent.outgoing():
        if int(delivery.call.key[-1], 16) % 2:
            delivery.arrived()
        else:
            delivery.may_have_arrived()
    row, callback = frozenset({"twilio_call"}), frozenset({"twilio_status_callback"})
    assert said(sent) == {
        ("twilio", Completeness(row | callback, frozenset(), row)),
        ("twilio", Completeness(row, callback, row)),
    }


def test_a_source_that_reports_only_failures_must_be_seen_and_completes_no_call() -> None:
    sent = traffic(telnyx=0.0, drop=1.0, failed=1.0, failing_webhooks=1.0)
    assert list(sent) == []
    assert sent.expected is not None
    asked = completeness_by_key(sent.expected).values()
    notified = [one for one in asked if "twilio_notification" in one.seen]
    assert notified
    assert not [one for one in notified if "twilio_notification" in one.complete]


def test_a_call_that_is_cut_off_owes_nothing() -> None:
    options = Options(calls=None, seconds=2, rate=20, served=True, telnyx=0.0, start_us=START_US)
    sent = Traffic(options, now_us=Clock())
    for _ in sent.outgoing():
        pass
    assert sent.expected is not None
    lasting = [call for call in sent.expected.calls if call.leg.ended_us > START_US + 2_000_000]
    assert lasting
    for call in lasting:
        assert isinstance(call, TwilioCall)
        assert completeness_by_key(sent.expected)[call.key].complete == frozenset()


def test_a_fault_names_each_source() -> None:
    asked = Completeness(frozenset({"a", "b"}), frozenset({"c"}), frozenset({"a"}))
    assert asked.fault({"seen": ["a", "b"], "complete": ["a", "b"]}) is None
    assert asked.fault({"seen": ["a", "b", "c"], "complete": ["a"]}) is None
    assert asked.fault({"seen": ["a", "d"]}) == "b was not seen, d was seen, a is not complete"
