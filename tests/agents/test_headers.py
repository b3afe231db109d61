"""Headers of what is written: CloudEvents in binary mode, and those by which a router filters."""

from __future__ import annotations

from stream.core.policy import CallPolicy
from tests.agents.batches import KEY, TOPICS, Lane, Written, records, to
from tests.core.deliveries import ACCOUNT, answered_call, at, callback


def headers(one: Written) -> dict[str, str]:
    found = {name: said.decode() for name, said in one.output.headers}
    assert len(found) == len(one.output.headers)
    return found


def shared(kind: str, schema: str, account: str = "default") -> dict[str, str]:
    return {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_source": f"/callstream/calls/{account}",
        "ce_type": f"io.callstream.{kind}",
        "ce_dataschema": f"https://callstream.io/schemas/{schema}.json",
        "callstream-provider": "twilio",
        "callstream-account": account,
    }


def test_an_event_and_a_call_record_are_cloud_events() -> None:
    some = Lane().run(records(answered_call()))
    event, record = to(TOPICS.events, some)[3], to(TOPICS.ended, some)[0]
    assert headers(event) == shared("event", "event") | {
        "ce_id": event.json["id"],
        "callstream-family": "progress",
    }
    assert headers(record) == shared("call.ended", "call_record") | {
        "ce_id": record.json["id"],
        "ce_time": record.json["updated_at"],
        "callstream-outcome": "answered",
    }


def test_an_alert_is_a_cloud_event_with_its_scope_as_the_subject() -> None:
    (alert,) = to(TOPICS.alerts, Lane().run(records([callback("failed", "1", 3, SipResponseCode="503")])))
    assert headers(alert) == shared("alert.firing", "alert") | {
        "ce_id": alert.json["id"],
        "ce_time": at(3.5),
        "ce_subject": KEY.decode(),
        "callstream-rule": "call.failed",
        "callstream-severity": "info",
    }


def test_records_and_headers_name_an_account_as_it_is_configured_and_another_one_masked() -> None:
    masked = f"{ACCOUNT[:2]}...{ACCOUNT[-4:]}"
    for names, alias in (((ACCOUNT, "europe"),), "europe"), ((("AC1", "europe"),), masked):
        some = Lane(CallPolicy(account_names=names)).run(records(answered_call()))
        for one in (to(TOPICS.events, some)[0], to(TOPICS.ended, some)[0]):
            assert (one.json["account"], one.json["account_alias"]) == (ACCOUNT, alias)
            assert headers(one)["callstream-account"] == alias


def test_an_unknown_account_has_no_name_where_there_are_several() -> None:
    assert CallPolicy(account_names=(("AC1", "europe"),)).alias(None) is None
    assert CallPolicy(account_alias="main").alias(None) == "main"
