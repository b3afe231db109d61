"""Calls of known shape, and the provider state after they took place."""

from __future__ import annotations

import random
from collections.abc import Callable

from stream.simulator.calls.options import Options
from stream.simulator.calls.scenario import CallLeg, legs
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.fake_poller import START_US, Clock

LIVE = Options(calls=None, rate=10, served=True, start_us=START_US)
FAST = Options(calls=None, rate=10, served=True, start_us=START_US, time_factor=60)


def first_leg(wanted: Callable[[CallLeg], bool]) -> CallLeg:
    """The first such leg; it begins at START_US."""
    rng = random.Random(5)
    while True:
        found = legs(rng, START_US, 0.2)[0]
        if wanted(found):
            return found


def answered(found: CallLeg) -> bool:
    return found.ringing_us is not None and 5 < found.talk_s < 60


def twilio_call(
    wanted: Callable[[CallLeg], bool] = answered, options: Options = LIVE, *, late_insights: bool = False
) -> TwilioCall:
    rng = random.Random(7)
    while True:
        call = TwilioCall(rng, "AC1", first_leg(wanted), None, options)
        if call.has_late_insights is late_insights:
            return call


def telnyx_call(*, failing: float = 0.0, options: Options = LIVE) -> TelnyxCall:
    found = Options(calls=None, rate=10, served=True, failing_webhooks=failing, sources=options.sources)
    return TelnyxCall(random.Random(7), "account", first_leg(answered), "session", found)


def state_of(call: TwilioCall | TelnyxCall, options: Options = LIVE) -> ProviderState:
    """A state in which the call has taken place at its own times."""
    clock = Clock(call.leg.began_us)
    state = ProviderState(options, clock)
    state.begun(call)
    clock.now_us = call.leg.ended_us
    state.ended(call)
    return state
