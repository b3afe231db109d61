"""A query that was sorted or encoded again on its way: the doctor speaks of the query, not of the token."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from stream.gateway.diagnose.diagnosis import FITS, Diagnosis
from stream.gateway.receive.request import WebhookRequest
from tests.gateway.diagnose.twilio_cases import CREDENTIALS, JSON, PUBLIC, received
from tests.gateway.receive.test_verification import get
from tests.gateway.signing import STATUS, body_hash, twilio, twilio_form, twilio_json
from tests.gateway.verdicts import diagnosed

GIVEN = "tenant=7&zone=eu&attempt=2&flow=main&campaign=12&contact=88"
SORTED = "&".join(sorted(GIVEN.split("&")))
ORDER = "the query's parameters are in another order"
CODING = "the query is percent-encoded in another way"


def sent(given: str, arrived: str) -> Diagnosis:
    """Signed with one query and received with another."""
    path = "/callbacks/twilio"
    request = twilio_form(target=f"{path}?{arrived}", signed_url=f"{PUBLIC}{path}?{given}")
    return diagnosed(request, CREDENTIALS)


def fits_if(says: str, mend: str) -> Diagnosis:
    return Diagnosis(False, f"Twilio's signature fits if {says}: {mend}.")


UNCHANGED = "let the proxy pass the query unchanged"
OR_SORTED = f"{UNCHANGED}, or give Twilio the URL with its parameters sorted by name"


def test_whoever_sorted_a_query_the_parameters_can_be_given_sorted() -> None:
    assert sent(GIVEN, SORTED) == fits_if(ORDER, OR_SORTED)
    assert sent(SORTED, GIVEN) == fits_if(ORDER, UNCHANGED)


@pytest.mark.parametrize(
    ("given", "arrived"),
    [
        ("a=2&B=1&C=3&d=4&e=5&f=6&g=7&h=8&i=9", "B=1&C=3&a=2&d=4&e=5&f=6&g=7&h=8&i=9"),
        ("a=2&B=1&C=3&d=4&e=5&f=6&g=7&h=8&i=9", "i=9&h=8&g=7&f=6&e=5&d=4&C=3&a=2&B=1"),
        ("g=1&f=2&a=3&b=4&e=5&d=6&c=7", "a=3&b=4&c=7&d=6&e=5&f=2&g=1"),
        ("tag=b&tag=a&x", "tag=a&tag=b&x"),
    ],
)
def test_seven_parameters_may_have_had_any_order_and_more_a_usual_one(given: str, arrived: str) -> None:
    assert sent(given, arrived).sentence.startswith(f"Twilio's signature fits if {ORDER}: ")


@pytest.mark.parametrize(
    ("given", "arrived"),
    [
        ("q=a%20b", "q=a+b"),
        ("q=a+b", "q=a%20b"),
        ("q=%C3%AB", "q=%c3%ab"),
        ("q=%c3%ab", "q=%C3%AB"),
        ("q=%c3%ab%20b", "q=%C3%AB+b"),
        ("q=%7Ea*b", "q=~a*b"),
        ("q=(a)!", "q=%28a%29%21"),
        ("q=%28a%29%21", "q=(a)!"),
        ("u=https://h.test/x,y", "u=https%3A%2F%2Fh.test%2Fx%2Cy"),
        ("u=https%3A%2F%2Fh.test%2Fx%2Cy", "u=https://h.test/x,y"),
        ("u=https%3a%2f%2fh.test", "u=https://h.test"),
    ],
)
def test_a_query_that_was_encoded_again_is_found_in_the_usual_codings(given: str, arrived: str) -> None:
    assert sent(given, arrived) == fits_if(CODING, UNCHANGED)


def test_a_query_that_was_sorted_and_encoded_again_is_found_too() -> None:
    says = f"{ORDER} and {CODING}"
    assert sent("zone=eu&name=zo%c3%ab%20x&a=1&c=2&b=3", "a=1&b=3&c=2&name=zo%C3%AB+x&zone=eu") == fits_if(
        says, OR_SORTED
    )


def sorted_get() -> WebhookRequest:
    query = urlencode(STATUS[:6])
    arrived = "&".join(sorted(query.split("&")))
    return get(f"/callbacks/twilio?{arrived}", twilio(f"{PUBLIC}/callbacks/twilio?{query}"))


def sorted_json() -> WebhookRequest:
    path = "/callbacks/twilio/event-streams"
    given = f"tenant=7&zone=eu&bodySHA256={body_hash(JSON)}&flow=main&campaign=12"
    request = twilio_json(JSON, signed_url=f"{PUBLIC}{path}?{given}")
    return replace(request, target=f"{path}?{'&'.join(sorted(given.split('&')))}")


def test_the_query_of_a_get_and_of_a_json_body_is_found_too() -> None:
    """Only the proxy can mend a GET: Twilio adds its own parameters to the customer's."""
    assert diagnosed(sorted_get(), CREDENTIALS) == fits_if(ORDER, UNCHANGED)
    assert diagnosed(sorted_json(), CREDENTIALS) == fits_if(ORDER, OR_SORTED)


def test_a_sorted_query_and_a_token_that_the_operator_tries_are_said_both() -> None:
    signed = f"{PUBLIC}/callbacks/twilio?{GIVEN}"
    request = twilio_form(target=f"/callbacks/twilio?{SORTED}", signed_url=signed, token="candidate")
    found = diagnosed(request, CREDENTIALS, secrets=["candidate"])
    assert f"fits if {ORDER} and the token is the one that was tried here" in found.sentence


def test_a_query_that_was_only_encoded_again_is_not_said_to_be_in_another_order() -> None:
    path = "/callbacks/twilio"
    request = twilio_form(
        target=f"{path}?q=%C3%AB+b&x=1", signed_url=f"{PUBLIC}{path}?q=%c3%ab%20b&x=1", token="candidate"
    )
    found = diagnosed(request, CREDENTIALS, secrets=["candidate"])
    assert found.sentence.startswith(f"Twilio's signature fits if {CODING} and the token is the one")


def test_a_short_query_may_be_in_any_order_also_where_the_public_url_is_wrong() -> None:
    signed = f"{PUBLIC}/callbacks/twilio?c=3&a=1&d=4&b=2"
    request = received(target="/callbacks/twilio?a=1&b=2&c=3&d=4", signed_url=signed)
    found = diagnosed(request, CREDENTIALS)
    assert f"fits if the URL begins with https:// and {ORDER}: set CALLSTREAM_PUBLIC_URL={PUBLIC}" in (
        found.sentence
    )


def test_of_more_parameters_than_all_orders_can_be_tried_of_the_query_is_suspected_too() -> None:
    given = [f"p{at}={at}" for at in (3, 7, 1, 5, 8, 2, 6, 4)]
    found = sent("&".join(given), "&".join(sorted(given)))
    assert found.fits is None
    assert "or the query's parameters, too many to try all their orders, were sorted" in found.sentence
    assert "too many" not in sent("a=1", "b=1").sentence


@pytest.mark.parametrize("path", ["/callbacks/twilio/event-streams", "/callbacks/telnyx", "/voice"])
def test_a_get_that_fits_at_a_path_that_takes_none_is_not_said_to_be_taken(path: str) -> None:
    target = f"{path}?{urlencode(STATUS)}"
    assert diagnosed(get(target, twilio(PUBLIC + target)), CREDENTIALS) == Diagnosis(
        False,
        "The signature fits, but the gateway answers a GET at this path with 405: let Twilio send with POST.",
    )


def test_a_get_that_fits_at_the_path_of_twilio_is_taken_also_below_a_prefix() -> None:
    for path in ("/callbacks/twilio", "/voice/callbacks/twilio"):
        target = f"{path}?{urlencode(STATUS)}"
        assert diagnosed(get(target, twilio(PUBLIC + target)), CREDENTIALS) == FITS
