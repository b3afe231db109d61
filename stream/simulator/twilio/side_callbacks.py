"""Twilio's callbacks beside call progress: recordings, who answered, conferences, streams, transcriptions.

Which ones a call has follows from its id alone, so they take no draw of the run's randomness.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.provider_api.time_formats import iso_ms, rfc2822
from stream.simulator.calls import planted
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.scenario import SECOND_US
from stream.simulator.calls.seeded_random import between_us

RECORDING, AMD = "twilio_recording_callback", "twilio_amd_callback"
CONFERENCE, OTHER = "twilio_conference_callback", "twilio_other_callback"


class SideCallback(NamedTuple):
    """One callback.

    - `family`, `name`, `number`: of its event; `identity`: what tells it from the call's others.
    - `stream_type`: the end of its type in Event Streams.
    - `own`: its parameters beside the ids of call and account.
    """

    source: str
    at_us: int
    family: str
    name: str
    number: int | None
    identity: tuple[Any, ...]
    stream_type: str
    own: dict[str, str]


def side_callbacks(call: SimulatedCall, parent: str | None) -> list[SideCallback]:
    """All of a call, in the order in which they are sent. A call that nobody answered has none."""
    leg, rng = call.leg, random.Random(f"side callbacks of {call.id}")
    if leg.answered_us is None:
        return []
    chances = [rng.random() for _ in range(5)]
    found: list[SideCallback] = []
    if leg.direction == "outbound-api" and chances[0] < 0.15:
        found.append(_amd(rng, leg.answered_us))
    if parent is None and chances[1] < 0.2:  # a child's recording is its parent's
        found += _recording(rng, leg.answered_us, leg.ended_us, leg.talk_s)
    if chances[2] < 0.05:
        found += _conference(rng, leg.answered_us, leg.ended_us)
    if chances[3] < 0.05:
        found += _stream(rng, leg.answered_us, leg.ended_us)
    if chances[4] < 0.04:
        found += _transcription(rng, leg.answered_us)
    return sorted(found, key=lambda callback: callback.at_us)


def side_form(call: SimulatedCall, callback: SideCallback) -> dict[str, str]:
    """The form of a callback; every value is a text."""
    more = {} if call.planted is None else call.planted.fill(planted.SIDE_CALLBACK)
    return {"CallSid": call.id, "AccountSid": call.account, **callback.own, **more}


def _sid(rng: random.Random, prefix: str) -> str:
    return f"{prefix}{rng.getrandbits(128):032x}"


def _amd(rng: random.Random, answered_us: int) -> SideCallback:
    took_ms = rng.randrange(1500, 4000)
    own = {
        "AnsweredBy": rng.choice(("human", "machine_start", "fax", "unknown")),
        "MachineDetectionDuration": str(took_ms),
    }
    return SideCallback(AMD, answered_us + took_ms * 1000, "amd", "amd", None, (), "amd.detected", own)


def _recording(rng: random.Random, began_us: int, ended_us: int, talk_s: int) -> list[SideCallback]:
    """One in ten has no recording in the end; one in three is told of from its beginning."""
    sid = _sid(rng, "RE")
    common = {"RecordingSid": sid, "RecordingSource": "StartCallRecordingAPI", "RecordingChannels": "2"}
    known = {"RecordingStartTime": rfc2822(began_us), "RecordingTrack": "both"}
    end: tuple[str, dict[str, str]] = ("completed", {**known, "RecordingDuration": str(talk_s)})
    if rng.random() < 0.1:
        end = ("absent", {"RecordingDuration": "0"})
    steps = [(ended_us + between_us(rng, 1, 8), *end)]
    if rng.random() < 0.3:
        steps.insert(0, (began_us + 100_000, "in-progress", known))
    return [
        SideCallback(
            RECORDING,
            at_us,
            "recording",
            status,
            None,
            (sid, status),
            "recording.processed",
            {**common, **own, "RecordingStatus": status},
        )
        for at_us, status, own in steps
    ]


def _conference(rng: random.Random, answered_us: int, ended_us: int) -> list[SideCallback]:
    """The participant joins and leaves. The numbers are those of the conference, in which others join too."""
    sid, first = _sid(rng, "CF"), rng.randrange(1, 5)
    common = {"ConferenceSid": sid, "FriendlyName": "room", "Muted": "false", "Hold": "false"}
    steps = [(first, "participant-join", answered_us + 500_000), (first + 3, "participant-leave", ended_us)]
    return [
        SideCallback(
            CONFERENCE,
            at_us,
            "conference",
            name,
            number,
            (sid, number, name),
            "conference.participant.updated",
            {
                **common,
                "StatusCallbackEvent": name,
                "SequenceNumber": str(number),
                "Timestamp": rfc2822(at_us),
            },
        )
        for number, name, at_us in steps
    ]


def _stream(rng: random.Random, answered_us: int, ended_us: int) -> list[SideCallback]:
    sid = _sid(rng, "MZ")
    return [
        SideCallback(
            OTHER,
            at_us,
            "media",
            name,
            None,
            (sid, name, at_us // 1000 * 1000, None),
            "stream.updated",
            {"StreamSid": sid, "StreamEvent": name, "Timestamp": iso_ms(at_us)},
        )
        for name, at_us in (("stream-started", answered_us + 200_000), ("stream-stopped", ended_us))
    ]


_SAID = {"TranscriptionData": '{"transcript": "good morning", "confidence": 0.93}', "Final": "true"}


def _transcription(rng: random.Random, answered_us: int) -> list[SideCallback]:
    sid = _sid(rng, "GT")
    names = ("transcription-started", "transcription-content", "transcription-stopped")
    steps = [(n, name, answered_us + n * SECOND_US) for n, name in enumerate(names, 1)]
    return [
        SideCallback(
            OTHER,
            at_us,
            "transcription",
            name,
            None,
            (sid, name, n, None),
            "transcription.processed",
            {
                "TranscriptionSid": sid,
                "TranscriptionEvent": name,
                "SequenceId": str(n),
                "Timestamp": iso_ms(at_us),
                **(_SAID if name == names[1] else {}),
            },
        )
        for n, name, at_us in steps
    ]
