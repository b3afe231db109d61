"""Masking of readings, before the fold."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from stream.core.events import DecodeError, Event, Reading, Recording, WebhookAnswer
from stream.core.privacy import field_plans, masking
from stream.core.privacy.masking import DEPTH_LIMIT, MAX_NESTING, REDACTED, Privacy, bare_url

CACHE_SIZE = 2000
"""More than there are plans, so that both are filled; the real one takes seconds to fill."""


def applied(privacy: Privacy, attributes: dict[str, Any], facts: dict[str, str] | None = None) -> Reading:
    event = Event(key="twilio:CA1", provider="twilio", source="s", family="progress", name="ringing")
    event.attributes = attributes
    reading = Reading(event, "1", (), facts=facts)
    privacy.apply(reading)
    return reading


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("+15005550006", "+15*******06"),
        ("+1-202-555-0133", "+1-**********33"),
        ("12345", "1****"),
        ("client:zoë", "client:z**"),
        ("client:alice.smith", "client:ali******th"),
        ("sip:a@b;transport=tls", "sip:a@b;transport=tls"),
        ("sip:a@b;password=hunter2", "sip:a@b;password=***"),
        ("sip:a@b?X-Name=ZOE&X-Pin=1", "sip:a@b"),
        ("sip:alice.smith@example.test", "sip:ali******th@example.test"),
        ("sip:+15005550006@example.test", "sip:+15*******06@example.test"),
        ("sim:DE0123456789abcdef0123456789abcdef", "sim:DE0" + "*" * 29 + "ef"),
        ("anonymous", "ano****us"),
        ("", ""),
        ("+", "+"),
    ],
)
def test_an_address_shows_its_ends_only(address: str, masked: str) -> None:
    """Cases 48, 50."""
    reading = applied(
        Privacy(), {"Caller": address}, {"from": address, "to": address, "direction_detail": "inbound"}
    )
    assert reading.event.attributes == {"Caller": masked}
    assert reading.facts == {"from": masked, "to": masked, "direction_detail": "inbound"}


def test_masking_what_is_masked_changes_nothing() -> None:
    privacy = Privacy()
    for address in ("+15005550006", "sip:alice.smith@example.test", "12345"):
        once = privacy.address(address)
        assert privacy.address(once) == once


def test_names_are_recognised_in_all_three_spellings() -> None:
    told = {
        "ForwardedFrom": "+15005550006",
        "forwarded_from": "+15005550006",
        "forwardedFrom": "+15005550006",
    }
    assert set(applied(Privacy(), told).event.attributes.values()) == {"+15*******06"}


def test_what_nobody_needs_in_order_to_follow_a_call_is_blotted_out() -> None:
    told = {
        "CallerName": "ZOE",
        "FromCity": "SPRINGFIELD",
        "ToZip": "",
        "Digits": 42,
        "TranscriptionData": {"transcript": "my card is"},
        "result_text": "hello",
        "custom_headers": [{"name": "X-Name", "value": "Zoe"}],
        "digits": None,
        "CallStatus": "ringing",
    }
    assert applied(Privacy(), told).event.attributes == {
        "CallerName": REDACTED,
        "FromCity": REDACTED,
        "ToZip": "",
        "Digits": REDACTED,
        "TranscriptionData": REDACTED,
        "result_text": REDACTED,
        "custom_headers": REDACTED,
        "digits": None,
        "CallStatus": "ringing",
    }


def test_nested_objects_and_lists_are_masked_too() -> None:
    told = {
        "payload": {"to": [{"phone_number": "+15005550006"}, "+15005550009"], "n": 5, "state": "ok"},
        "from": {"caller": 15005550006},
        "urls": [{"url": "https://u:p@h.test/a?b=c#d"}],
    }
    assert applied(Privacy(), told).event.attributes == {
        "payload": {"to": [{"phone_number": "+15*******06"}, "+15*******09"], "n": 5, "state": "ok"},
        "from": {"caller": "150******06"},
        "urls": [{"url": "https://h.test/a"}],
    }


def test_hashed_numbers_stay_equal_where_numbers_are_equal_and_need_the_key() -> None:
    privacy = Privacy("hashed", "s3cret")
    number = "+15005550006"
    told = {"To": number, "list": {"to": [number, {"to": number}]}, "to": [{"from": number}]}
    reading = applied(privacy, told, {"to": number})
    hashed = privacy.address(number)
    assert reading.event.attributes == {
        "To": hashed,
        "list": {"to": [hashed, {"to": hashed}]},
        "to": [{"from": hashed}],
    }
    assert reading.facts == {"to": hashed}
    assert hashed.startswith("h:")
    assert hashed != Privacy("hashed", "other").address(number)


def test_two_readings_of_one_delivery_that_share_an_object_are_masked_once() -> None:
    privacy = Privacy("hashed", "s3cret")
    shared = {"from": "+15005550006"}
    first = applied(privacy, {"add_ons": shared})
    second = applied(privacy, {"add_ons": shared})
    assert first.event.attributes == second.event.attributes


def test_full_changes_nothing() -> None:
    told = {"To": "+15005550006", "CallerName": "ZOE", "url": "https://h.test/?a=b"}
    reading = applied(Privacy("full"), dict(told), {"to": "+15005550006"})
    assert (reading.event.attributes, reading.facts) == (told, {"to": "+15005550006"})


@pytest.mark.parametrize(("mode", "secret"), [("hidden", ""), ("hashed", ""), ("", "x")])
def test_a_mode_that_protects_nothing_is_refused(mode: str, secret: str) -> None:
    with pytest.raises(ValueError):
        Privacy(mode, secret)


@pytest.mark.parametrize("mode", ["masked", "hashed"])
def test_a_body_that_nests_too_far_is_refused(mode: str) -> None:
    deep: Any = "x"
    for _ in range(DEPTH_LIMIT + 2):
        deep = {"a": [deep]}
    with pytest.raises(DecodeError) as refused:
        applied(Privacy(mode, "s"), {"deep": deep})
    assert refused.value.reason == "too_deep"


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://user:pw@h.test:8443/a/b?tenant=7#x", "https://h.test:8443/a/b"),
        ("wss://h.test/media", "wss://h.test/media"),
        ("http://[::1", REDACTED),
    ],
)
def test_a_url_is_shown_without_user_query_and_fragment(url: str, bare: str) -> None:
    assert bare_url(url) == bare


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            {"to": {"callee": "jane.roe.trunk", "tags": ["5550142"]}},
            {"callee": "jan*********nk", "tags": ["5******"]},
        ),
        (
            {"to": {"n": 14155550142, "ok": True, "none": None}},
            {"n": "141******42", "ok": True, "none": None},
        ),
        (
            {"to": {"phone_number_sid": "PN12", "status": "queued"}},
            {"phone_number_sid": "PN12", "status": "queued"},
        ),
        (
            {"to": {"uri": "jane.roe.trunk", "status_callback": "jane.roe.trunk"}},
            {"uri": "jan*********nk", "status_callback": "jan*********nk"},
        ),
        ({"to": [{"deep": {"er": "jane.roe.trunk"}}]}, [{"deep": {"er": "jan*********nk"}}]),
    ],
)
def test_what_a_name_says_holds_for_all_below_it_but_for_what_says_otherwise(told: Any, shown: Any) -> None:
    assert applied(Privacy(), told).event.attributes == {"to": shown}


@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
def test_the_paths_in_a_calls_row_stay_readable(mode: str) -> None:
    path = "/2010-04-01/Accounts/AC0f12345678900000000000000000000a/Calls/CA0f12345678900000000000000000000a"
    told = {"uri": f"{path}.json", "subresource_uris": {"events": f"{path}/Events.json"}}
    row = {**told, "uri": f"{told['uri']}?a=b"} if mode != "full" else dict(told)
    assert applied(Privacy(mode, "s"), row).event.attributes == told
    number = applied(Privacy(mode, "s"), {"uri": "sip:+14155550142@h.test"}).event.attributes["uri"]
    assert ("+14155550142" in number) is (mode == "full")


def test_a_header_sent_as_two_fields_is_what_its_name_says() -> None:
    told = [
        {"name": "From", "value": "jane.roe.trunk"},
        {"Name": "X-Auth-Token", "Value": "hunter2"},
        {"key": "Cookie", "value": "hunter2"},
        ["Authorization", "hunter2"],
        ["password", ["hunter2"]],
        ["pin", 7391],
        {"name": "pin", "values": ["hunter2"]},
        {"parameter": "password", "value": "hunter2"},
        {"name": "X-Mine", "value": "kept"},
    ]
    assert applied(Privacy(), {"x": told}).event.attributes["x"] == [
        {"name": "From", "value": "jan*********nk"},
        {"Name": "X-Auth-Token", "Value": REDACTED},
        {"key": "Cookie", "value": REDACTED},
        ["Authorization", REDACTED],
        ["password", REDACTED],
        ["pin", REDACTED],
        {"name": "pin", "values": REDACTED},
        {"parameter": "password", "value": REDACTED},
        {"name": "X-Mine", "value": "kept"},
    ]
    assert "hunter2" not in repr(applied(Privacy("full"), {"x": told}).event.attributes)


def test_names_that_are_numbers_are_masked_and_told_apart() -> None:
    told = {"+14155550142": "a", "+14155550242": "b", "sip:jane.roe@h": "c"}
    assert applied(Privacy(), {"x": told}).event.attributes["x"] == {
        "+14*******42": "a",
        "+14*******42~1": "b",
        "sip:jan***oe@h": "c",
    }


@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
def test_secrets_within_a_name_leave_in_no_mode(mode: str) -> None:
    """A URL that is read as a form's first name, or a name that has its value in it."""
    told = {"https://user:hunter2@h.test/x?CallSid": "CA1", "see token=hunter2 of": "x"}
    assert "hunter2" not in str(Privacy(mode, "s").json(told))


@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
@pytest.mark.parametrize(
    "text",
    [
        "Msg=status 404&url=https%3A%2F%2Fh.test%2Fx%3Fa%3D1%26token%3Dhunter2",
        "GET https%3a%2f%2fh.test%2fx%3ftoken%3dhunter2 failed",
        "a%253D1%2526AuthToken%253Dhunter2",
    ],
)
def test_a_secret_in_an_escaped_query_leaves_in_no_mode(mode: str, text: str) -> None:
    shown = Privacy(mode, "s").text(text)
    assert "hunter2" not in shown
    assert Privacy(mode, "s").text(shown) == shown


def test_a_number_has_one_hash_in_whatever_spelling() -> None:
    privacy = Privacy("hashed", "s3cret")
    hashed = privacy.address("+14155550142")
    for spelling in ("+1 (415) 555-0142", "14155550142", "0014155550142", "+1.415.555.0142"):
        assert privacy.address(spelling) == hashed
        assert privacy.text(f"no route to {spelling}.") == f"no route to {hashed}."
    assert privacy.address("sip:+14155550142@h.test") == f"sip:{hashed}@h.test"
    assert privacy.address("tel:+1-415-555-0142") == f"tel:{hashed}"
    assert privacy.address("+14155550143") != hashed


@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
def test_what_an_event_says_beside_its_attributes_is_masked_too(mode: str) -> None:
    number = "+14155550142"
    event = Event(key="twilio:CA1", provider="twilio", source="s", family="insights", name=f"dial {number}")
    event.edge = event.group = event.error_code = number
    answer = WebhookAnswer(f"https://h.test/{number}", number, 500, None, "5xx")
    facts = {"direction_detail": number, "answered_by": number, "price": number, "price_unit": number}
    reading = Reading(event, "4", (), facts=facts, hangup=number, answer=answer)
    reading.recording = Recording("RE1", number)
    Privacy(mode, "s").apply(reading)
    assert (number in repr(reading)) is (mode == "full")
    assert repr(reading).count(number) == (12 if mode == "full" else 0)


def test_secrets_leave_in_no_mode_and_all_else_as_sent_in_full() -> None:
    told = {
        "To": "sip:jane:hunter2@h.test",
        "Digits": "1234",
        "Url": "https://u:hunter2@h.test/+14155550142?pin=hunter2&a=b",
        "n": [{"SipAuthPassword": "hunter2", "x": "password: hunter2, +14155550142"}],
        "body": '{"token":"hunter2","from":"+14155550142"}',
    }
    assert applied(Privacy("full"), told).event.attributes == {
        "To": "sip:jane@h.test",
        "Digits": REDACTED,
        "Url": "https://h.test/+14155550142?pin=***&a=b",
        "n": [{"SipAuthPassword": REDACTED, "x": "password: ***, +14155550142"}],
        "body": '{"token":"***","from":"+14155550142"}',
    }


def test_what_is_remembered_is_bounded_in_number_and_in_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "CACHE_SIZE", CACHE_SIZE)
    monkeypatch.setattr(field_plans, "CACHE_SIZE", CACHE_SIZE)
    privacy = Privacy()
    for number in range(CACHE_SIZE + 10):
        applied(privacy, {"x": f"text {number}", "To": f"a{number}", f"name{number}": ""})
    for text in ("+" * 100_000, "x" * 100_000):
        applied(privacy, {"x": text, "To": text, text: "y"})
    plans = privacy._plans
    planned = [name for names in plans for name in names]
    planned += [str(values) for plan in plans.values() for values in plan.harmless]
    kept = [*privacy._addresses, *privacy._free, *planned]
    assert len(privacy._addresses) <= CACHE_SIZE
    assert len(privacy._free) <= CACHE_SIZE
    assert len(planned) <= 2 * CACHE_SIZE
    assert max(map(len, kept)) < 4096


def within(text: str, depth: int) -> str:
    """A form in a form."""
    for _ in range(depth):
        text = f"a={quote(text, safe='')}"
    return text


def test_texts_within_texts_are_taken_apart_to_a_depth_and_no_further() -> None:
    privacy = Privacy()
    assert privacy.text(within("bbbbb", MAX_NESTING)) == within("bbbbb", MAX_NESTING)
    assert REDACTED in privacy.text(within("bbbbb", MAX_NESTING + 1))
    assert "4155550142" not in privacy.text(within("+14155550142", 12))
    assert privacy.text('{"a":' * 500 + "1" + "}" * 500) == REDACTED


def test_what_is_remembered_does_not_depend_on_how_deep_it_was_seen() -> None:
    privacy = Privacy()
    text = within("bbbbb", MAX_NESTING)
    assert REDACTED in privacy.text(msgspec.json.encode({"x": text}).decode())
    assert privacy.text(text) == text
