"""Facts about one call that someone may want to know: one episode a call and rule.

What is true is derived from the call's state alone, whatever came first. `review` compares it with the
episodes that the state holds, and writes what differs: an alert fires, is revised, is resolved.
An ERROR event of a call that failed is evidence of its `call.failed` and raises nothing of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stream.core.alerting.alert import RETRACTED, Alert, AlertCall, AlertEvidence, AlertReason, AlertScope
from stream.core.alerting.episodes import CallAlerts, Episode, alert, fingerprint, worse
from stream.core.alerting.help import help_for
from stream.core.alerting.observations import failure_code, failures_key
from stream.core.alerting.rules import Severity
from stream.core.call.gaps import gap_of
from stream.core.call.lifecycle import Lifecycle, numbers_of, verdict_of
from stream.core.call.state import Call
from stream.core.conflicts import conflicts_of
from stream.core.effects import SequenceGapClosed
from stream.core.events import Event
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import source_names
from stream.core.statuses import TERMINAL
from stream.core.timestamps import instant, utc

EVIDENCE_CAP = 5
"""Of an episode, and of the error events of a call."""

_MASKED = Privacy("masked")
"""For fields that hold masked numbers in every privacy mode."""


class Fact(msgspec.Struct):
    """Something that is true of a call now.

    `severity`: where it may be more than the rule's; `opened_by`: its identity where no event opens it.
    """

    severity: Severity | None
    reason: AlertReason
    occurrences: int = 1
    confirmed: bool = True
    opened_by: str = ""


class Occasion(msgspec.Struct):
    """The delivery or tick after which a call is reviewed.

    - `at_us`: its time, which is the time of the revisions.
    - `event`: of the delivery that decided it, None at a tick; `errors`: its new events that a provider
      marked as errors.
    - `over`: the call leaves the table, so nothing of it fires any longer; the reason's code.
    """

    at_us: int
    event: Event | None = None
    errors: Sequence[Event] = ()
    over: str | None = None


def review(
    call: Call, lifecycle: Lifecycle, occasion: Occasion, effects: list[Any], policy: CallPolicy
) -> None:
    """Add the alerts that follow from the call's state to the `effects` of a delivery or tick."""
    if occasion.errors:
        known = call.alerts = call.alerts or CallAlerts()
        known.errors += len(occasion.errors)
        known.evidence += map(_evidence, occasion.errors)
        del known.evidence[EVIDENCE_CAP:]
    true = {} if occasion.over else _facts(call, lifecycle, policy)
    if not true and call.alerts is None:
        return
    known = call.alerts = call.alerts or CallAlerts()
    for rule_id, raised in known.episodes.items():
        enabled = policy.alert_rules.rule(rule_id, call.account).enabled
        if raised.firing and (rule_id not in true or not enabled):
            raised.resolve()
            code = "rule_disabled" if rule_id in true else _why_over(rule_id, lifecycle, occasion, effects)
            reason = AlertReason(code, RESOLVED.get(code) or _retraction(lifecycle))
            if code == "settled" and (fact := _facts(call, lifecycle, policy).get(rule_id)) is not None:
                # It stays true: a list of what has fired says what it was.
                text = f"{reason.text} {fact.reason.text}"
                reason = msgspec.structs.replace(fact.reason, code=code, text=text)
            effects.append(_alert(rule_id, raised, call, lifecycle, reason, occasion, policy))
    for rule_id, fact in true.items():
        rule = policy.alert_rules.rule(rule_id, call.account)
        if not rule.enabled:
            continue
        episode = known.episodes.get(rule_id)
        if episode is None:
            episode = known.episodes[rule_id] = _opened(rule_id, call, fact, occasion, effects)
        severity = worse(fact.severity or rule.severity, rule.severity)
        if episode.fire(severity, fact.occurrences, confirmed=fact.confirmed):
            effects.append(_alert(rule_id, episode, call, lifecycle, fact.reason, occasion, policy))


# -- what is true


def _facts(call: Call, lifecycle: Lifecycle, policy: CallPolicy) -> dict[str, Fact]:
    """Everything that is true of a call now, by rule."""
    found: dict[str, Fact] = {}
    end = lifecycle.end
    errors = call.alerts.errors if call.alerts is not None else 0
    if end is not None and end.status == "failed":
        found["call.failed"] = _failed(call, lifecycle)
    elif errors:
        found["call.error_event"] = _error_events(call, errors)
    if call.overdue:
        text = f"The call has no terminal event {policy.overdue_s:g} s after its first one."
        found["call.no_terminal_event"] = Fact(None, AlertReason("overdue", text), opened_by="overdue")
    if call.arrival.gaps:
        missing = ", ".join(_gap_words(gap) for gap in call.arrival.gaps)
        first = f"gap:{min(call.arrival.gaps)}"
        found["delivery.gap"] = Fact(
            None, AlertReason("missing", f"Not received: {missing}."), opened_by=first
        )
    if end is None:
        return found
    talk_s, short_s = lifecycle.talk_s(), policy.alert_rules.rule("call.short", call.account).at_most_s or 0
    if talk_s is not None and talk_s <= short_s:
        text = f"The call was answered and ended after {talk_s:g} s of talk."
        found["call.short"] = Fact(None, AlertReason("short", text))
    if conflicts := conflicts_of(call, lifecycle):
        text = "Sources disagree: " + "; ".join(map(_disagreement, conflicts))
        found["state.conflict"] = Fact(None, AlertReason("conflict", text + "."), len(conflicts))
    return found


def _failed(call: Call, lifecycle: Lifecycle) -> Fact:
    """Confirmed once two sources say so."""
    end = lifecycle.end
    assert end is not None
    sip, code = end.sip_response_code, _error_code(call)
    text = "The call failed"
    if sip is not None:
        text += f" with SIP response code {sip}"
    if code is not None:
        text += f"{' and' if sip is not None else ' with'} error code {code}"
    if end.entry.hangup and end.entry.hangup != "unspecified":
        text += f" (hangup cause {_MASKED.text(end.entry.hangup)})"
    said = 0
    for entry in lifecycle.terminal:
        if entry.status == end.entry.status:
            said |= entry.sources
    verdict = verdict_of(call, lifecycle)
    is_ours_to_fix = verdict is not None and verdict.fault in ("application", "provider")
    reason = AlertReason("failed", text + ".", None, code, sip)
    return Fact("warning" if is_ours_to_fix else None, reason, confirmed=len(source_names(said)) > 1)


def _error_code(call: Call) -> str | None:
    return _MASKED.text(call.error_codes[0]) if call.error_codes else None


def _disagreement(conflict: dict[str, Any]) -> str:
    """A conflict in words, masked in every mode: alerts go where records do not."""
    shown = _MASKED.address if conflict["field"] in ("from", "to") else _MASKED.text
    values = " or ".join(map(shown, conflict["values"]))
    return f"{conflict['field']} is {values}, {shown(conflict['chosen'])} was chosen"


def _gap_words(gap: int) -> str:
    number, name = gap_of(gap)
    return f"sequence number {number}" if number is not None else f"{name}"


def _error_events(call: Call, errors: int) -> Fact:
    assert call.alerts is not None
    first = min(call.alerts.evidence, key=lambda one: (one.occurred_at or one.received_at, one.event_id))
    code = _error_code(call)
    text = f"The provider reported {'an error' if errors == 1 else f'{errors} errors'}: {first.name}"
    if first.edge is not None:
        text += f" at {first.edge}"
    if code is not None:
        text += f", error code {code}"
    return Fact(None, AlertReason("error_event", text + ".", None, code), errors)


# -- what it is told as

RESOLVED: dict[str, str] = {
    "settled": "The call has settled.",
    "expired": "The missing numbers did not come before the call settled.",
    "late_arrival": "The missing number has arrived.",
    "poll_heal": "A resource of the provider has what was missing.",
    "not_sent": "The provider did not send the missing number: nothing subscribes to it.",
    "ended": "The call has ended.",
    "call_failed": "The call failed: its error events are evidence of call.failed.",
    "forgotten": "The call was removed on request.",
    "rule_disabled": "The rule is disabled.",
}
"""The text of each reason to resolve an alert; what is not here is a retraction."""


def _why_over(rule_id: str, lifecycle: Lifecycle, occasion: Occasion, effects: list[Any]) -> str:
    """The code of the reason why something is no longer true."""
    if rule_id == "delivery.gap":
        closed = [effect.by for effect in effects if type(effect) is SequenceGapClosed]
        return closed[-1] if closed else "expired"
    if occasion.over:
        return occasion.over
    if rule_id == "call.no_terminal_event":
        return "ended"
    if rule_id == "call.error_event" and lifecycle.end is not None:
        return "call_failed"
    return f"{RETRACTED}_by_reconciliation"


def _retraction(lifecycle: Lifecycle) -> str:
    end = lifecycle.end
    said = f": the call is {end.status} ({end.outcome})" if end is not None else ""
    return f"Retracted{said}, according to {', '.join(source_names(end.entry.sources)) if end else 'all'}."


def _deciding(event: Event, effects: list[Any]) -> Event:
    """The basis of the alert: the delivery's new terminal event with the lowest (number, id)."""
    new = [effect for effect in effects if type(effect) is Event and effect.status in TERMINAL]
    return min(
        new,
        key=lambda one: (1 << 30 if one.sequence_number is None else one.sequence_number, one.id),
        default=event,
    )


def _opened(rule_id: str, call: Call, fact: Fact, occasion: Occasion, effects: list[Any]) -> Episode:
    event = occasion.event
    if rule_id == "call.error_event" and call.alerts is not None:
        evidence = call.alerts.evidence[0]
        starts = evidence.occurred_at or evidence.received_at
        return Episode(evidence.event_id, instant(starts) or occasion.at_us, occasion.at_us)
    if fact.opened_by or event is None:
        return Episode(fact.opened_by or rule_id, occasion.at_us, occasion.at_us)
    event = _deciding(event, effects)
    starts = event.occurred_at or event.received_at
    return Episode(event.id, instant(starts) or occasion.at_us, occasion.at_us, evidence=[_evidence(event)])


def _alert(
    rule_id: str,
    episode: Episode,
    call: Call,
    lifecycle: Lifecycle,
    reason: AlertReason,
    occasion: Occasion,
    policy: CallPolicy,
) -> Alert:
    provider, _, call_id = call.key.partition(":")
    alias = policy.alias(call.account)
    if reason.help is None and episode.firing:
        reason.help = help_for(rule_id, provider, reason.sip_response_code, reason.provider_error_code)
    made = alert(
        episode,
        policy.alert_rules.rule(rule_id, call.account),
        AlertScope("call", call.key),
        reason,
        occasion.at_us,
        provider=provider,
        account=call.account,
        account_alias=alias,
    )
    made.call = _call(call, lifecycle, occasion.event)
    if occasion.over == "forgotten":
        made.call.from_ = made.call.to = None
    if rule_id in ("call.failed", "call.error_event") and call.alerts is not None:
        known = {one.event_id for one in made.evidence}
        made.evidence = made.evidence + [one for one in call.alerts.evidence if one.event_id not in known]
    made.links = policy.alert_rules.links(
        {
            "key": call.key,
            "call_id": call_id,
            f"{provider}_call_id": call_id,
            "provider": provider,
            "account": call.account,
            "account_alias": alias,
            "rule": rule_id,
            "twilio_error_code": reason.provider_error_code if provider == "twilio" else None,
        }
    )
    if rule_id == "call.failed" and lifecycle.end is not None and lifecycle.end.status == "failed":
        code = failure_code(reason.sip_response_code, reason.provider_error_code)
        scope = AlertScope("failure", f"{failures_key(provider, call.account, call.direction)}:{code}")
        parent = fingerprint("calls.failing", provider, call.account, scope)
        made.links["parent_alert"] = f"urn:uuid:{parent}"
    return made


def _evidence(event: Event) -> AlertEvidence:
    origin = event.origin
    assert origin is not None, "an alert is based on an applied event"
    return AlertEvidence(
        event.source,
        event.id,
        _MASKED.text(event.name),
        event.level,
        event.sequence_number,
        event.occurred_at,
        event.received_at,
        origin.topic,
        origin.partition,
        origin.offset,
        _shown_edge(event),
    )


def _shown_edge(event: Event) -> str | None:
    return _MASKED.text(event.edge) if event.edge is not None else None


def _call(call: Call, lifecycle: Lifecycle, event: Event | None) -> AlertCall:
    facts, end, verdict = call.facts.get, lifecycle.end, verdict_of(call, lifecycle)
    started, ended, numbers = lifecycle.initiated[0], lifecycle.ended[0], numbers_of(call)
    return AlertCall(
        id=call.key.partition(":")[2],
        parent_id=facts("parent_call_id"),
        session_id=facts("session_id"),
        leg_id=facts("leg_id"),
        direction=call.direction,
        status=lifecycle.status,
        outcome=end.outcome if end else None,
        verdict=verdict.fault if verdict is not None else None,
        started_at=utc(started) if started is not None else None,
        ended_at=utc(ended) if ended is not None else None,
        duration_s=lifecycle.talk_s(),
        from_=_MASKED.address(call.facts["from"]) if "from" in call.facts else None,
        to=_MASKED.address(call.facts["to"]) if "to" in call.facts else None,
        edge=_shown_edge(event) if event is not None else None,
        stir_attestation=facts("stir_attestation"),
        last_sequence_number=numbers.last,
        missing_sequence_numbers=numbers.missing(),
    )
