"""Values that must never leave and values that must stay: the corpus of every privacy test.

Numbers and names are invented: North American ones from the block 555-01xx, the rest from ranges that the
regulators reserve for drama.
"""

from __future__ import annotations

from typing import Any

NUMBER = "+14155550142"
OTHER_NUMBER = "+442079460958"
PERSON = "JANE ROE"
USER = "jane.roe.trunk"
SECRET = "hunter2-hunter2"
DIGITS_PRESSED = "73914682"

SPELLINGS = (
    "+14155550142",
    "+1 415 555 0142",
    "+1-415-555-0142",
    "+1 (415) 555-0142",
    "+1.415.555.0142",
    "+1\u00a0415\u00a0555\u00a00142",
    "+1\u2011415\u2011555\u20110142",
    "14155550142",
    "0014155550142",
    "(415) 555-0142",
    "415-555-0142",
    "415.555.0142",
    "415 555 0142",
    "4155550142",
    "5550142",
    "555-0142",
    "+442079460958",
    "020 7946 0958",
    "+49 30 23125 042",
    "%2B14155550142",
    "%2b1%20415%20555%200142",
    "%252B14155550142",
    "+\u0661\u0664\u0661\u0665\u0665\u0665\u0665\u0660\u0661\u0664\u0662",
)
"""A phone number in the spellings of providers, customers and people. All of them are masked everywhere."""

ADDRESSES = (
    "sip:jane.roe.trunk@pbx.example.test",
    "sips:jane.roe.trunk@pbx.example.test;transport=tls",
    "SIP:jane.roe.trunk@pbx.example.test",
    "sip:+14155550142@carrier.example.test;user=phone",
    "sip:jane.roe.trunk:hunter2-hunter2@pbx.example.test",
    "<sip:jane.roe.trunk@pbx.example.test>;tag=1928",
    '"JANE ROE" <sip:+14155550142@carrier.example.test>',
    "sip%3Ajane.roe.trunk%40pbx.example.test",
    "tel:+1-415-555-0142",
    "tel:5550142",
    "client:jane.roe.trunk",
)
"""Addresses of people, by scheme."""

TEXTS = (
    "No route to {}",
    "Invalid 'To' number {}: not reachable",
    "transfer({})",
    "KeyError: '{}'",
    "{}, retried",
    "dest={}&attempt=2",
    "a\tb\n{}",
    "\u00e4\u00f6 {} \u2603",
)
"""Free text with a place for a number or an address."""

URLS = (
    "https://hooks.example.test/calls/{}/status",
    "https://hooks.example.test/status?caller={}",
    "https://user:hunter2-hunter2@hooks.example.test/{}#x",
    "HTTPS://hooks.example.test/c/{}",
    "wss://media.example.test/{}",
)
"""URLs with a place for a number."""

SECRET_NAMES = (
    "SipAuthPassword",
    "sip_auth_password",
    "sipAuthPassword",
    "SIP_AUTH_PASSWORD",
    "SipAuthUsername",
    "sip_auth_username",
    "http_auth_username",
    "AuthUserName",
    "password",
    "Password",
    "db-password",
    "passwordHash",
    "userpassword",
    "ClientSecret",
    "api_secret",
    "shared-secret-key",
    "AuthToken",
    "access_token",
    "CallToken",
    "StirPassportToken",
    "refreshToken",
    "TOKEN",
    "Authorization",
    "proxy-authorization",
    "SendDigits",
    "send_digits",
    "Digits",
    "DtmfDigits",
    "dtmf",
    "digit",
    "Credential",
    "sip_credentials",
    "CredentialList",
    "pin",
    "PIN",
    "PinCode",
    "user_pin",
    "UserPIN",
    "conference-pin",
    "pin_number",
    "api_key",
    "PaymentCardNumber",
    "card_number",
    "securityCode",
    "cvv",
    "bank_account_number",
    "ExpirationDate",
    "SipHeader_X-Auth-Token",
    "SipHeader_Identity",
    "client_state",
)
"""Names whose value is redacted in every mode."""

HARMLESS_NAMES = (
    "ping",
    "pinned",
    "shipping",
    "spinning",
    "opinion",
    "PingMs",
    "AccountSid",
    "author",
    "authority",
    "Author",
    "cardinality",
    "discarded",
    "total_tokens",
    "first_token_received",
    "CallStatus",
    "Direction",
    "username_format",
)
"""Names that look similar: their value stays."""

TO_STAY: tuple[tuple[str, Any], ...] = (
    ("CallSid", "CA" + "1" * 32),
    ("ParentCallSid", "CA" + "0f" * 16),
    ("x", "CA12345678901234567890123456789012"),
    ("RecordingSid", "RE55555555555555555555555555555555"),
    ("call_control_id", "v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ"),
    ("x", "v3:abcdefghijklmnopqrstuvwxyz0123456789"),
    ("call_leg_id", "c3f1d6a0-0000-11ef-8000-02420a0d7e70"),
    ("x", "12345678-1234-1234-1234-123456789012"),
    ("x", "c3f1d6a0-0000-11ef-8000-024201234567"),
    ("connection_id", "1700000000000000001"),
    ("ConnectionId", "1234567890"),
    ("x", "1700000000000000001"),
    ("phone_number_sid", "PN" + "2" * 32),
    ("sip_call_id", "1234567890@192.0.2.17"),
    ("x", "a84b4c76e66710@pbx.example.test"),
    ("Timestamp", "Mon, 02 Mar 2026 10:00:19 +0000"),
    ("x", "Mon, 02 Mar 2026 10:00:19 +0000"),
    ("x", "2026-03-02T10:00:19.450211Z"),
    ("x", "2026-03-02 10:00:19.450211+00:00"),
    ("x", "2026-03-02"),
    ("x", "02.03.2026"),
    ("x", "03/02/2026"),
    ("x", "20260302T100019Z"),
    ("timestamp", "1772445619"),
    ("start_time", "1772445619123"),
    ("x", "1772445619.123456"),
    ("x", "1772445619123"),
    ("x", "since 1772445619123, v20260302100019, 0x4155550142"),
    ("x", "z9hG4bK1234567890"),
    ("ApiVersion", "2010-04-01"),
    ("x", "v2.18.0"),
    ("x", "120.0.6099.129"),
    ("x", "192.168.100.101"),
    ("x", "192.168.100.101:50600"),
    ("x", "2001:db8:1234:5678::1"),
    ("price", "-0.00850000"),
    ("x", "-0.00850000"),
    ("x", "0.0085"),
    ("Duration", "49"),
    ("x", 4155550142),
    ("duration_ms", 1234567),
    ("packets_sent", "1234567"),
    ("content_length", "10485760"),
    ("SequenceNumber", "123456789"),
    ("sequence_number", "4155550"),
    ("ErrorCode", "13224"),
    ("error_code", "31600"),
    ("x", "31600"),
    ("sip_response_code", "486"),
    ("SipResponseCode", 486),
    ("x", "PCMU/8000"),
    ("x", "opus/48000/2"),
    ("x", "d41d8cd98f00b204e9800998ecf8427e"),
    ("x", "d41d8cd98f00b2041234567890123456"),
    ("content_hash", "12345678901234567890123456789012"),
    ("x", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x", "SIP: 486 Busy Here"),
    ("x", "TN-Validation-Passed-A"),
    ("x", "call-progress-events"),
    ("x", "outbound-api"),
    ("x", "hotel:5"),
    ("x", "a = b + 1"),
    ("x", "100 %"),
    ("x", "10-20-30"),
    ("x", ""),
    ("x", None),
    ("x", True),
    ("x", 0.5),
)
"""(name, value) of values that are not phone numbers: ids, times, versions, hashes, amounts, codes, codecs.

`x` is a name that says nothing.
"""
