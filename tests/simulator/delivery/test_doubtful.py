"""What may have arrived may come out and need not; what has arrived is missed, and what follows of it."""

from __future__ import annotations

from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.check.compare import Comparison
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.traffic import Traffic
from tests.simulator.outputs import Outputs, compared, first_alert, only_example, outputs_of, pass_alerts


def everything_doubtful() -> tuple[ExpectedOutputs, Outputs]:
    """Callbacks that all were given up, and what comes out if all of them have arrived."""
    options = Options(calls=80, failed=0.4, seed=8, sources=frozenset(CALLBACK_SOURCES))
    outputs = outputs_of(Traffic(options))
    traffic = Traffic(options)
    for delivery in traffic.outgoing():
        delivery.may_have_arrived()
    assert traffic.expected is not None
    # Which gaps there are depends on what never came.
    alerts = [alert for alert in outputs.alerts if alert["rule"]["id"] != "delivery.gap"]
    return traffic.expected, outputs._replace(alerts=alerts)


def test_what_may_have_arrived_need_not_come_out() -> None:
    expected, _ = everything_doubtful()
    report = compared(expected, Outputs([], [], []))
    assert (report.ok, report.events_expected, report.landed) == (True, 0, 0)


def test_what_may_have_arrived_may_come_out_in_any_order_of_the_topics() -> None:
    expected, outputs = everything_doubtful()
    comparison = Comparison(expected, alone=True)
    assert comparison.complete
    pass_alerts(comparison, outputs)
    for record in outputs.records:
        comparison.record(record)
    for event in outputs.events:
        comparison.event(event)
    assert comparison.complete
    report = comparison.report()
    assert report.ok, "\n".join(report.lines())
    assert report.landed == report.events_expected == report.events_found == len(outputs.events)
    assert report.alerts_found == report.alerts_expected == len(outputs.alerts) > 10


def test_of_what_has_arrived_all_that_follows_must_come_out() -> None:
    expected, outputs = everything_doubtful()
    lost = outputs.alerts.pop(first_alert(outputs, "call.failed"))
    assert lost["scope"]["id"] in only_example(expected, outputs, "alert_missing")
    key = lost["scope"]["id"]
    outputs.alerts.append(lost)
    outputs.records[:] = [record for record in outputs.records if record["key"] != key]
    assert key in only_example(expected, outputs, "call_missing")


def test_what_follows_without_its_event_is_named_also_where_that_may_have_arrived() -> None:
    expected, outputs = everything_doubtful()
    outputs.events.clear()
    report = compared(expected, outputs)
    assert set(report.differences) == {"call_unexpected", "alert_unexpected"}
    assert report.differences["alert_unexpected"] == len(outputs.alerts)


def test_what_certainly_arrived_is_missed_whatever_else_may_have() -> None:
    options = Options(calls=40, seed=8, sources=frozenset(CALLBACK_SOURCES))
    traffic = Traffic(options)
    for delivery in traffic.outgoing():
        delivery.may_have_arrived()
        delivery.arrived()
    assert traffic.expected is not None
    report = compared(traffic.expected, Outputs([], [], []))
    assert report.differences["event_missing"] == report.events_expected > 0


def test_an_error_of_a_call_that_has_failed_after_all_is_no_alert_of_its_own() -> None:
    """A row told the error before the callback arrived that told the failure."""
    told = frozenset({"twilio_status_callback", "twilio_insights_event"})
    options = Options(calls=60, telnyx=0.0, failed=0.8, seed=8, sources=told)
    traffic = Traffic(options)
    rows, callbacks = [], []
    for delivery in traffic.outgoing():
        (callbacks if delivery.pushed else rows).append(traffic.record(delivery))
        if delivery.pushed:
            delivery.call.delivered.discard((delivery.report.source, delivery.report.number))
            delivery.may_have_arrived()
    outputs = outputs_of([*rows, *callbacks])
    assert {alert["state"] for alert in outputs.alerts} == {"firing", "resolved"}
    assert traffic.expected is not None
    report = compared(traffic.expected, outputs)
    assert report.ok, "\n".join(report.lines())
