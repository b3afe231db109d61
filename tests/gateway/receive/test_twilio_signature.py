"""X-Twilio-Signature: Twilio's examples, accepted and refused cases, and Twilio's own library."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from stream.gateway.receive.request import RequestRefusedError
from stream.gateway.receive.twilio_signature import (
    body_hashes,
    signature_settings,
    split_port,
    url_variants,
    verify,
)
from tests.gateway.receive.twilio_signature_cases import ACCEPTED, ALL, DOCUMENTED, HASHED, JSON, REFUSED
from tests.gateway.signing import TOKEN, Parameters, twilio


@pytest.mark.parametrize("name", ALL)
def test_a_signature_is_accepted_or_refused_as_the_table_says(name: str) -> None:
    case = ALL[name]
    assert case.verify() == case.expected


class Several:
    """Parameters as web frameworks hand them to Twilio's library."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def __iter__(self) -> Any:
        return iter([name for name, _ in self._parameters])

    def __len__(self) -> int:
        return len(self._parameters)

    def getall(self, name: str) -> list[str]:
        return [value for given, value in self._parameters if given == name]


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if case.agrees])
def test_twilios_own_library_says_the_same(name: str) -> None:
    case = ALL[name]
    given: Any = Several(case.parameters) if case.parameters is not None else case.body.decode()
    official = any(
        RequestValidator(key).validate(case.url, given, case.sign(), case.algorithm) for key in case.keys
    )
    assert official == isinstance(case.expected, tuple)


def test_the_table_has_at_least_forty_cases_and_both_directions() -> None:
    assert len(DOCUMENTED) + len(ACCEPTED) >= 20
    assert len(REFUSED) >= 20
    assert sum(case.agrees for case in ALL.values()) >= 55


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(WORDS.filter(bool), WORDS), max_size=6),
    st.sampled_from(["http", "https"]),
    st.sampled_from(["", ":80", ":443", ":8443"]),
    st.sampled_from(["", "?a=1", "?b=%20&a=+&b", "?x=%C3%AB"]),
    st.sampled_from(["", ":80", ":443", ":8443"]),
)
def test_any_form_is_judged_as_twilios_library_does(
    parameters: Parameters, scheme: str, port: str, query: str, signed_port: str
) -> None:
    url, signed_url = (f"{scheme}://h.test{one}/x{query}" for one in (port, signed_port))
    signature = twilio(signed_url, parameters)
    encoded = [(name.encode(), value.encode()) for name, value in parameters]
    try:
        fits = bool(verify([TOKEN], url, signature, parameters=encoded))
    except RequestRefusedError:
        fits = False
    assert fits == RequestValidator(TOKEN).validate(url, Several(parameters), signature)


def test_https_is_tried_without_the_port_first_and_http_as_it_is() -> None:
    assert url_variants("https://u:p@h.test:8443/x?y#f") == [
        ("without", b"https://h.test/x?y"),
        ("as_sent", b"https://h.test:8443/x?y"),
    ]
    assert url_variants("http://h.test:8080/x") == [
        ("as_sent", b"http://h.test:8080/x"),
        ("without", b"http://h.test/x"),
    ]
    assert url_variants("https://h.test/@x") == [
        ("as_sent", b"https://h.test/@x"),
        ("default", b"https://h.test:443/@x"),
    ]


def test_bytes_of_a_url_that_are_not_text_stay() -> None:
    assert url_variants("http://h.test/\udcff")[0] == ("as_sent", b"http://h.test/\xff")


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("h.test", ("h.test", "")),
        ("h.test:8443", ("h.test", "8443")),
        ("h.test:", ("h.test:", "")),
        ("h.test:https", ("h.test:https", "")),
        ("[::1]", ("[::1]", "")),
        ("[::1]:80", ("[::1]", "80")),
        ("h.test:٣", ("h.test:٣", "")),
    ],
)
def test_a_port_is_digits_after_the_last_colon(authority: str, expected: tuple[str, str]) -> None:
    assert split_port(authority) == expected


def test_a_settings_header_names_a_key_and_an_algorithm() -> None:
    assert signature_settings(None) == (None, "HMAC_SHA1")
    assert signature_settings("key=webhooks_sharedkey_1, algorithm=hmac_sha256") == (
        "webhooks_sharedkey_1",
        "HMAC_SHA256",
    )
    assert signature_settings("key=,algorithm=,other") == (None, "HMAC_SHA1")


def test_only_a_parameter_of_that_name_is_a_hash() -> None:
    assert body_hashes("https://h.test/?xbodySHA256=1&bodySHA256=Ab&bodysha256=2#bodySHA256=3") == [b"ab"]


def test_of_five_hundred_keys_the_last_one_is_found_for_a_body_that_the_url_covers() -> None:
    keys = [f"token-{n}" for n in range(500)]
    signature = twilio(HASHED, token="token-499")
    assert verify(keys, HASHED, signature, body=JSON) == (499, "as_sent")


def test_a_large_form_is_tried_with_some_of_many_keys_and_the_refusal_says_so() -> None:
    url = "https://hooks.example.test/callbacks/twilio"
    large = [("Name", "x" * 200_000)]
    keys = [f"token-{n}" for n in range(500)]
    parameters = [(name.encode(), value.encode()) for name, value in large]
    assert verify(keys, url, twilio(url, large, token=keys[9]), parameters=parameters) == (9, "as_sent")
    with pytest.raises(RequestRefusedError) as later:
        verify(keys, url, twilio(url, large, token=keys[10]), parameters=parameters)
    assert later.value.reason == "bad_signature"
    assert "of the first 10 of 500" in later.value.detail


def test_the_keys_of_one_account_are_always_tried() -> None:
    url, huge = "https://hooks.example.test/callbacks/twilio", "x" * 3_000_000
    signature = twilio(url, [("Name", huge)], token="4")
    found = verify(["1", "2", "3", "4"], url, signature, parameters=[(b"Name", huge.encode())])
    assert found == (3, "as_sent")
