"""What the providers hold of the calls that take place: the REST resources' contents at any moment.

The rule of this file: it is told when a call begins and ends, as it happens, and knows no callback: what the
network loses is here all the same. Time does not go back between two questions. A row that no longer changes
is made once; a call that ended long ago is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from stream.simulator.calls import delays
from stream.simulator.calls.accounts import accounts, seeded
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.delays import scaled_us
from stream.simulator.calls.options import Options
from stream.simulator.calls.scenario import SECOND_US
from stream.simulator.rest.held_call import Appearance, HeldCall, appearances
from stream.simulator.rest.sorted_rows import RowKey, SortedRows
from stream.simulator.telnyx.reports import TelnyxCall
from stream.simulator.twilio import summary
from stream.simulator.twilio.reports import TwilioCall

KEEP_S = 7200.0


def wall_us() -> int:
    """Now, microseconds since 1970."""
    return time.time_ns() // 1000


class ProviderState:
    """Both providers' records of a run's calls; what their REST servers are served from.

    `keep_s`: how long after its end a call is known, by the wall clock.
    """

    def __init__(
        self, options: Options, now_us: Callable[[], int] = wall_us, *, keep_s: float = KEEP_S
    ) -> None:
        self.twilio_account, self.telnyx_account = accounts(options, seeded(options))
        self._now_us = now_us
        self._factor = options.time_factor
        self._keep_us = int(keep_s * SECOND_US)
        self._lists = {
            name: SortedRows() for name in ("twilio_call", "telnyx_call_event", "telnyx_webhook_delivery")
        }
        self._held: dict[str, HeldCall] = {}
        self._looks: list[tuple[int, int, HeldCall]] = []
        self._looks_set = 0
        self._begun = 0
        self._last_end_us = 0

    def begun(self, call: SimulatedCall) -> None:
        """A call takes place from now on."""
        assert isinstance(call, TwilioCall | TelnyxCall)
        self._begun += 1
        held = HeldCall(call, self._begun, max(self._now_us(), call.leg.began_us))
        self._held[call.id] = held
        self._look_again(held, held.begun_us)

    def ended(self, call: SimulatedCall) -> None:
        """A call that has begun is over."""
        assert isinstance(call, TwilioCall | TelnyxCall)
        held = self._held[call.id]
        held.ended_us = max(self._now_us(), call.leg.ended_us)
        self._last_end_us = max(self._last_end_us, held.ended_us)
        # A look that was set before may be due sooner, where the end is told of ahead of its time.
        self._look_again(held, min(held.ended_us, held.looks_us or held.ended_us))

    def owed_s(self, more_s: float = 0.0) -> float:
        """Seconds until all is there of the calls that have ended so far, and `more_s` in the providers' time
        has gone by; 0 if that is so.
        """
        if not self._last_end_us:
            return 0.0
        there_us = self._last_end_us + scaled_us(delays.ALL_THERE_S + more_s, self._factor)
        return max(0.0, (there_us - self._now_us()) / SECOND_US)

    def calls(self, now_us: int) -> Sequence[dict[str, Any]]:
        """Rows of Twilio's Calls, newest first."""
        return self._list("twilio_call", now_us)

    def call(self, sid: str, now_us: int) -> dict[str, Any] | None:
        """One row of Twilio's Calls."""
        held = self._twilio(sid, now_us)
        rows = self._rows(held, "twilio_call") if held is not None else []
        return rows[0] if rows else None

    def call_events(self, sid: str, now_us: int) -> list[dict[str, Any]] | None:
        """The request log of a call as far as it is available; None: no such call."""
        held = self._twilio(sid, now_us)
        if held is None:
            return None
        there = self._after(held, now_us, delays.REQUEST_LOG_S)
        return self._read(held, "twilio_call_event", len(_call(held).requests) if there else 0)

    def insights(self, sid: str, now_us: int) -> list[dict[str, Any]] | None:
        """Voice Insights' events of a call on all edges, as far as available; None: no such call."""
        held = self._twilio(sid, now_us)
        if held is None:
            return None
        count = len(_call(held).insights) if self._after(held, now_us, delays.INSIGHTS_S) else 0
        if count and _call(held).tardy and not self._after(held, now_us, delays.INSIGHTS_LATE_S):
            count -= 1
        return self._read(held, "twilio_insights_event", count)

    def summary(self, sid: str, now_us: int) -> dict[str, Any] | None:
        """The summary of a call, partial or complete; None: not there, or not yet."""
        held = self._twilio(sid, now_us)
        if held is None or not _call(held).summaries:
            return None
        if not self._after(held, now_us, delays.PARTIAL_SUMMARY_S):
            return None
        done = self._after(held, now_us, delays.SUMMARY_S)
        version = summary.COMPLETE if done else summary.PARTIAL
        return summary.summary_row(_call(held), version)

    def telnyx_events(self, now_us: int) -> Sequence[dict[str, Any]]:
        """All rows of Telnyx' `call_events`, newest first."""
        return self._list("telnyx_call_event", now_us)

    def telnyx_leg(self, leg_id: str, now_us: int) -> list[dict[str, Any]]:
        """Those of one leg, newest first."""
        self._catch_up(now_us)
        held = self._held.get(leg_id)
        return self._rows(held, "telnyx_call_event") if held is not None else []

    def webhook_deliveries(self, now_us: int) -> Sequence[dict[str, Any]]:
        """Rows of Telnyx' `webhook_deliveries`, newest first."""
        return self._list("telnyx_webhook_delivery", now_us)

    def _list(self, source: str, now_us: int) -> SortedRows:
        self._catch_up(now_us)
        return self._lists[source]

    def _twilio(self, sid: str, now_us: int) -> HeldCall | None:
        self._catch_up(now_us)
        held = self._held.get(sid)
        known = held is not None and isinstance(held.call, TwilioCall) and held.begun_us <= now_us
        return held if known else None

    def _rows(self, held: HeldCall, source: str) -> list[dict[str, Any]]:
        places = [place for name, place in held.shown if name == source]
        return [self._lists[source].at(place) for place in sorted(places, reverse=True)]

    def _read(self, held: HeldCall, source: str, count: int) -> list[dict[str, Any]]:
        return [held.call.body(ProviderReport(source, n, 0), 1) for n in range(count)]

    def _after(self, held: HeldCall, now_us: int, seconds: float) -> bool:
        """So long after its end, in the providers' time."""
        since_us = held.since_end(now_us)
        return since_us is not None and since_us >= scaled_us(seconds, self._factor)

    def _look_again(self, held: HeldCall, at_us: int | None) -> None:
        held.looks_us = at_us
        if at_us is not None:
            self._looks_set += 1
            heappush(self._looks, (at_us, self._looks_set, held))

    def _catch_up(self, now_us: int) -> None:
        looks = self._looks
        while looks and looks[0][0] <= now_us:
            due_us, _, held = heappop(looks)
            # Another look was set since: this one is of no interest any more.
            if held.looks_us == due_us:
                self._look(held, now_us)

    def _look(self, held: HeldCall, now_us: int) -> None:
        """Show what is due of a call by now, and note when there is more."""
        forgotten_us = None if held.ended_us is None else held.ended_us + self._keep_us
        if forgotten_us is not None and forgotten_us <= now_us:
            self._forget(held)
            return
        next_us = forgotten_us
        fresh: dict[tuple[str, RowKey], Appearance] = {}
        for found in appearances(held, self._factor):
            where = (found.report.source, found.place)
            if found.due_us > now_us:
                next_us = found.due_us if next_us is None else min(next_us, found.due_us)
            elif held.shown.get(where, -1) < found.version:
                held.shown[where] = found.version
                fresh[where] = found
        for (source, place), found in fresh.items():
            self._lists[source].put(place, partial(held.call.body, found.report, found.version))
        self._look_again(held, next_us)

    def _forget(self, held: HeldCall) -> None:
        for source, place in held.shown:
            self._lists[source].drop(place)
        del self._held[held.call.id]


def _call(held: HeldCall) -> TwilioCall:
    assert isinstance(held.call, TwilioCall)
    return held.call
