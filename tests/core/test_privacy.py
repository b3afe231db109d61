"""What is masked before it is folded."""

from __future__ import annotations

from typing import Any

import pytest

from stream.core.events import DecodeError, Event, Reading
from stream.core.privacy import BLOT, DEPTH_LIMIT, Privacy, bare_url


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
        Privacy(), {"Caller": address}, {"from": address, "to": address, "direction": "inbound"}
    )
    assert reading.event.attributes == {"Caller": masked}
    assert reading.facts == {"from": masked, "to": masked, "direction": "inbound"}


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
        "CallerName": BLOT,
        "FromCity": BLOT,
        "ToZip": "",
        "Digits": BLOT,
        "TranscriptionData": BLOT,
        "result_text": BLOT,
        "custom_headers": BLOT,
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
        ("http://[::1", BLOT),
    ],
)
def test_a_url_is_shown_without_user_query_and_fragment(url: str, bare: str) -> None:
    assert bare_url(url) == bare
