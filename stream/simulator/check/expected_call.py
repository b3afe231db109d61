"""What must come out of one call, and what its endpoints answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.planted import BY_NUMBER
from stream.simulator.check.delivery_truth import DeliveryTruth, said_of, truth_of
from stream.simulator.check.event_ids import bare_url, event_id_of

NOTHING: Mapping[str, Any] = {}


class ExpectedEvent(NamedTuple):
    """An event that must come out exactly once. `status` and `number` are None if it has none.

    - `name`: empty if it is the provider's own and does not matter.
    - `says`: what else it must say, by the names of its fields.
    """

    id: str
    key: str
    family: str
    name: str
    status: str | None = None
    number: int | None = None
    says: Mapping[str, Any] = NOTHING


class ExpectedAlert(NamedTuple):
    """An alert that must have fired, and must not be retracted."""

    rule: str
    scope: str


class Answer(NamedTuple):
    """What an endpoint answered: its scope, the minute since 1970, whether it failed."""

    scope: str
    minute: int
    failed: bool


class ExpectedCall(NamedTuple):
    """What must come out of one call. `status` and `outcome` are None if no report said that it ended.

    - `parent`: the key of the call that must know this one as its child, None without a report that names it.
    - `delivery`: None where it is not told.
    - `fault`: whose fault its end was, None if it succeeded; `won_over`: the keys of calls that were dialled
      with it, if reports said that it was answered.
    - `says`: what else the record of its end must say, by the names in `facts_of`.
    """

    key: str
    events: list[ExpectedEvent]
    status: str | None
    outcome: str | None
    alerts: list[ExpectedAlert]
    answers: list[Answer]
    parent: str | None = None
    delivery: DeliveryTruth | None = None
    fault: str | None = None
    won_over: tuple[str, ...] = ()
    says: Mapping[str, Any] = NOTHING


class CallOutputs:
    """Collects the outputs of a call of which these reports arrived."""

    def __init__(self, call: SimulatedCall, delivered: Set[tuple[str, int]]) -> None:
        self.call = call
        self.events: list[ExpectedEvent] = []
        self.answers: list[Answer] = []
        self._errors = False
        self._delivered = delivered

    def numbers(self, source: str) -> list[int]:
        """The numbers of a source's reports that arrived, in order."""
        return sorted(number for name, number in self._delivered if name == source)

    def event(
        self,
        report: tuple[str, int],
        family: str,
        name: str,
        status: str | None = None,
        number: int | None = None,
        *,
        error: bool = False,
        **says: Any,
    ) -> None:
        """Expect an event and what else it `says`; an `error` raises an alert."""
        call = self.call
        says.setdefault("call_id", call.id)
        if call.provider == "twilio":  # which account a Telnyx webhook is of, only settings say
            says["account"] = call.account
        id_ = event_id_of(call, *report)
        self.events.append(ExpectedEvent(id_, call.key, family, name, status, number, says))
        self._errors |= error

    def answer(self, url: str, at_us: int, *, failed: bool) -> None:
        """Expect an endpoint's answer to be counted. Its scope is the URL without user info and query.

        One that has the caller's number in its path has few answers, and is another scope in each call.
        """
        scope = f"{self.call.provider}:endpoint:{self.call.account}:{bare_url(url)}"
        if BY_NUMBER not in scope:
            self.answers.append(Answer(scope, at_us // 60_000_000, failed))

    def ended(
        self,
        status: str | None,
        outcome: str | None,
        *,
        directed: object,
        leg_id: str | None = None,
        parent: str | None = None,
        fault: str | None = None,
        recordings: Iterable[str] = (),
        **says: Any,
    ) -> ExpectedCall:
        """`directed`: whether a report told the call's direction, which names its parent, too. `says`: what
        else the record of the end says.
        """
        call, alerts = self.call, []
        if status == "failed":
            alerts.append(ExpectedAlert("call.failed", call.key))
        elif self._errors:
            alerts.append(ExpectedAlert("call.error_event", call.key))
        parent = parent if directed else None
        if call.provider == "twilio":
            says["account"] = call.account
        return ExpectedCall(
            call.key,
            self.events,
            status,
            outcome,
            alerts,
            self.answers,
            parent=f"{call.provider}:{parent}" if parent is not None else None,
            delivery=truth_of(call, self._delivered),
            fault=fault,
            says={
                **says,
                "direction": call.leg.direction.partition("-")[0] if directed else None,
                "leg_id": leg_id,
                "parent_call_id": parent,
                "conflicts": [],
                "events": len(self.events),
                "recordings": sorted(recordings),
            },
        )


_FIELDS = (
    "account",
    "parent_call_id",
    "child_call_ids",
    "leg_id",
    "direction",
    "sip_response_code",
    "duration_s",
    "conflicts",
)


def facts_of(record: dict[str, Any]) -> dict[str, Any]:
    """What a call record says of a call beside its status and outcome, and the simulator knows.

    `ended_at` is to the second; `events`: how many it counts; `recordings`: their ids.
    """
    verdict = record["verdict"]
    return {
        **{name: record[name] for name in _FIELDS},
        "ended_at": to_second(record["ended_at"]),
        "events": record["counts"]["events"],
        "recordings": [one["id"] for one in record["recordings"]],
        "fault": verdict["fault"] if verdict is not None else None,
        "delivery": said_of(record),
    }


def to_second(time: str | None) -> str | None:
    """A time without its fraction of a second: not every source tells it."""
    return time and time[:19]
