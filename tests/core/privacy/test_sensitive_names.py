"""The kind of a value by its name."""

from __future__ import annotations

import pytest

from stream.core.privacy.sensitive_names import kind_of, kind_of_header
from tests.core.privacy import planted


@pytest.mark.parametrize("name", planted.SECRET_NAMES)
def test_a_secret_is_known_by_its_name_and_by_parts_of_it(name: str) -> None:
    assert kind_of(name) in ("secret", "digits")


@pytest.mark.parametrize("name", planted.HARMLESS_NAMES)
def test_a_name_that_only_looks_like_a_secret_is_none(name: str) -> None:
    assert kind_of(name) in (None, "plain", "free")


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("From to forwarded_from DialCallNumber caller_id_number destination_number CallerId", "address"),
        (
            "ReferTransferTarget refer_to callee fromSipUri customer_phone RequestUri ParticipantUri",
            "address",
        ),
        ("CallerName caller_id_name from_display_name TranscriptionText FromCity SipHeader_X-ANI", "text"),
        (
            "Url uri subresource_uris StatusCallback recordingStatusCallbackUrl voice_url delivered_to",
            "url",
        ),
        ("CallSid conference_id phone_number_sid SequenceNumber page_number start_time OccurredAt", "plain"),
        ("packet_count ErrorCode price duration_ms total_tokens", "plain"),
        ("DialCallStatus Direction line_type FromCountry", "free"),
        ("x Lead message FriendlyName 4155550142 \u00fc __", None),
    ],
)
def test_a_name_says_what_its_value_is(names: str, kind: str | None) -> None:
    assert [kind_of(name) for name in names.split()] == [kind] * len(names.split())


def test_an_endless_name_is_judged_by_its_ends() -> None:
    assert kind_of("x" * 1_000_000) is None
    assert kind_of("sip_password_" + "x" * 1_000_000) == "secret"
    assert kind_of("x" * 1_000_000 + "_auth_token") == "secret"
    assert kind_of("SipHeader_" + "X" * 1_000_000) == "text"


def test_a_header_may_be_a_credential_where_a_name_is_not() -> None:
    assert (kind_of_header("Identity"), kind_of("Identity")) == ("secret", "address")
    assert kind_of_header("X-Auth-Token") == "secret"


WITHHELD = """
    calltoken stirpassporttoken passporttoken authtoken accesstoken authorization proxyauthorization password
    clientstate paymenttoken paymentcardnumber paymentcardtype paymentcardpostalcode cardnumber cardtype
    securitycode cvv cvc expirationdate bankaccountnumber bankaccounttype bankroutingnumber accountnumber
    routingnumber postalcode card passwd passphrase passcode pwd otp mfacode cookie setcookie apikey
    privatekey jwt bearer accesscode authcode verificationcode iban
"""
ADDRESSES = """
    from to caller called callee forwardedfrom fromformatted toformatted callerid fromsipuri tosipuri
    phonenumber callerphonenumber dialedphonenumber rawto rawfrom number fromnumber tonumber originalto
    callednumber callingnumber targetnumber participantlabel refertransfertarget transfertarget transferto
    referto referredby dialedto dialto destination ani dnis msisdn email phone mobile username identity
"""
TEXTS = """
    callername calleridname fromcity fromstate fromzip tocity tostate tozip callercity callerstate callerzip
    calledcity calledstate calledzip transcriptiondata transcriptiontext transcript transcriptionresult
    speechresult unstablespeechresult responsebody customheaders sipheaders headers customparameters ipaddress
    location lat lon city messagehistory partialresults resulttext recordingurls publicrecordingurls
    recordingurl prompt body twiml cnam speech
"""
URLS = "url uri streamurl mediaurl deliveredto endpoint statuscallback webhookurl callbackurl"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("secret", name) for name in WITHHELD.split()),
        *(("digits", name) for name in ("digits", "digit", "dtmf")),
        *(("address", name) for name in ADDRESSES.split()),
        *(("text", name) for name in TEXTS.split()),
        *(("url", name) for name in URLS.split()),
    ],
)
def test_every_name_of_the_table_is_of_its_kind(kind: str, name: str) -> None:
    assert kind_of(name) == kind
    assert kind_of(name.upper()) == kind
