"""A notification in words, the same at every sink. All of it is masked: alerts hold masked values only."""

from __future__ import annotations

from stream.notify.alert import NotifiedGroup, ReceivedAlert
from stream.notify.grouping import Notification


def place(group: NotifiedGroup) -> str:
    """`twilio, account europe`."""
    return f"{group.provider}, account {group.account}" if group.account else group.provider


def headline(told: Notification) -> str:
    """One line: how urgent, which rule, what and where."""
    urgency = told.severity if told.state == "firing" else told.state
    newest = told.alerts[0]
    if not newest.is_about_a_call:
        return f"[{urgency}] {told.group.rule}: {sentence(newest)} ({place(told.group)})"
    number = told.fired or told.resolved
    calls = "1 call" if number == 1 else f"{number} calls"
    return f"[{urgency}] {told.group.rule}: {calls} ({place(told.group)})"


def sentence(alert: ReceivedAlert) -> str:
    """What happened, or the cause's name."""
    return alert.reason.text or alert.reason.code or alert.rule.id


def counts(told: Notification) -> str:
    """`57 new, 2 resolved, 140 firing now`; of a condition, how often it was seen."""
    newest = told.alerts[0]
    if not newest.is_about_a_call:
        return "seen once" if told.occurrences == 1 else f"seen {told.occurrences} times"
    parts = [f"{told.fired} new"] if told.fired else []
    parts += [f"{told.resolved} resolved"] if told.resolved else []
    return ", ".join([*parts, f"{told.firing_now} firing now"])


def examples(told: Notification) -> list[str]:
    """A line for each alert that is shown; what it means and what to do, where the alert says so."""
    lines = []
    for one in told.alerts:
        about = f" {one.scope.id}:" if one.is_about_a_call else ""
        help_ = f" {one.reason.help}" if one.reason.help else ""
        lines.append(f"{one.starts_at}{about} {sentence(one)}{help_}")
    return lines
