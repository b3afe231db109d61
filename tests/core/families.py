"""A call, the calls that it dialled, and what their partitions tell each other, whenever that arrives."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from stream.core.call.lifecycle import lifecycle_of, verdict_of
from stream.core.call.record import CallRecord
from stream.core.call.state import Call, dump, load
from stream.core.call.timers import child_found, sibling_answered
from stream.core.effects import ChildFound, SiblingAnswered
from stream.core.policy import CallPolicy
from stream.core.timestamps import instant
from tests.core.deliveries import CALL_ID, Delivery, callback, calls_row, rfc2822
from tests.core.folding import tell

POLICY = CallPolicy()
Message = ChildFound | SiblingAnswered


def child_step(name: str, status: str, number: int, second: int | None, **more: Any) -> Delivery:
    """A status callback of a child."""
    return callback(status, str(number), second, call_id=name, ParentCallSid=CALL_ID, **more)


def child_row(name: str, status: str, second: int, duration_s: int | None = None) -> Delivery:
    """A child's row of the Calls resource."""
    duration = None if duration_s is None else str(duration_s)
    end = rfc2822(second)
    row = calls_row(status, sid=name, parent_call_sid=CALL_ID, end_time=end, duration=duration)
    return Delivery(f"twilio:{name}", row.value)


class Family:
    """The states of all of them, as they come back from the store, and the messages between them."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.records: dict[str, CallRecord] = {}
        self.under_way: list[tuple[int, str, Message]] = []
        self.sent = 0

    def deliver(self, one: Delivery) -> None:
        told = tell([one], call=self.calls.get(one.key), policy=POLICY)
        self._keep(one.key, told.call, told.effects)

    def arrive(self, at: int = 0) -> None:
        """One of the messages that are under way arrives."""
        *_, message = self.under_way.pop(at)
        key = message.parent_key if isinstance(message, ChildFound) else message.key
        call = self.calls.get(key)
        effects: list[Any] | list[SiblingAnswered] | None
        if isinstance(message, ChildFound):
            received_us = instant(message.received_at)
            assert received_us is not None
            call, effects = child_found(call, message, received_us, POLICY)
        else:
            assert call is not None, "it has named its parent"
            effects = sibling_answered(call, message, POLICY)
        self._keep(key, call, effects or ())

    def settle(self) -> Family:
        """All messages arrive."""
        while self.under_way:
            self.arrive()
        return self

    def faults(self) -> dict[str, str | None]:
        """Whose fault it was, of each call that has ended."""
        verdicts = {key: verdict_of(call, lifecycle_of(call)) for key, call in self.calls.items()}
        return {
            key.removeprefix("twilio:"): verdict and verdict.fault
            for key, verdict in verdicts.items()
            if self.calls[key].lifecycle and self.calls[key].ended
        }

    def _keep(self, key: str, call: Call | None, effects: Iterable[Any]) -> None:
        if call is not None:
            self.calls[key] = load(dump(call))
        for effect in effects:
            if isinstance(effect, CallRecord):
                self.records[key] = effect
            elif isinstance(effect, ChildFound | SiblingAnswered):
                self.sent += 1
                self.under_way.append((self.sent, key, effect))


def family_of(deliveries: Iterable[Delivery], order: random.Random | None = None) -> Family:
    """The family after these deliveries. With an order, both they and the messages come in any order and some
    twice, messages also much later, and some that were followed by another one of their sender not at all.
    """
    family = Family()
    coming = list(deliveries)
    if order is None:
        for one in coming:
            family.deliver(one)
        return family.settle()
    coming += [one for one in coming if order.random() < 0.2]
    order.shuffle(coming)
    while coming or family.under_way:
        if coming and (not family.under_way or order.random() < 0.4):
            family.deliver(coming.pop())
            continue
        at = order.randrange(len(family.under_way))
        chance = order.random()
        if chance < 0.2 and len(family.under_way) < 100:
            family.under_way.append(family.under_way[at])
        elif chance < 0.5 and _is_followed(family, at):
            family.under_way.pop(at)
            continue
        family.arrive(at)
    return family


def _is_followed(family: Family, at: int) -> bool:
    """Whether its sender has told the same again, with all that it knew then and more."""
    number, sender, message = family.under_way[at]
    return isinstance(message, ChildFound) and any(
        isinstance(later, ChildFound) and later_number > number and other == sender
        for later_number, other, later in family.under_way
    )
