"""Which progress events a callback configuration sends, learned from calls that ended.

Twilio counts an event that is not subscribed to: its number is missing in every call. A configuration is the
account, the endpoint that its callbacks come to and the direction of its calls; it may have several
subscriptions. One is believed when a request log has proven it, or when several calls in a row showed it over
a while and no call between them received an event that it lacks. It is forgotten when a callback that it does
not send arrives after all, and when no call has shown it for a week.

Subscriptions belong to a partition. It is kept in the table under a key of its own, and recovered with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from stream.core.effects import SubscriptionDisproved, SubscriptionShown

KEY = b"\xfesubscriptions"
"""A call's key never begins with it: keys are UTF-8 text."""

STEPS: tuple[str, ...] = ("initiated", "ringing", "answered", "completed")
"""The progress events, by name, in the order in which a call has them."""

STEP_OF: dict[str, int] = {name: step for step, name in enumerate(STEPS)}
ALL_STEPS = (1 << len(STEPS)) - 1

CALLS_IN_A_ROW, LASTING_S = 5, 600
"""How many calls, over how many seconds, show a subscription without proof. An outage of ours is shorter."""

KEPT_S = 7 * 86_400
CONFIGURATIONS_CAP = 64


class Subscription(msgspec.Struct, array_like=True, frozen=True):
    """One subscription of a configuration.

    - `steps`: bit set of the STEPS that it sends; `calls`: how many calls in a row showed it.
    - `first_s`, `last_s`: when the first and the last of them did, stream time; `proven`: by a request log.
    """

    steps: int
    calls: int
    first_s: int
    last_s: int
    proven: bool = False

    @property
    def is_believed(self) -> bool:
        lasted = self.calls >= CALLS_IN_A_ROW and self.last_s - self.first_s >= LASTING_S
        return self.proven or lasted


Subscriptions = Mapping[str, tuple[Subscription, ...]]
"""Those of a partition, by configuration. Never changed: a change makes another mapping."""


def believed(known: Subscriptions, configuration: str, now_s: int) -> tuple[int, ...]:
    """The steps of each subscription of a configuration that is believed."""
    of_it = known.get(configuration, ())
    return tuple(one.steps for one in of_it if one.is_believed and now_s - one.last_s < KEPT_S)


def learn(known: Subscriptions, said: SubscriptionShown | SubscriptionDisproved) -> Subscriptions:
    """The subscriptions after a call has shown or disproved one. The same mapping if nothing changes.

    A call that received more events than a subscription sends disproves it unless it is proven: an endpoint
    may have both.
    """
    before = known.get(said.configuration, ())
    if isinstance(said, SubscriptionDisproved):
        after = tuple(one for one in before if one.steps & said.steps)
    else:
        after = _shown(before, said)
    if after == before:
        return known
    others = {name: some for name, some in known.items() if name != said.configuration}
    if after:
        newest = sorted(others, key=lambda name: (max(one.last_s for one in others[name]), name))
        others = {name: others[name] for name in newest[-(CONFIGURATIONS_CAP - 1) :]}
        others[said.configuration] = after
    return others


def _shown(before: tuple[Subscription, ...], said: SubscriptionShown) -> tuple[Subscription, ...]:
    kept = {
        one.steps: one
        for one in before
        if said.at_s - one.last_s < KEPT_S and (one.proven or not said.received & ~one.steps)
    }
    if said.steps != ALL_STEPS:
        one = kept.get(said.steps) or Subscription(said.steps, 0, said.at_s, said.at_s)
        kept[said.steps] = Subscription(
            one.steps, one.calls + 1, one.first_s, max(one.last_s, said.at_s), one.proven or said.proven
        )
    return tuple(kept[steps] for steps in sorted(kept))


# -- what a call shows


Run = tuple[list[int], list[int]]
"""Missing sequence numbers between two known ones, and the steps that may have been between these."""


def runs_of(placed: Iterable[tuple[int, int]], missing: Sequence[int]) -> list[Run]:
    """The runs of missing numbers. `placed`: (number, step) of the known callbacks."""
    runs: list[Run] = []
    before, step_before = -1, -1
    for number, step in sorted(placed):
        between = [gap for gap in missing if before < gap < number]
        if between:
            runs.append((between, list(range(step_before + 1, step))))
        before, step_before = number, step
    rest = [gap for gap in missing if gap > before]
    return [*runs, (rest, [])] if rest else runs


def not_sent(runs: Iterable[Run], subscribed: int) -> list[int]:
    """The missing numbers that a subscription to these steps explains."""
    found: list[int] = []
    for gaps, steps in runs:
        silent = [step for step in steps if not subscribed >> step & 1]
        if len(gaps) <= len(silent):
            found += gaps
        elif len(gaps) == len(steps):
            found += [gap for gap, step in zip(gaps, steps, strict=True) if step in silent]
    return found


def steps_shown(runs: Iterable[Run]) -> int | None:
    """The subscription that explains all missing numbers, None if none does."""
    steps = ALL_STEPS
    for gaps, between in runs:
        if len(gaps) > len(between):
            return None
        for step in between:
            steps &= ~(1 << step)
    return steps


# -- the store


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, tuple[Subscription, ...]]).decode


def dump_subscriptions(known: Subscriptions) -> bytes | None:
    """As stored, None for nothing."""
    return _encode({name: known[name] for name in sorted(known)}) if known else None


def load_subscriptions(stored: bytes) -> Subscriptions:
    """From the store. Raises msgspec.DecodeError if it is something else."""
    return _decode(stored)
