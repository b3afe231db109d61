"""The doctor of Twilio's signature: one sentence for each way that a request is not as it was signed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from stream.gateway.diagnose import twilio as twilio_doctor
from stream.gateway.diagnose.diagnosis import FITS, masked
from stream.gateway.receive.request import WebhookRequest, headers_of
from tests.gateway.diagnose.twilio_cases import (
    CASES,
    CREDENTIALS,
    JSON,
    PUBLIC,
    SUBACCOUNT,
    TARGET,
    form,
    received,
)
from tests.gateway.signing import (
    ACCOUNT,
    HOST,
    TOKEN,
    twilio,
    twilio_form,
    twilio_json,
)
from tests.gateway.verdicts import diagnosed


@pytest.mark.parametrize("name", CASES)
def test_the_doctor_says_what_would_fit_and_which_setting_mends_it(name: str) -> None:
    case = CASES[name]
    found = diagnosed(case.request, case.credentials, secrets=case.secrets, urls=case.urls)
    assert case.sentence in found.sentence
    assert found.settings == case.settings
    assert found.sentence.count(".\n") == 0
    assert found.sentence.endswith(".")
    assert found.fits is (False if "signature fits if" in found.sentence else None)


@pytest.mark.parametrize("name", CASES)
def test_no_sentence_shows_a_secret_or_a_number(name: str) -> None:
    case = CASES[name]
    found = diagnosed(case.request, case.credentials, secrets=case.secrets, urls=case.urls)
    secrets = [TOKEN, "subtoken", "candidate", "sharedsecret", "5005550006", "tenant", ACCOUNT, SUBACCOUNT]
    assert not [secret for secret in secrets if secret in repr(found)]


def test_a_request_that_fits_is_said_to_fit() -> None:
    assert diagnosed(twilio_form(), CREDENTIALS) == FITS
    assert diagnosed(twilio_json(JSON), CREDENTIALS) == FITS


def test_the_simplest_of_several_explanations_is_given() -> None:
    same = form([("AccountSid", ACCOUNT)], target="/x?a=1&a=1", signed_url=f"{PUBLIC}/x?a=1")
    found = diagnosed(same, CREDENTIALS)
    assert found.sentence.startswith("Twilio's signature fits if a parameter that was added")


HOSTILE: dict[str, Callable[[], WebhookRequest]] = {
    "a large form": lambda: replace(twilio_form(), body=b"a=" + b"x" * 262_142),
    "many parameters": lambda: replace(
        twilio_form(), body=b"&".join(b"p%d=%s" % (at, b"x" * 250) for at in range(999))
    ),
    "many parameters in few bytes": lambda: replace(
        twilio_form(), body=b"&".join(b"p%d=%s" % (at, b"x" * 8) for at in range(999))
    ),
    "a long query": lambda: twilio_form(target="/x?" + "&".join(f"a{at}=1" for at in range(1100)), token="u"),
    "a long query that may be encoded in many ways": lambda: twilio_form(
        target="/x?" + "&".join("a%3a~*!=%c3%ab+" for _ in range(500)), token="u"
    ),
    "seven parameters that may be encoded in many ways": lambda: twilio_form(
        target="/x?" + "&".join(f"{at}%3a~*!=%c3%ab+" for at in range(7)), token="u"
    ),
    "many hosts": lambda: twilio_form(
        token="u", headers=[("X-Forwarded-Host", ",".join(f"h{at}.test" for at in range(700)))]
    ),
    "many hosts and ports, and an account that is not configured": lambda: twilio_form(
        [("AccountSid", "AC" + "9" * 32)],
        token="u",
        headers=[
            ("X-Forwarded-Host", ",".join(f"h{at}.test" for at in range(700))),
            ("X-Forwarded-Port", ",".join(str(at) for at in range(1000, 2500))),
        ],
    ),
    "many originals": lambda: twilio_form(
        token="u", headers=[("X-Original-URI", f"/{at}") for at in range(100)]
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_costs_a_bounded_time(name: str) -> None:
    began = time.process_time()
    tokens = {f"AC{at:032}": (f"token-{at}",) for at in range(100)}
    credentials = replace(CREDENTIALS, twilio_tokens={**CREDENTIALS.twilio_tokens, **tokens})
    assert diagnosed(HOSTILE[name](), credentials).fits is None
    assert time.process_time() - began < 8


def test_a_search_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = received(host="inner.test", headers=[("X-Forwarded-Host", HOST)], token="candidate")
    assert diagnosed(changed, CREDENTIALS, secrets=["candidate"]).fits is False
    monkeypatch.setattr(twilio_doctor, "WORK_LIMIT_BYTES", 5000)
    assert diagnosed(changed, CREDENTIALS, secrets=["candidate"]).fits is None


def test_what_is_not_an_account_id_is_not_shown_at_all() -> None:
    assert [masked(text) for text in (ACCOUNT, "AC\n\x1b[31m0009", "AC0009", "")] == [
        "AC…0009",
        "…",
        "…",
        "…",
    ]


def test_the_signing_of_these_tests_is_the_documented_one() -> None:
    assert twilio(
        f"{PUBLIC}/tw/status?tenant=7", [("E", "ringing"), ("E", "answered"), ("E", "ringing")]
    ) == ("86uZW+pjHUmuvXd4x9Hke+xBETI=")


def test_a_packed_body_is_said_to_be_one_whatever_else_is_wrong() -> None:
    for request in (twilio_form(headers=[("Content-Encoding", "gzip")]), telnyx_packed()):
        found = diagnosed(request, CREDENTIALS)
        assert (found.fits, "Content-Encoding" in found.sentence) == (None, True)
    assert diagnosed(twilio_form(headers=[("Content-Encoding", "identity")]), CREDENTIALS) == FITS


def telnyx_packed() -> WebhookRequest:
    return WebhookRequest(
        method="POST", target="/callbacks/telnyx", headers=headers_of([("Content-Encoding", "identity, br")])
    )


@pytest.mark.parametrize("host", ["[.]", "[::", "[:]", "[1.2]:5", "h:99999", "h..", "", "~", "\udcff"])
@pytest.mark.parametrize(
    "target", [TARGET, f"{TARGET}?\udcff=\udc80&x=%ff", f"{TARGET}/\udcff", "http://[.]/x"]
)
def test_whatever_a_request_says_of_where_it_was_sent_there_is_a_diagnosis(host: str, target: str) -> None:
    for request in (
        twilio_form(target=target, host=host, signed_url="x"),
        twilio_json(JSON, target=target, signed_url="x"),
    ):
        headers = headers_of(
            [*request.headers.items(), ("X-Original-URI", "/\udcff?\udc80"), ("X-Forwarded-Host", host)]
        )
        assert diagnosed(replace(request, headers=headers), CREDENTIALS).fits is None
