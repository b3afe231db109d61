"""An episode: from the moment something is true of a scope until it is no longer true.

It is kept in the state of its scope, also when it is resolved, so that its revisions never repeat: what is
true again for the same reason continues its episode. A revision is written when severity, confidence or state
change, and at 1, 10, 100, … occurrences; so nothing depends on how often the same is said.
"""

from __future__ import annotations

import msgspec

from stream.core.alerting.alert import Alert, AlertEvidence, AlertReason, AlertRule, AlertScope
from stream.core.alerting.rules import SEVERITIES, Rule, Severity
from stream.core.identity import VERSION, name_id
from stream.core.timestamps import utc


def worse(one: Severity, other: Severity) -> Severity:
    return min(one, other, key=SEVERITIES.index)


class Episode(msgspec.Struct, array_like=True):
    """The newest episode of a rule and a scope, as its last revision left it. Times in microseconds.

    - `opened_by`: the identity of what opened it.
    - `revision`: 0 before the first one; `occurrences`: as in the last revision.
    - `shown`: of a condition, the calls that are samples in the last revision.
    """

    opened_by: str
    starts_us: int
    detected_us: int
    severity: Severity = "info"
    confirmed: bool = False
    firing: bool = False
    revision: int = 0
    occurrences: int = 0
    evidence: list[AlertEvidence] = []
    shown: tuple[str, ...] = ()

    def fire(self, severity: Severity, occurrences: int, *, confirmed: bool) -> bool:
        """It is true now. True if that makes a revision. The severity of an episode only rises, and what was
        confirmed stays so: it is resolved when it is disproved.
        """
        if self.firing:
            severity = worse(severity, self.severity)
            confirmed = confirmed or self.confirmed
        digits = len(str(max(occurrences, 1)))
        same = (True, severity, confirmed) == (self.firing, self.severity, self.confirmed)
        if same and digits <= len(str(max(self.occurrences, 1))):
            return False
        self.firing, self.severity, self.confirmed = True, severity, confirmed
        self.occurrences = max(self.occurrences, occurrences)
        self.revision += 1
        return True

    def resolve(self) -> None:
        """It is no longer true."""
        self.firing = False
        self.revision += 1


class CallAlerts(msgspec.Struct, array_like=True):
    """What was raised about a call, and what may be: see `alerts`.

    - `errors`: events that a provider marked as errors, `evidence` the first of them.
    - `episodes`: by rule, resolved ones too.
    """

    errors: int = 0
    evidence: list[AlertEvidence] = []
    episodes: dict[str, Episode] = {}


def fingerprint(rule_id: str, provider: str, account: str | None, scope: AlertScope) -> str:
    """The id of a condition: what is true of which scope.

    A call's key names it among all accounts, and its account may become known later.
    """
    owner = None if scope.type == "call" else account
    return name_id(VERSION, "alert", rule_id, provider, owner, scope.type, scope.id)


def alert(
    episode: Episode,
    rule: Rule,
    scope: AlertScope,
    reason: AlertReason,
    at_us: int,
    *,
    provider: str,
    account: str | None,
    account_alias: str | None,
) -> Alert:
    """The record of an episode's present revision, written at `at_us`, without what only its kind has."""
    print_ = fingerprint(rule.id, provider, account, scope)
    episode_id = name_id(VERSION, "episode", print_, episode.opened_by)
    return Alert(
        id=name_id(VERSION, "revision", print_, episode_id, episode.revision),
        fingerprint=print_,
        episode_id=episode_id,
        revision=episode.revision,
        state="firing" if episode.firing else "resolved",
        severity=episode.severity,
        rule=AlertRule(rule.id, rule.version),
        provider=provider,
        account=account,
        account_alias=account_alias,
        scope=scope,
        starts_at=utc(episode.starts_us),
        ends_at=None if episode.firing else utc(at_us),
        detected_at=utc(episode.detected_us),
        updated_at=utc(at_us),
        confidence="confirmed" if episode.confirmed else "provisional",
        reason=reason,
        occurrences=max(1, episode.occurrences),
        evidence=episode.evidence,
    )
