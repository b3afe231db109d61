"""What happens when an operator has a call forgotten: its state goes, and it does not come back by itself.

A request is a record of the polled topic under the call's key, so the call's lane applies it in its turn.
What stays is a mark that holds the key and nothing of the call, for as long as a call may be kept
(`max_age_s`): without it, the next late delivery would begin the call again, and nobody would notice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stream.core.call.alerts import Occasion, review
from stream.core.call.deadlines import due_second
from stream.core.call.gaps import expire_gaps
from stream.core.call.identity_pages import Pages
from stream.core.call.lifecycle import lifecycle_of
from stream.core.call.state import Call, new_call
from stream.core.effects import CallEvicted, CallForgotten
from stream.core.events import DecodeError, Envelope, Event, Origin
from stream.core.identity import fingerprint_of, name_id
from stream.core.policy import CallPolicy

FORGET = "forget"
"""The `source` of a request's envelope, and of its event. It is not a delivery of a provider."""


class ForgetRequest(msgspec.Struct):
    """The body of a request's envelope. `id`: of this request; a repetition of it changes nothing."""

    id: str
    key: str


def forget_request(envelope: Envelope) -> ForgetRequest:
    """Raises DecodeError."""
    try:
        return msgspec.convert(envelope.body, ForgetRequest)
    except msgspec.ValidationError as error:
        raise DecodeError("invalid_field", f"a request to forget a call: {error}") from None


def forgotten_id(request: ForgetRequest) -> str:
    """The id of the event that says that it is done."""
    return name_id(FORGET, request.key, request.id)


def forget(
    call: Call | None,
    request: ForgetRequest,
    envelope: Envelope,
    origin: Origin,
    policy: CallPolicy,
    pages: Pages,
) -> tuple[Call, list[Any]]:
    """(the mark that takes the call's place, the effects). `call`: None if nothing of it is kept."""
    id_ = forgotten_id(request)
    fingerprint = fingerprint_of(id_)
    known = call is not None and not call.forgotten
    earlier = call.seen if call is not None and not known else []
    if call is not None and fingerprint in earlier:
        return call, []
    effects: list[Any] = []
    if call is not None and known:
        expire_gaps(call, effects)
        if call.alerts is not None:
            review(
                call, lifecycle_of(call), Occasion(envelope.received_us, over="forgotten"), effects, policy
            )
        if call.paged:
            pages.drop(call.key)
        effects.append(CallEvicted("forgotten"))
    provider, _, call_id = request.key.partition(":")
    event = Event(
        key=request.key,
        provider=provider,
        account=call.account if call is not None else None,
        call_id=call_id,
        source=FORGET,
        family="other",
        name="forgotten",
        occurred_at=envelope.received_at,
        occurred_at_quality="exact",
        attributes={"was_kept": known},
    )
    event.id, event.received_at, event.origin = id_, envelope.received_at, origin
    event.account_alias = policy.alias(event.account)
    effects += [event, CallForgotten(request.key, envelope.received_at)]
    mark = new_call(request.key, None)
    mark.forgotten = mark.ended = True
    mark.arrival.first_us = envelope.received_us
    mark.seen = [*earlier, fingerprint][-MARKS:]
    mark.due_s = due_second(envelope.received_us, policy.max_age_s)
    return mark, effects


MARKS = 16
"""Requests for one call that are told from a repetition."""
