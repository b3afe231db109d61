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
        (*_twilio(public_url + TWILIO_PATH), *_telnyx(public_url + TELNYX_PATH)),
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


def _twilio(url: str) -> tuple[SetupSection, ...]:
    tried = url + OVERRIDES
    return (
        SetupSection(
            "twilio",
            "Calls that you start: parameters of POST /2010-04-01/Accounts/{AccountSid}/Calls.json",
            (
                SetupEntry("StatusCallback", tried),
                SetupEntry("StatusCallbackMethod", "POST"),
                *(SetupEntry("StatusCallbackEvent", event) for event in CALL_EVENTS),
                SetupEntry("RecordingStatusCallback", tried, "if you record"),
                SetupEntry("RecordingStatusCallbackMethod", "POST"),
                SetupEntry("RecordingStatusCallbackEvent", RECORDING_EVENTS),
                SetupEntry("AsyncAmd", "true", "if you set MachineDetection"),
                SetupEntry("AsyncAmdStatusCallback", tried),
                SetupEntry("AsyncAmdStatusCallbackMethod", "POST"),
            ),
            "StatusCallbackEvent is given once for each event; without it only the end is told.",
        ),
        SetupSection(
            "twilio",
            "Legs of <Dial>, conferences and streams: attributes in your TwiML",
            (
                SetupEntry(
                    "<Number>, <Client>, <Sip>",
                    f'{_callback("statusCallback", tried)} statusCallbackEvent="{" ".join(CALL_EVENTS)}"',
                ),
                SetupEntry(
                    "<Dial>, <Record>",
                    f"{_callback('recordingStatusCallback', tried)} "
                    f'recordingStatusCallbackEvent="{RECORDING_EVENTS}"',
                    "if you record",
                ),
                SetupEntry(
                    "<Conference>",
                    f'{_callback("statusCallback", tried)} statusCallbackEvent="{CONFERENCE_EVENTS}"',
                    "what its first participant has counts for all",
                ),
                SetupEntry("<Stream>, <Siprec>", _callback("statusCallback", tried)),
                SetupEntry(
                    "<Transcription>",
                    _callback("statusCallback", tried).replace("statusCallback=", "statusCallbackUrl=", 1),
                ),
            ),
            "Never as url, action or answer URL of a call: the gateway answers without TwiML, which ends it.",
        ),
        SetupSection(
            "twilio",
            "Incoming calls: each number in the Console, or IncomingPhoneNumbers/{Sid}.json",
            (SetupEntry("StatusCallback", tried), SetupEntry("StatusCallbackMethod", "POST")),
            "It tells the end of an incoming call; its steps come from the legs that your TwiML dials.",
        ),
        SetupSection(
            "twilio",
            "Event Streams, if you use it: POST https://events.twilio.com/v1/Sinks and /v1/Subscriptions",
            (
                SetupEntry("SinkType", "webhook"),
                SetupEntry(
                    "SinkConfiguration",
                    f'{{"destination": "{url}{EVENT_STREAMS_PATH}", "method": "POST", "batch_events": true}}',
                ),
                *(SetupEntry("Types", f'{{"type": "{kind}"}}') for kind in STREAM_TYPES),
            ),
            "No connection overrides: Twilio retries by itself for hours. Status callbacks come this way "
            "only of calls that have a StatusCallback too.",
        ),
        SetupSection(
            "twilio",
            "Debugger webhook",
            (SetupEntry("Webhook URL", "", "leave it as it is"),),
            "Its events belong to no call: here each would be a dead letter.",
        ),
    )


def _callback(name: str, url: str) -> str:
    return f'{name}="{url.replace("&", "&amp;")}" {name}Method="POST"'


def _telnyx(url: str) -> tuple[SetupSection, ...]:
    return (
        SetupSection(
            "telnyx",
            "Voice API (Call Control) application",
            (
                SetupEntry("webhook_event_url", url),
                SetupEntry(
                    "webhook_event_failover_url",
                    "",
                    "a second gateway's, if there is one: what both receive is one event",
                ),
                SetupEntry("webhook_api_version", "2", "the signature of version 1 cannot be checked"),
                SetupEntry("webhook_timeout_secs", "", "as it is, or 2 and more"),
                SetupEntry("call_cost_in_webhooks", "true", "if you want what a call cost"),
            ),
            "Commands that name a webhook_url of their own: leave webhook_url_method at POST.",
        ),
        SetupSection(
            "telnyx",
            "TeXML application",
            (
                SetupEntry("status_callback", url),
                SetupEntry("status_callback_method", "post"),
                SetupEntry("voice_url", "", "stays with your application, as does voice_fallback_url"),
            ),
            "The statusCallback attributes in TeXML take the same URL.",
        ),
    )


def _settings(public_url: str, settings: GatewaySettings) -> tuple[SetupSetting, ...]:
    def state(value: object) -> str:
        return "set" if value else "not set"

    same = settings.public_url.rstrip("/") == public_url
    return (
        SetupSetting(
            "CALLSTREAM_PUBLIC_URL",
            public_url,
            "set" if same else "differs" if settings.public_url else "not set",
        ),
        SetupSetting(
            "CALLSTREAM_TWILIO_ACCOUNT_SID", "the account's SID, AC…", state(settings.twilio_account_sid)
        ),
        SetupSetting(
            "CALLSTREAM_TWILIO_AUTH_TOKEN",
            "its primary auth token (or …_FILE); both while rotating",
            state(settings.twilio_auth_token),
        ),
        SetupSetting(
            "CALLSTREAM_TWILIO_ACCOUNT_TOKENS",
            "AC…=token of each subaccount (or …_FILE), if there are any",
            state(settings.twilio_account_tokens),
        ),
        SetupSetting(
            "CALLSTREAM_TELNYX_PUBLIC_KEY",
            "the public key that Mission Control shows",
            state(settings.telnyx_public_key),
        ),
        SetupSetting(
            "CALLSTREAM_UNSIGNED_CALLBACKS",
            "refuse",
            "set" if settings.unsigned_callbacks == "refuse" else "differs",
        ),
        SetupSetting("CALLSTREAM_GATEWAY_LISTEN", "where your proxy sends to", settings.gateway_listen),
    )
