"""What the providers know of the calls: the REST resources' contents at any moment.

It is told when a call begins and ends, and knows nothing of callbacks, so that what the network loses is here
all the same. Time must not go back between two reads. A row that no longer changes is made once; a call that
ended long ago is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush

from stream.provider_api.http_types import Row
from stream.simulator.calls.call import (
    ALL_THERE_S,
    INSIGHTS_LATE_S,
    INSIGHTS_S,
    PARTIAL_SUMMARY_S,
    REQUEST_LOG_S,
    SUMMARY_S,
    ProviderReport,
    SimulatedCall,
    scaled_us,
)
from stream.simulator.calls.options import Options
from stream.simulator.calls.scenario import SECOND_US
from stream.simulator.calls.seeded_random import run_accounts, seeded
from stream.simulator.calls.wall_clock import wall_us
from stream.simulator.rest.held_call import Appearance, HeldCall, appearances
from stream.simulator.rest.sorted_rows import RowKey, SortedRows
from stream.simulator.twilio.call import TwilioCall
from stream.simulator.twilio.voice_insights import COMPLETE, PARTIAL, summary_row

KEEP_S = 7200.0


class ProviderState:
    """Both providers' records of a run's calls: the ProviderResources that the REST server serves.

    `keep_s`: how long a call is known after its end, by the wall clock.
    """

    def __init__(
        self, options: Options, now_us: Callable[[], int] = wall_us, *, keep_s: float = KEEP_S
    ) -> None:
        self.twilio_account, self.telnyx_account = run_accounts(options, seeded(options))
        self._now_us = now_us
        self._factor = options.time_factor
        self._sources = options.sources
        self._keep_us = int(keep_s * SECOND_US)
        self._lists = {
            name: SortedRows()
            for name in ("twilio_call", "twilio_alert", "telnyx_call_event", "telnyx_webhook_delivery")
        }
        self._held: dict[str, HeldCall] = {}
        self._alerts: dict[str, tuple[HeldCall, int]] = {}
        self._due: list[tuple[int, int, HeldCall]] = []
        self._scheduled = 0
        self._begun = 0
        self._last_end_us = 0

    def begun(self, call: SimulatedCall) -> None:
        """A call takes place from now on."""
        self._begun += 1
        held = HeldCall(call, self._begun, max(self._now_us(), call.leg.began_us))
        self._held[call.id] = held
        if isinstance(call, TwilioCall):
            self._alerts.update((entry.sid, (held, n)) for n, entry in enumerate(call.errors))
        self._schedule(held, held.begun_us)

    def ended(self, call: SimulatedCall) -> None:
        """A call that has begun is over."""
        held = self._held[call.id]
        held.ended_us = max(self._now_us(), call.leg.ended_us)
        self._last_end_us = max(self._last_end_us, held.ended_us)
        # More may be due earlier, if the end is told of ahead of its time.
        self._schedule(held, min(held.ended_us, held.due_us or held.ended_us))

    def owed_s(self, more_s: float = 0.0) -> float:
        """Seconds until everything can be read of the calls that have ended so far, and `more_s` in the
        providers' time has passed; 0 if that is so.
        """
        if not self._last_end_us:
            return 0.0
        there_us = self._last_end_us + scaled_us(ALL_THERE_S + more_s, self._factor)
        return max(0.0, (there_us - self._now_us()) / SECOND_US)

    def calls(self, now_us: int) -> Sequence[Row]:
        self._catch_up(now_us)
        return self._lists["twilio_call"]

    def call(self, sid: str, now_us: int) -> Row | None:
        found = self._twilio(sid, now_us)
        rows = self._rows(found[0], "twilio_call") if found is not None else []
        return rows[0] if rows else None

    def call_events(self, sid: str, now_us: int) -> list[Row] | None:
        found = self._twilio(sid, now_us)
        if found is None:
            return None
        held, call = found
        there = self._is_after(held, now_us, REQUEST_LOG_S)
        return _bodies(call, "twilio_call_event", len(call.requests) if there else 0)

    def insights(self, sid: str, now_us: int) -> list[Row] | None:
        found = self._twilio(sid, now_us)
        if found is None:
            return None
        held, call = found
        count = len(call.insights) if self._is_after(held, now_us, INSIGHTS_S) else 0
        if count and call.has_late_insights and not self._is_after(held, now_us, INSIGHTS_LATE_S):
            count -= 1
        return _bodies(call, "twilio_insights_event", count)

    def summary(self, sid: str, now_us: int) -> Row | None:
        found = self._twilio(sid, now_us)
        if found is None:
            return None
        held, call = found
        if not call.summaries or not self._is_after(held, now_us, PARTIAL_SUMMARY_S):
            return None
        return summary_row(call, COMPLETE if self._is_after(held, now_us, SUMMARY_S) else PARTIAL)

    def alerts(self, now_us: int) -> Sequence[Row]:
        self._catch_up(now_us)
        return self._lists["twilio_alert"] if "twilio_alert" in self._sources else []

    def alert(self, sid: str, now_us: int) -> Row | None:
        self._catch_up(now_us)
        held, number = self._alerts.get(sid, (None, 0))
        if "twilio_alert" not in self._sources or held is None or number not in self._shown_errors(held):
            return None
        return held.call.body(ProviderReport("twilio_alert", number, 0), 1)

    def notifications(self, sid: str, now_us: int) -> list[Row] | None:
        found = self._twilio(sid, now_us)
        if found is None:
            return None
        held, call = found
        shown = self._shown_errors(held) if "twilio_notification" in self._sources else []
        return [call.body(ProviderReport("twilio_notification", n, 0), 1) for n in shown]

    def telnyx_events(self, now_us: int) -> Sequence[Row]:
        self._catch_up(now_us)
        return self._lists["telnyx_call_event"]

    def telnyx_leg(self, leg_id: str, now_us: int) -> list[Row]:
        self._catch_up(now_us)
        held = self._held.get(leg_id)
        return self._rows(held, "telnyx_call_event") if held is not None else []

    def webhook_deliveries(self, now_us: int) -> Sequence[Row]:
        self._catch_up(now_us)
        return self._lists["telnyx_webhook_delivery"]

    def _twilio(self, sid: str, now_us: int) -> tuple[HeldCall, TwilioCall] | None:
        self._catch_up(now_us)
        held = self._held.get(sid)
        if held is None or held.begun_us > now_us or not isinstance(held.call, TwilioCall):
            return None
        return held, held.call

    def _rows(self, held: HeldCall, source: str) -> list[Row]:
        keys = [key for name, key in held.shown if name == source]
        return [self._lists[source].at(key) for key in sorted(keys, reverse=True)]

    def _shown_errors(self, held: HeldCall) -> list[int]:
        """The numbers of a call's errors that have appeared."""
        return sorted(key[1] - 32 * held.number for source, key in held.shown if source == "twilio_alert")

    def _is_after(self, held: HeldCall, now_us: int, seconds: float) -> bool:
        """Whether the call ended at least this long ago, in the providers' time."""
        return held.ended_us is not None and now_us - held.ended_us >= scaled_us(seconds, self._factor)

    def _schedule(self, held: HeldCall, at_us: int | None) -> None:
        held.due_us = at_us
        if at_us is not None:
            self._scheduled += 1
            heappush(self._due, (at_us, self._scheduled, held))

    def _catch_up(self, now_us: int) -> None:
        while self._due and self._due[0][0] <= now_us:
            due_us, _, held = heappop(self._due)
            if held.due_us == due_us:  # otherwise it was rescheduled since
                self._update(held, now_us)

    def _update(self, held: HeldCall, now_us: int) -> None:
        """Show what has appeared of a call by now, and schedule what has not."""
        forgotten_us = None if held.ended_us is None else held.ended_us + self._keep_us
        if forgotten_us is not None and forgotten_us <= now_us:
            self._forget(held)
            return
        next_us = forgotten_us
        fresh: dict[tuple[str, RowKey], Appearance] = {}
        for found in appearances(held, self._factor):
            where = (found.report.source, found.key)
            if found.due_us > now_us:
                next_us = found.due_us if next_us is None else min(next_us, found.due_us)
            elif held.shown.get(where, -1) < found.version:
                held.shown[where] = found.version
                fresh[where] = found
        for (source, key), found in fresh.items():
            self._lists[source].put(key, partial(held.call.body, found.report, found.version))
        self._schedule(held, next_us)

    def _forget(self, held: HeldCall) -> None:
        for source, key in held.shown:
            self._lists[source].drop(key)
        del self._held[held.call.id]
        if isinstance(held.call, TwilioCall):
            for entry in held.call.errors:
                del self._alerts[entry.sid]


def _bodies(call: TwilioCall, source: str, count: int) -> list[Row]:
    return [call.body(ProviderReport(source, n, 0), 1) for n in range(count)]
