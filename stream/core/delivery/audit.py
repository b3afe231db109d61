"""The delivery audit: which callbacks the provider's own records say were sent, and what became of them.

Such a record is a row of Twilio's Call Events or of Telnyx' logs, or an entry of Twilio's error log. A
callback that was sent and did not come, or came by another endpoint, was refused where the record has a
response that refuses it. Else what did not come is missing, but only where its endpoint leads to us: by its
URL, or because another callback of the call that was sent there did come. Nothing is taken for missing
because it is usual.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

import msgspec

from stream.core.events import Reading, SentCallback, WebhookAnswer
from stream.core.identity import event_id, fingerprint_of
from stream.core.sources import CALLBACK_SOURCES, SOURCE_BIT
from stream.core.statuses import NAMES, STATUSES

SENT_CAP = 48
"""Records of sent callbacks that are kept of a call."""

RESULTS: tuple[str, ...] = ("delivered", "late", "missing", "refused_by_application", "refused_by_us")
"""What became of a callback that was sent. Late: it came after it was reported as a gap."""

_REFUSED = frozenset({"3xx", "4xx", "5xx", "invalid"})
_OWN_PATHS = ("/callbacks/twilio", "/callbacks/twilio/event-streams", "/callbacks/telnyx")
_RECEIVED_BITS = sum(
    SOURCE_BIT[source]
    for source in CALLBACK_SOURCES
    if source not in ("twilio_event_stream", "twilio_debugger")
)


class AuditedCallback(msgspec.Struct):
    """A callback that was sent, and what became of it: one of RESULTS.

    `endpoint`: the URL that it was sent to, without user info, query and fragment.
    """

    name: str
    status: str | None
    sequence_number: int | None
    endpoint: str
    result: str


def sent_of(observed: Reading, answer: WebhookAnswer | None) -> SentCallback | None:
    """What a record says of a callback that was sent; None if it does not say where to.

    `observed`: the event of the callback; `answer`: what the endpoint answered.
    """
    if answer is None:
        return None
    event = observed.event
    id_ = event_id(event.key, event.family, observed.identity_rule, observed.parts)
    sent = SentCallback(
        fingerprint_of(id_),
        answer.endpoint,
        answer.code_class in _REFUSED,
        event.sequence_number,
    )
    # A hangup's own status depends on what else is known of the call.
    if event.family == "progress" and event.status is not None and observed.hangup is None:
        sent.status = STATUSES.index(event.status)
    else:
        sent.name = event.name
    return sent


def with_sent(known: tuple[SentCallback, ...], one: SentCallback) -> tuple[SentCallback, ...]:
    """The records of a call with one more, the same tuple if it adds nothing."""
    by_identity = {_identity(sent): sent for sent in (one, *known)}
    kept = sorted(by_identity)[:SENT_CAP]
    if len(by_identity) == len(known) or _identity(one) not in kept:
        return known
    return tuple(by_identity[identity] for identity in kept)


def _identity(sent: SentCallback) -> tuple[int, str, bool]:
    return sent.event, sent.endpoint, sent.refused


@lru_cache(maxsize=1024)
def is_own_url(endpoint: str, public_url: str) -> bool:
    """Whether a URL is our gateway's. Without a public URL in the settings, its path tells."""
    endpoint, public_url = endpoint.lower(), public_url.lower().rstrip("/")
    return endpoint.startswith(public_url) and endpoint.endswith(_OWN_PATHS)


def audit(
    sent: Collection[SentCallback], sources: Mapping[int, int], late: Collection[int], public_url: str
) -> list[AuditedCallback]:
    """What became of the callbacks that were sent, by number and name.

    `sources`: by event, the bits of the sources that reported it; `late`: the events that came late.
    """
    attempts: dict[tuple[int, str], SentCallback] = {}
    for one in sent:
        attempts.setdefault((one.event, one.endpoint), one)
    taken = {(one.event, one.endpoint) for one in sent if not one.refused}
    taken_anywhere = {event for event, _ in taken}
    audited = []
    for (event, endpoint), one in attempts.items():
        came = sources.get(event, 0) & _RECEIVED_BITS
        refused = (event, endpoint) not in taken
        if refused and (event in taken_anywhere or not came):
            is_own = is_own_url(endpoint, public_url)
            result = "refused_by_us" if is_own else "refused_by_application"
        elif came:
            result = "late" if event in late else "delivered"
        elif event in sources and (
            is_own_url(endpoint, public_url) or _leads_to_us(endpoint, attempts, sources)
        ):
            result = "missing"
        else:
            continue
        status = STATUSES[one.status] if one.status >= 0 else None
        name = NAMES[status] if status is not None else one.name
        audited.append(AuditedCallback(name, status, one.number, endpoint, result))
    audited.sort(key=lambda one: (one.sequence_number or 0, one.name, one.endpoint, one.result))
    return audited


def _leads_to_us(endpoint: str, attempts: Iterable[tuple[int, str]], sources: Mapping[int, int]) -> bool:
    """Whether another callback of the call that was sent there did come."""
    return any(there == endpoint and sources.get(event, 0) & _RECEIVED_BITS for event, there in attempts)
