"""Compares the alerts of a run with the expected ones: which fired, and which of them are active."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from stream.core.alerting.rules import Rules
from stream.simulator.calls.planted import BY_NUMBER
from stream.simulator.check.expected_call import Answer, ExpectedAlert, ExpectedCall
from stream.simulator.check.report import CheckReport

SHORT = "call.short"
FACT_RULES = frozenset({"call.failed", "call.error_event", SHORT})
FAILING = "webhook.failing"
"""The alert rules that are compared."""

NO_END, GAP, CONFLICT = "call.no_terminal_event", "delivery.gap", "state.conflict"
"""Rules of which the simulator knows only when an alert must not go on. Of the others it knows nothing."""

OVER = frozenset({"settled", "quiet", "recovered"})
"""Reasons to resolve an alert of something that was true."""


class _FoundEpisode(NamedTuple):
    """The newest revision of an alert's episode. `holds`: it fires, or was true and is over."""

    revision: int
    holds: bool
    confirmed: bool
    said: str


class _FoundState(NamedTuple):
    """Whether an alert fires, as its last record says."""

    alert: ExpectedAlert
    fires: bool
    said: str


class AlertCheck:
    """Pass every alert of the run, and what the topic of active alerts has of it.

    - `rules`: those of the worker. An alert of a rule that is not enabled is not expected.
    - `shared`: endpoints answer for calls of other runs, too, so they may fail by these.
    """

    def __init__(self, report: CheckReport, rules: Rules) -> None:
        self._report = report
        self._rules = rules
        self.shared = False
        self._expected: dict[str, set[ExpectedAlert]] = {}
        self._found: dict[ExpectedAlert, _FoundEpisode] = {}
        self._seen: set[str] = set()
        self._over: set[ExpectedAlert] = set()
        self._states: dict[str, _FoundState] = {}
        self._active: set[str | None] = set()

    def expect(self, call: ExpectedCall) -> None:
        """The alerts of a call, instead of those before: of a call that has failed, an error raises none."""
        account, talk_s = call.says.get("account"), call.says.get("duration_s")
        alerts = [
            *call.alerts,
            *([ExpectedAlert(SHORT, call.key)] if self._is_short(account, talk_s) else ()),
        ]
        self._expected[call.key] = {one for one in alerts if self._rules.rule(one.rule, account).enabled}
        over = {ExpectedAlert(CONFLICT, call.key)}
        if call.status is not None:
            over.add(ExpectedAlert(NO_END, call.key))
        if call.delivery is not None:
            over.add(ExpectedAlert(GAP, call.key))  # the log of its callbacks is there: it fills each gap
        self._over |= over

    def _is_short(self, account: str | None, talk_s: float | None) -> bool:
        return talk_s is not None and talk_s <= (self._rules.rule(SHORT, account).at_most_s or 0)

    def alert(self, alert: dict[str, Any]) -> None:
        """A record of the alerts topic. The highest revision of an episode is the one that counts."""
        rule, scope, id_ = alert["rule"]["id"], alert["scope"]["id"], alert["id"]
        said, fires = f"{rule} of {scope} ({alert['state']}), alert {id_}", alert["state"] == "firing"
        key = ExpectedAlert(rule, scope)
        self._states[alert["fingerprint"]] = _FoundState(key, fires, said)
        if (rule not in FACT_RULES and rule != FAILING) or BY_NUMBER in scope:
            return
        if id_ in self._seen:
            self._report.differ("alert_repeated", said)
            return
        self._seen.add(id_)
        known, revision = self._found.get(key), alert["revision"]
        if known is None or revision > known.revision or fires:
            holds = fires or alert["reason"]["code"] in OVER
            self._found[key] = _FoundEpisode(revision, holds, alert["confidence"] == "confirmed", said)

    def active(self, fingerprint: str | None, *, active: bool) -> None:
        """A record of the topic of active alerts, or a tombstone. Those of other runs do no harm."""
        if active:
            self._active.add(fingerprint)
        else:
            self._active.discard(fingerprint)

    def is_right(self, answers: Iterable[Answer]) -> bool:
        """Whether everything that must fire has fired, and nothing goes on that must not."""
        goes_on = any(found.fires and found.alert in self._over for found in self._states.values())
        return not goes_on and self._wanted(answers) <= self._fired()

    def compare(self, answers: list[Answer]) -> None:
        """Of failing endpoints only what is clear: what is near the threshold depends on what came first."""
        wanted, report = self._wanted(answers), self._report
        allowed = wanted | {ExpectedAlert(FAILING, scope) for scope in self._failing(answers, 0.5)}
        for key, found in self._found.items():
            # What is provisional was said before the good answers were known.
            decided = key.rule in FACT_RULES or (found.confirmed and not self.shared)
            if found.holds and key not in allowed and decided:
                report.differ("alert_unexpected", found.said)
        fired = self._fired()
        report.alerts_expected, report.alerts_found = len(wanted), len(wanted & fired)
        for rule, scope in sorted(wanted - fired):
            report.differ("alert_missing", f"{rule} of {scope}")
        for fingerprint, (key, fires, said) in self._states.items():
            if fires and key in self._over:
                report.differ("alert_unexpected", said)
            if fires and fingerprint not in self._active:
                report.differ("alert_active", f"{said}: is not active")
            elif not fires and fingerprint in self._active:
                report.differ("alert_active", f"{said}: is still active")

    def _wanted(self, answers: Iterable[Answer]) -> set[ExpectedAlert]:
        failing = {ExpectedAlert(FAILING, scope) for scope in self._failing(answers, 2)}
        return failing.union(*self._expected.values())

    def _fired(self) -> set[ExpectedAlert]:
        return {key for key, found in self._found.items() if found.holds or key.rule == FAILING}

    def _failing(self, answers: Iterable[Answer], margin: float) -> set[str]:
        """Endpoints that at some time failed `margin` times as much as makes an alert."""
        counts: dict[str, dict[int, list[int]]] = {}
        for answer in answers:
            of_minute = counts.setdefault(answer.scope, {}).setdefault(answer.minute, [0, 0])
            of_minute[answer.failed] += 1
        found = set()
        for scope, minutes in counts.items():
            _, _, account, url = scope.split(":", 3)
            rule = self._rules.rule(FAILING, account, url)
            for minute in minutes if rule.enabled else ():
                among = range(minute - rule.window_min + 1, minute + 1)
                window = [minutes[m] for m in among if m in minutes]
                good, bad = (sum(one[n] for one in window) for n in (0, 1))
                if bad >= margin * rule.least and bad / (good + bad) >= min(1.0, margin * rule.share):
                    found.add(scope)
        return found
