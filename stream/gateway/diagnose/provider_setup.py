"""What to type at Twilio and Telnyx, and into the settings, for a gateway at a public URL.

Pure. Of a secret only whether it is set is shown. A value is written as it has to be typed: TwiML is XML,
where `&` is `&amp;`. (Twilio: "Call resource", "TwiML <Dial>, <Conference>, <Stream>", "Webhook connection
overrides", "Sink resource"; Telnyx: "Call Control applications", "TeXML applications".)
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from stream.gateway.receive.source_detection import EVENT_STREAMS_PATH
from stream.service.settings import GatewaySettings

TWILIO_PATH = "/callbacks/twilio"
TELNYX_PATH = "/callbacks/telnyx"

OVERRIDES = "#rc=3&rp=all&rt=5000"
"""By default Twilio retries once, and only where it cannot connect. With these it retries three times,
whatever went wrong. They are neither sent nor signed."""

CALL_EVENTS = ("initiated", "ringing", "answered", "completed")
RECORDING_EVENTS = "in-progress completed absent"
CONFERENCE_EVENTS = "start end join leave mute hold modify speaker announcement"

STREAM_TYPES = (
    *(f"com.twilio.voice.status-callback.call.{event}" for event in CALL_EVENTS),
    "com.twilio.voice.insights.call-summary.complete",
)


class SetupEntry(NamedTuple):
    """One thing to type: its name there, the value, and what else to know."""

    name: str
    value: str
    note: str = ""


class SetupSection(NamedTuple):
    provider: str
    title: str
    entries: tuple[SetupEntry, ...]
    note: str = ""


class SetupSetting(NamedTuple):
    """A setting of callstream: what belongs there, and whether it is there (`set, not set, differs`)."""

    name: str
    value: str
    state: str


@dataclass(frozen=True, slots=True)
class ProviderSetup:
    public_url: str
    sections: tuple[SetupSection, ...]
    settings: tuple[SetupSetting, ...]
    concerns: tuple[str, ...]


def setup(public_url: str, settings: GatewaySettings) -> ProviderSetup:
    """`public_url` as the setting of that name takes it."""
    public_url = public_url.rstrip("/")
    return ProviderSetup(
        public_url,
        tuple(
            SetupSection(provider, title, tuple(SetupEntry(*row) for row in rows), note)
            for provider, sections in (
                ("twilio", _twilio(public_url + TWILIO_PATH)),
                ("telnyx", _telnyx(public_url + TELNYX_PATH)),
            )
            for title, note, rows in sections
        ),
        _settings(public_url, settings),
        tuple(concerns(public_url)),
    )


def concerns(public_url: str) -> list[str]:
    """What speaks against a public URL, as sentences."""
    parts = urlsplit(public_url)
    host = (parts.hostname or "").lower()
    found = []
    if parts.scheme != "https":
        found.append("It is not https: numbers and signatures would travel in the clear.")
    if "_" in host:
        found.append("Its host has an underscore, which Twilio does not take.")
    if not _is_public(host):
        found.append("Its host is one of a private network: no provider can reach it.")
    if "/callbacks" in parts.path:
        found.append("It has the path of the callbacks in it: it ends before /callbacks.")
    return found


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".")
        return "." in name and not name.endswith((".local", ".internal", ".localhost", ".lan"))


_Section = tuple[str, str, list[tuple[str, ...]]]
"""Title, note, and the entries."""


def _twilio(url: str) -> list[_Section]:
    tried = url + OVERRIDES
    events, recording = " ".join(CALL_EVENTS), f'recordingStatusCallbackEvent="{RECORDING_EVENTS}"'
    status = _callback("statusCallback", tried)
    sink = f'{{"destination": "{url}{EVENT_STREAMS_PATH}", "method": "POST", "batch_events": true}}'
    return [
        (
            "Calls that you start: parameters of POST /2010-04-01/Accounts/{AccountSid}/Calls.json",
            "StatusCallbackEvent is given once for each event; without it only the end is told.",
            [
                ("StatusCallback", tried),
                ("StatusCallbackMethod", "POST"),
                *(("StatusCallbackEvent", event) for event in CALL_EVENTS),
                ("RecordingStatusCallback", tried, "if you record"),
                ("RecordingStatusCallbackMethod", "POST"),
                ("RecordingStatusCallbackEvent", RECORDING_EVENTS),
                ("AsyncAmd", "true", "if you set MachineDetection"),
                ("AsyncAmdStatusCallback", tried),
                ("AsyncAmdStatusCallbackMethod", "POST"),
            ],
        ),
        (
            "Legs of <Dial>, conferences and streams: attributes in your TwiML",
            "Never as url, action or answer URL of a call: the gateway answers without TwiML, which ends it.",
            [
                ("<Number>, <Client>, <Sip>", f'{status} statusCallbackEvent="{events}"'),
                (
                    "<Dial>, <Record>",
                    f"{_callback('recordingStatusCallback', tried)} {recording}",
                    "if you record",
                ),
                (
                    "<Conference>",
                    f'{status} statusCallbackEvent="{CONFERENCE_EVENTS}"',
                    "what its first participant has counts for all",
                ),
                ("<Stream>, <Siprec>", status),
                ("<Transcription>", status.replace("statusCallback=", "statusCallbackUrl=", 1)),
            ],
        ),
        (
            "Incoming calls: each number in the Console, or IncomingPhoneNumbers/{Sid}.json",
            "It tells the end of an incoming call; its steps come from the legs that your TwiML dials.",
            [("StatusCallback", tried), ("StatusCallbackMethod", "POST")],
        ),
        (
            "Event Streams, if you use it: POST https://events.twilio.com/v1/Sinks and /v1/Subscriptions",
            "No connection overrides: Twilio retries by itself for hours. Status callbacks come this way "
            "only of calls that have a StatusCallback too.",
            [
                ("SinkType", "webhook"),
                ("SinkConfiguration", sink),
                *(("Types", f'{{"type": "{kind}"}}') for kind in STREAM_TYPES),
            ],
        ),
        (
            "Debugger, in the Console alone (Monitor > Debugger), once for each account",
            "It tells within seconds which requests your application failed.",
            [("Webhook URL", url)],
        ),
    ]


def _callback(name: str, url: str) -> str:
    return f'{name}="{url.replace("&", "&amp;")}" {name}Method="POST"'


def _telnyx(url: str) -> list[_Section]:
    second = "a second gateway's, if there is one: what both receive is one event"
    return [
        (
            "Voice API (Call Control) application",
            "Commands that name a webhook_url of their own: leave webhook_url_method at POST.",
            [
                ("webhook_event_url", url),
                ("webhook_event_failover_url", "", second),
                ("webhook_api_version", "2", "the signature of version 1 cannot be checked"),
                ("webhook_timeout_secs", "", "as it is, or 2 and more"),
                ("call_cost_in_webhooks", "true", "if you want what a call cost"),
            ],
        ),
        (
            "TeXML application",
            "The statusCallback attributes in TeXML take the same URL.",
            [
                ("status_callback", url),
                ("status_callback_method", "post"),
                ("voice_url", "", "stays with your application, as does voice_fallback_url"),
            ],
        ),
    ]


def _settings(public_url: str, settings: GatewaySettings) -> tuple[SetupSetting, ...]:
    url = "not set"
    if settings.public_url:
        url = "set" if settings.public_url.rstrip("/") == public_url else "differs"
    secrets = {
        "TWILIO_ACCOUNT_SID": "the account's SID, AC…",
        "TWILIO_AUTH_TOKEN": "its primary auth token (or …_FILE); both while rotating",
        "TWILIO_ACCOUNT_TOKENS": "AC…=token of each subaccount (or …_FILE), if there are any",
        "TELNYX_PUBLIC_KEY": "the public key that Mission Control shows",
    }
    refused = "set" if settings.unsigned_callbacks == "refuse" else "differs"
    return (
        SetupSetting("CALLSTREAM_PUBLIC_URL", public_url, url),
        *(
            SetupSetting(f"CALLSTREAM_{name}", value, "set" if getattr(settings, name.lower()) else "not set")
            for name, value in secrets.items()
        ),
        SetupSetting("CALLSTREAM_UNSIGNED_CALLBACKS", "refuse", refused),
        SetupSetting("CALLSTREAM_GATEWAY_LISTEN", "where your proxy sends to", settings.gateway_listen),
    )
