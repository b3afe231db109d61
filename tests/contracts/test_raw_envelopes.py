"""What gateway, poller and `forget` write is what the schema of the raw envelope says."""

from __future__ import annotations

import orjson
import pytest

from stream.core.forgetting import FORGET
from stream.gateway.receive.request import WebhookRequest
from stream.kafka.envelope_codec import write_envelope
from stream.poller.on_demand.pending import result_value
from tests.contracts.closed import validator
from tests.gateway.receive.test_verification import CREDENTIALS
from tests.gateway.signing import telnyx_post, twilio_form, twilio_json
from tests.gateway.verdicts import landed
from tests.poller.asked import fetch
from tests.poller.pages.test_records import EVENT, SAME_EVENT, records_of


def wrong(value: bytes) -> list[str]:
    return [error.message for error in validator("raw_envelope").iter_errors(orjson.loads(value))]


EVENT_STREAM = b'[{"specversion":"1.0","type":"t","data":{"CallSid":"CA1"}}]'
WEBHOOK = b'{"data":{"event_type":"call.initiated","payload":{"call_leg_id":"1"}},"meta":{"attempt":1}}'


@pytest.mark.parametrize(
    "request_",
    [twilio_form(target="/callbacks/twilio?tenant=7"), twilio_json(EVENT_STREAM), telnyx_post(WEBHOOK)],
    ids=["form", "json", "telnyx"],
)
def test_a_webhook(request_: WebhookRequest) -> None:
    found = landed(request_, CREDENTIALS)
    assert found
    assert [wrong(one.value) for one in found] == [[]] * len(found)


def test_rows_and_the_result_behind_them() -> None:
    rows = records_of("twilio_call_event", EVENT, SAME_EVENT).rows
    assert [wrong(row.value) for row in rows] == [[], []]
    assert orjson.loads(rows[1].value)["ordinal"] == 1
    assert wrong(result_value(fetch(), {}, 1)) == []


def test_a_request_to_forget_a_call() -> None:
    value = write_envelope(
        FORGET, {}, received_us=1, account=None, endpoint=None, delivery={"verified": True}
    )
    assert wrong(value) == []
