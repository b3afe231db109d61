"""What the REST side serves from, whoever knows the calls.

The rule of this file: it says what there is, not how it is asked for. Rows are as the providers write them.
Newest first means: by `date_created`, `event_timestamp` and `started_at`; a row whose time comes late stands
in its place. A sequence may make its rows when they are looked at: few of them are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class ProviderResources(Protocol):
    """What the resources hold at this moment (microseconds since 1970, wall clock)."""

    twilio_account: str
    telnyx_account: str

    def calls(self, now_us: int) -> Sequence[dict[str, Any]]:
        """Rows of Calls.json, newest first."""

    def call(self, sid: str, now_us: int) -> dict[str, Any] | None:
        """One row."""

    def call_events(self, sid: str, now_us: int) -> list[dict[str, Any]] | None:
        """Request log rows that are available already; None: no such call."""

    def insights(self, sid: str, now_us: int) -> list[dict[str, Any]] | None:
        """Rows of all edges that are available already; None: no such call."""

    def summary(self, sid: str, now_us: int) -> dict[str, Any] | None:
        """Partial or complete row; None: not there (yet)."""

    def telnyx_events(self, now_us: int) -> Sequence[dict[str, Any]]:
        """All call_events rows, newest first."""

    def telnyx_leg(self, leg_id: str, now_us: int) -> list[dict[str, Any]]:
        """Those of one leg (fast path of filter[leg_id])."""

    def webhook_deliveries(self, now_us: int) -> Sequence[dict[str, Any]]:
        """Newest first."""
