"""A call of a Telnyx TeXML application: Twilio's forms with Telnyx' ids, its times and its signature.

Only the last callback names the Call Control leg and the session.
"""

from __future__ import annotations

import random
from typing import Any

from stream.provider_api.time_formats import iso
from stream.simulator.calls import planted
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import Options
from stream.simulator.calls.scenario import CallLeg
from stream.simulator.calls.seeded_random import uuid_text
from stream.simulator.twilio.callbacks import status_callbacks

SOURCE = "telnyx_texml_callback"


class TexmlCall(SimulatedCall):
    """`leg_id`: the Call Control leg of the call."""

    provider = "telnyx"

    def __init__(
        self,
        rng: random.Random,
        account: str,
        leg: CallLeg,
        session: str,
        parent: str | None,
        options: Options,
    ) -> None:
        super().__init__(f"v3:{rng.getrandbits(256):064x}", account, leg, options)
        self.session = session
        self.parent = parent
        self.leg_id = uuid_text(rng)
        self.callbacks = status_callbacks(rng, leg)
        self._sends = SOURCE in options.sources

    def reports(self) -> list[ProviderReport]:
        sent = self.callbacks if self._sends else []
        return [ProviderReport(SOURCE, n, callback.at_us) for n, callback in enumerate(sent)]

    def body(self, report: ProviderReport, attempt: int) -> dict[str, Any]:
        sent, leg = self.callbacks[report.number], self.leg
        form = {
            "AccountSid": self.account,
            "CallSid": self.id,
            "CallSidLegacy": self.id,
            "ConnectionId": "1700000000000000002",
            "From": leg.caller.text,
            "To": leg.callee.text,
            "Direction": leg.direction,
            "CallInitiatedAt": iso(leg.began_us),
            "CallbackSource": "call-progress-events",
            "CallStatus": sent.status,
            "Timestamp": iso(sent.at_us),
        }
        if sent.number is not None:
            form["SequenceNumber"] = str(sent.number)
        if self.parent is not None:
            form["ParentCallSid"] = self.parent
        if sent.status == leg.ending.status:
            form |= {
                "CallDuration": str(leg.talk_s),
                "CallLegId": self.leg_id,
                "CallSessionId": self.session,
                "CallControlId": self.id,
                "HangupCause": leg.ending.cause,
                "HangupSource": "caller" if sent.status == "canceled" else "callee",
            }
            if leg.ending.sip is not None:
                form["SipHangupCause"] = str(leg.ending.sip)
        return form if self.planted is None else form | self.planted.fill(planted.SIDE_CALLBACK)

    def endpoint(self, source: str) -> str:
        return "/callbacks/telnyx"
