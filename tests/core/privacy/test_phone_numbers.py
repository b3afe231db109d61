"""Numbers and addresses, found by their form."""

from __future__ import annotations

import time

import pytest

from stream.core.privacy.free_text import (
    bare_url,
    is_form,
    json_in,
    without_persons,
    without_queries,
    without_secrets,
)
from stream.core.privacy.masking import Privacy
from stream.core.privacy.phone_numbers import digits_of, masked_number, replaced
from tests.core.privacy import planted

_PRIVACY = Privacy()
_LEFT = ("0142", "555-0142", "jane", "hunter2")
"""Remains of the corpus' number, user and secret if too little was masked."""


def masked(text: str) -> str:
    return _PRIVACY.text(text)


@pytest.mark.parametrize("number", [*planted.SPELLINGS, *planted.ADDRESSES])
def test_a_number_or_an_address_is_masked_wherever_in_a_text_it_stands(number: str) -> None:
    for text in ("{}", *planted.TEXTS, *planted.URLS):
        shown = masked(text.format(number))
        assert not any(left in shown.lower() for left in _LEFT), text
        assert masked(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No route to +14155550142 (404)", "No route to +14*******42 (404)"),
        ("call 415-555-0142, then 415-555-0143", "call 415*******42, then 415*******43"),
        ("to sip:alice.smith@pbx.test;tag=1", "to sip:ali******th@pbx.test;tag=1"),
        ('"Jane Roe" <sip:+14155550142@pbx.test>', "*** <sip:+14*******42@pbx.test>"),
        ("https://u:p@h.test/%2B14155550142/x?y=1 failed", "https://h.test/%2B14*******42/x failed"),
        ("a12 4155550142 33b", "a12 415*****42 33b"),
        ("4155550142x123", "415*****42x123"),
        ("\\n4155550142", "\\n415*****42"),
        ("at 2026-03-02 10:00:01 4155550142", "at 2026-03-02 10:00:01 415*****42"),
        ("1700000000000000001 4155550142 12345", "1700000000000000001 415***********45"),
        ('{"ConnectionId":"1234567890","x":"4155550142"}', '{"ConnectionId":"1234567890","x":"415*****42"}'),
        ('{"auth_token": "hunter2", "n": 1234567}', '{"auth_token":"***","n":1234567}'),
        ('{"x":"4155550142","x":"a"}', '{"x":"a"}'),
        ('{"x": "a", "y": 1}', '{"x": "a", "y": 1}'),
        ("tel4155550142 is busy", "tel415*****42 is busy"),
        ("{user14155550142}", "{user141******42}"),
        ("+1 (415) 555-0142 ext. 5", "+1 ************42 ext. 5"),
        ("4155550142.0", "415*******.0"),
        ("1&nbsp;415&nbsp;555&nbsp;0142", "141******42"),
        ("%252B1%2520415%2520555%25200142", "%252B14*******42"),
        ("/%2B1%C2%A0415%C2%A0555%C2%A00142/", "/%2B14*******42/"),
        ("To=%2B14155550142&SipAuthPassword=hunter2", "To=%2B14*******42&SipAuthPassword=***"),
        ("P=%7B%22password%22%3A%22hunter2%22%7D", "P=%7B%22password%22:%22***%22%7D"),
        ("Authorization: Digest username=jane", "Authorization: ***"),
        ("Url=https://h.test/x?pin=1 b", "Url=https://h.test/x b"),
        ("url: /x?auth_token=hunter2&b=c", "url: /x?auth_token=***&b=c"),
        ("pin: 1 2 3 4, ok", "pin: ***, ok"),
        ("a pin=password=hunter2;x", "a pin=***;x"),
        ("sent Bearer abcdef0123456789", "sent Bearer ***"),
        ("run --password=hunter2 --user 7", "run --password=*** --user 7"),
        ("x-auth-token=hunter2", "x-auth-token=***"),
        ("password%253Dhunter2", "password%253D***"),
        ("<A><Password>hunter2 x</Password> b</A>", "<A><Password>***</Password> b</A>"),
        ('<A url="/x?token=hunter2">b</A>', '<A url="/x?token=***">b</A>'),
        ('<pin type="a">1234</pin><b>2</b>', '<pin type="a">***</pin><b>2</b>'),
    ],
)
def test_what_is_shown_of_a_text(text: str, shown: str) -> None:
    assert masked(text) == shown


_ID = "AC12345678901234567890123456789012"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"/Accounts/{_ID}/Calls/{_ID}.json", f"/Accounts/{_ID}/Calls/{_ID}.json"),
        (f"/{_ID}-415-555-0142", f"/{_ID}-415*******42"),
        (f"/{_ID}/14155550142", f"/{_ID}/141******42"),
        (f"/{_ID}/Calls/sip:jane@example.com", f"/{_ID}/Calls/sip:j***@example.com"),
        (f"/{_ID}.json/+14155550142", f"/{_ID}.json/+14*******42"),
    ],
)
def test_an_id_in_a_path_stays_and_hides_no_number_beside_it(text: str, shown: str) -> None:
    assert replaced(text, masked_number) == shown


@pytest.mark.parametrize(
    "gap",
    list("\u00ad\u00b7\u200e\u200f\u2010\u2022\u202a\u2043\u2060\u2066\u3000\ufe58\ufe63\ufeff\uff0d"),
)
def test_a_number_is_one_whatever_blanks_dashes_and_marks_part_it(gap: str) -> None:
    for number in (("+1", "415", "555", "0142"), ("415", "555", "0142")):
        shown = masked(f"No route to {gap.join(number)}")
        assert "555" not in shown
        assert masked(shown) == shown


@pytest.mark.parametrize(("name", "value"), planted.TO_STAY)
@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
def test_ids_times_versions_hashes_and_amounts_stay(mode: str, name: str, value: object) -> None:
    from tests.core.privacy.test_masking import applied

    assert applied(Privacy(mode, "s"), {name: value, "n": None}).event.attributes == {name: value, "n": None}
    if type(value) is str:
        assert applied(Privacy(mode, "s"), {name: value}).event.attributes == {name: value}
        if name == "x":
            assert Privacy(mode, "s").text(f"{value} and {value}") == f"{value} and {value}"


@pytest.mark.parametrize(
    ("spelling", "digits"),
    [
        *((spelling, "14155550142") for spelling in planted.SPELLINGS[:9]),
        ("%2B14155550142", "14155550142"),
        ("(415) 555-0142", "4155550142"),
        ("12345", None),
        ("+14155550142 x", None),
        ("1700000000000000001", None),
        ("alice", None),
    ],
)
def test_one_number_in_several_spellings_has_the_same_digits(spelling: str, digits: str | None) -> None:
    assert digits_of(spelling) == digits


@pytest.mark.parametrize(
    "hostile",
    [
        *(
            "1",
            "1 ",
            "+",
            "+1",
            "a",
            "sip:",
            "%25",
            "-",
            "1.1",
            "12345678-",
            "2026-",
            "%2B",
            "h:",
            "1%20",
            "a1 ",
        ),
        *(
            "a=",
            "a.b",
            "eyJ",
            "://",
            "<sip:",
            "<sip:a>",
            "<a ",
            "<pin>",
            "--a",
            "-a",
            "a b <sip:b> ",
            "1&nbsp;",
            "1%2525",
            "1\u2060\u2060",
            '"',
            "password=",
            "basic ",
            "%3A%2F%2F",
            "https://",
            "a&b=",
            "{",
        ),
        *("a    ", "cookie:", "pin=1 ", 'a:\\"', "@", "a:", "\t", "[", "1-", "(", "\u0661", "bearer "),
    ],
)
def test_a_hostile_text_costs_no_more_than_its_length(hostile: str) -> None:
    # A query's mark that belongs to none of it: some searches begin only where there is one.
    text = hostile * (50_000 // len(hostile)) + " ?"
    began = time.process_time()
    for look in (without_secrets, without_queries, without_persons, bare_url, is_form, json_in):
        look(text)
    replaced(text, masked_number)
    masked(text)
    assert time.process_time() - began < 1
