"""A notification in words, the same at every sink. All of it is masked: alerts hold masked values only."""

from __future__ import annotations

from stream.notify.alert import EXAMPLES, NotifiedGroup, ReceivedAlert
from stream.notify.grouping import Notification


def place(group: NotifiedGroup) -> str:
    """`twilio, account europe`."""
    return f"{group.provider}, account {group.account}" if group.account else group.provider


def headline(told: Notification) -> str:
    """One line: how urgent, which rule, what and where."""
    urgency = "resolved" if told.tells_of_an_end else told.severity
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
    """Of facts a line for each call that is shown; of a condition what happened and its samples. Then what it
    means and what to do, where the alert says so."""
    newest = told.alerts[0]
    if newest.is_about_a_call:
        lines = [f"{one.starts_at} {one.scope.id}: {sentence(one)}" for one in told.alerts]
    else:
        lines = [sentence(newest)]
        lines += [f"{one.at} {one.key}: {one.text}" for one in newest.samples[:EXAMPLES]]
    return [*lines, newest.reason.help] if newest.reason.help else lines
