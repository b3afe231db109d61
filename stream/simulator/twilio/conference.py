"""A conference as Twilio reports it beside its participants: when it begins and when it ends.

These callbacks name no call, so their key is the conference's own.
"""

from __future__ import annotations

import random
from typing import Any

from stream.provider_api.time_formats import rfc2822
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import Options
from stream.simulator.twilio.call import TwilioCall
from stream.simulator.twilio.side_callbacks import CONFERENCE, SideCallback


class TwilioConference(SimulatedCall):
    """`steps`: (name, number within the conference, time) of its callbacks; `leg`: a participant's."""

    provider = "twilio"

    def __init__(self, participant: TwilioCall, joined: SideCallback, options: Options) -> None:
        self.sid = joined.own["ConferenceSid"]
        super().__init__(f"conference:{self.sid}", participant.account, participant.leg, options)
        self.planted = None
        self._nonce = random.Random(self.sid).getrandbits(96)
        number = joined.number or 0
        self.steps = [
            ("conference-start", number + 1, joined.at_us + 100_000),
            ("conference-end", number + 4, self.leg.ended_us + 100_000),
        ]

    def reports(self) -> list[ProviderReport]:
        return [ProviderReport(CONFERENCE, n, at_us) for n, (_, _, at_us) in enumerate(self.steps)]

    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        name, number, at_us = self.steps[report.number]
        return {
            "ConferenceSid": self.sid,
            "AccountSid": self.account,
            "FriendlyName": "room",
            "StatusCallbackEvent": name,
            "SequenceNumber": str(number),
            "Timestamp": rfc2822(at_us),
        }

    def endpoint(self, source: str) -> str:
        return "/callbacks/twilio"

    def token(self, report: ProviderReport, attempt: int) -> str | None:
        return f"{self._nonce + 16 * report.number + attempt // 3:032x}"


def conferences_of(call: TwilioCall, options: Options) -> list[SimulatedCall]:
    """The conference that a call joins, if it joins one."""
    joined = [side for side in call.sides if side.name == "participant-join"]
    return [TwilioConference(call, side, options) for side in joined]
