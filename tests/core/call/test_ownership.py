"""The first account that proves itself owns a call."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import orjson
import pytest

from stream.core.call.ownership import check_signer
from stream.core.events import DecodeError
from tests.core.deliveries import ACCOUNT, CALL_ID, Delivery, answered_call, callback, calls_row
from tests.core.deliveries import delivery as landed
from tests.core.error_log.tellings import alert, debugger, details
from tests.core.folding import knowledge, readings, tell

OTHER = "AC" + "0b" * 16


def changed(one: Delivery, **envelope: Any) -> Delivery:
    return Delivery(one.key, orjson.dumps(orjson.loads(one.value) | envelope))


def of(account: str | None, one: Delivery, *, verified: bool = True) -> Delivery:
    """The same delivery of another account: signed with its token, its id in the body."""
    raw = orjson.loads(one.value)
    name = "account_sid" if "account_sid" in raw["body"] else "AccountSid"
    body = raw["body"] | {name: account}
    return changed(one, account=account, body=body, delivery=raw["delivery"] | {"verified": verified})


def reason(one: Delivery) -> str | None:
    """Why a delivery does not belong to its signer; None if it does."""
    try:
        check_signer(one.envelope, readings(one))
    except DecodeError as error:
        return error.reason
    return None


def test_a_signer_speaks_for_its_own_account_and_names_no_other() -> None:
    one = callback("ringing", "1", 1)
    assert reason(one) is None
    assert reason(changed(one, account=OTHER)) == "invalid_field"
    assert reason(changed(one, account=None)) is None
    unsigned = changed(one, account=OTHER, delivery={"verified": False})
    assert reason(unsigned) is None


def event(inside: str | None, signer: str | None) -> Delivery:
    data = {"sid": CALL_ID, "accountSid": inside} if inside else {"sid": CALL_ID}
    body = {"specversion": "1.0", "id": "EZ1", "type": "com.twilio.voice.insights.call-summary", "data": data}
    return changed(landed("twilio_event_stream", f"twilio:{CALL_ID}", body, 1.0), account=signer)


def test_events_of_one_account_signed_by_another_are_not_its_own() -> None:
    assert reason(event(ACCOUNT, ACCOUNT)) is None
    assert reason(event(None, ACCOUNT)) is None
    assert reason(event(OTHER, ACCOUNT)) == "invalid_field"


def test_the_error_repeats_nothing_of_the_body() -> None:
    one = changed(callback("ringing", "1", 1, AccountSid="+15005550006"), account=OTHER)
    with pytest.raises(DecodeError) as caught:
        check_signer(one.envelope, readings(one))
    assert "500555" not in caught.value.detail


def test_a_row_says_whose_it_is_and_not_whose_credentials_read_it() -> None:
    row = changed(calls_row("completed"), account=OTHER)
    assert reason(row) is None
    assert tell([row]).call.account == ACCOUNT
    assert tell([row, *answered_call()]).call.account == ACCOUNT


def test_a_second_account_changes_nothing_of_a_call_that_is_the_firsts() -> None:
    for first, second in ((ACCOUNT, OTHER), (OTHER, ACCOUNT)):
        call = tell([of(first, one) for one in answered_call()[:3]]).call
        before = knowledge(call)
        for intruder in (callback("completed", "3", 55), calls_row("failed")):
            with pytest.raises(DecodeError) as caught:
                tell([of(second, intruder)], call=call)
            assert caught.value.reason == "key_mismatch"
            assert knowledge(call) == before
        assert call.account == first
        told = tell([of(first, callback("completed", "3", 55, CallDuration="49"))], call=call)
        assert told.record.account == first


def test_what_nobody_signed_owns_nothing_and_touches_nothing_that_is_owned() -> None:
    claimed = of(OTHER, callback("initiated", "0", 0), verified=False)
    call = tell([claimed]).call
    assert not call.proven
    proven = tell([callback("ringing", "1", 1)], call=call).call
    assert (proven.proven, proven.account) == (True, ACCOUNT)
    with pytest.raises(DecodeError):
        tell([of(OTHER, callback("completed", "3", 9), verified=False)], call=proven)
    own = of(ACCOUNT, callback("completed", "3", 9), verified=False)
    assert tell([own], call=proven).call.ended


def test_who_owns_a_call_does_not_depend_on_which_of_its_deliveries_came_first() -> None:
    without = changed(callback("in-progress", "2", 6), account=None)
    several = [callback("initiated", "0", 0), without, calls_row("completed")]
    known = [knowledge(tell(order).call) for order in permutations(several)]
    assert all(one == known[0] for one in known)
    assert known[0]["proven"]


def test_a_log_row_that_repeats_an_address_of_another_account_is_still_its_readers() -> None:
    call = tell(answered_call()).call
    body = {
        "request": {
            "method": "POST",
            "url": f"https://app.example.test/2010-04-01/Accounts/{OTHER}/Calls/{CALL_ID}.json",
        }
    }
    row = landed(
        "twilio_call_event",
        f"twilio:{CALL_ID}",
        body,
        90.0,
        f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL_ID}/Events.json",
    )
    told = tell([row], call=call)
    assert told.call.account == ACCOUNT
    assert [event.account for event in told.events] == [ACCOUNT]


def test_an_entry_of_an_accounts_error_log_makes_no_call_its_own() -> None:
    """Its request may have been about another account's call: that one's callbacks are still applied."""
    url = f"https://hooks.example.test/relay?CallSid={CALL_ID}"
    remark = debugger(details(call_id=None, url=url, asked={}))
    for entry in (of(OTHER, remark), of(OTHER, alert(call_id=None, url=url))):
        call = tell([entry, *answered_call()]).call
        assert (call.account, call.ended) == (ACCOUNT, True)
