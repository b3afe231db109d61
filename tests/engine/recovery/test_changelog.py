"""A recovery reads as far as the committed offsets need it, whichever broker answers.

The brokers are fakes: one was cut off and answers with its old end, as on a cluster of three.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from stream.engine.group import AssignmentOver
from stream.engine.recovery import changelog
from stream.engine.recovery.changelog import ChangelogReader, Recovered
from stream.engine.states import DictStates
from stream.engine.status import Waits
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset
from tests.engine.fakes import Brokers, ErrorCounter, Leader

HERE = TopicPartition("changelog", 3)
CALLBACKS, TICKS = TopicPartition("callbacks", 3), TopicPartition("ticks", 3)
TRUE = range(1131)
OLD = range(600)


def commits(needs: int | None, before: int | None = None) -> Mapping[TopicPartition, CommittedOffset | None]:
    return {
        CALLBACKS: CommittedOffset(40, needs),
        TICKS: CommittedOffset(9, needs if before is None else before),
    }


def states_of(offsets: range) -> dict[bytes, bytes | None]:
    return {b"%d" % (offset % 7): b"%d" % offset for offset in offsets}


class Store(DictStates):
    """The states of partition 3, right up to `known`; counts how often they were cleared."""

    def __init__(self, known: int | None = None, states: Mapping[bytes, bytes | None] | None = None) -> None:
        super().__init__()
        self.cleared = 0
        if known is not None:
            self.write(3, states or {}, known)

    def clear(self, partition: int) -> None:
        super().clear(partition)
        self.cleared += 1

    @property
    def states(self) -> dict[bytes, bytes | None]:
        return dict(self.items(3))


class Rig:
    def __init__(self, brokers: Brokers, store: Store | None = None) -> None:
        self.brokers, self.store = brokers, store or Store()
        self.observer, self.waits = ErrorCounter(), Waits()
        self.current = True
        self.reader = ChangelogReader(
            brokers,
            self.store,
            self.observer,
            self.waits,
            current=lambda: self.current,
            responded=lambda _: None,
            group="calls-worker",
        )

    async def read(self) -> Recovered:
        async with asyncio.timeout(20):
            return await self.reader.read([HERE], [CALLBACKS, TICKS])


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelog, "FETCH_WAIT_S", 0.001)
    monkeypatch.setattr(changelog, "ASK_EVERY_S", 0.002)


async def test_a_changelog_is_read_to_the_end_that_its_commits_need() -> None:
    rig = Rig(Brokers(Leader(TRUE), commits=[commits(1131, 700)]))
    recovered = await rig.read()
    assert recovered == Recovered(commits(1131, 700), {3: 1131}, 1131)
    assert rig.store.states == states_of(TRUE)
    assert (rig.observer.errors, rig.waits.sentences()) == ([], ())


async def test_the_end_of_a_broker_that_was_cut_off_is_not_believed() -> None:
    rig = Rig(Brokers(Leader(OLD), Leader(TRUE), commits=[commits(1131)]))
    assert await rig.read() == Recovered(commits(1131), {3: 1131}, 1131)
    assert rig.store.states == states_of(TRUE)


async def test_while_only_that_broker_answers_nothing_opens_and_the_worker_says_what_it_waits_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(Brokers(Leader(OLD), commits=[commits(1131)]))
    with caplog.at_level(logging.WARNING):
        reading = asyncio.create_task(rig.read())
        async with asyncio.timeout(10):
            while rig.brokers.refreshed < 5 or "read up to 600" not in "".join(rig.waits.sentences()):
                await asyncio.sleep(0.005)
    assert not reading.done()
    (sentence,) = rig.waits.sentences()
    assert sentence.startswith(
        "partition 3: changelog is needed up to offset 1131 and was read up to 600; "
        "the broker that answers says it ends at 600."
    )
    assert "delete the offsets of group calls-worker" in sentence
    assert len(caplog.records) == 1, "it is said once"
    assert set(rig.observer.errors) == {"stale_broker"}
    rig.brokers.leaders = [Leader(TRUE)]
    assert (await reading).ends == {3: 1131}
    assert rig.waits.sentences() == ()


async def test_an_assignment_that_ends_meanwhile_ends_the_waiting() -> None:
    rig = Rig(Brokers(Leader(OLD), commits=[commits(1131)]))
    reading = asyncio.create_task(rig.read())
    await asyncio.sleep(0.05)
    rig.current = False
    with pytest.raises(AssignmentOver):
        await reading


async def test_a_store_ahead_of_a_stale_end_is_kept_and_waits_for_the_true_leader() -> None:
    store = Store(1131, states_of(TRUE))
    rig = Rig(Brokers(Leader(OLD), Leader(TRUE), commits=[commits(1131)], moves_after=3), store)
    assert await rig.read() == Recovered(commits(1131), {3: 1131}, 0)
    assert (store.cleared, store.states, rig.brokers.refreshed) == (0, states_of(TRUE), 3)


async def test_a_store_in_the_middle_is_read_on_from_where_it_is_although_the_broker_has_less() -> None:
    store = Store(900, states_of(range(900)))
    rig = Rig(Brokers(Leader(OLD), Leader(TRUE), commits=[commits(1131)]), store)
    assert await rig.read() == Recovered(commits(1131), {3: 1131}, 231)
    assert (store.cleared, store.states) == (0, states_of(TRUE))


async def test_a_store_outside_its_changelog_is_read_anew() -> None:
    store = Store(3, {b"0": b"old", b"gone": b"old"})
    rig = Rig(Brokers(Leader(range(5, 20), begin=5), commits=[commits(20)]), store)
    assert await rig.read() == Recovered(commits(20), {3: 20}, 15)
    assert (store.cleared, store.states) == (1, states_of(range(5, 20)))
    assert rig.observer.errors == ["read_anew"]


async def test_a_store_of_another_cluster_is_read_anew() -> None:
    store = Store(900, states_of(range(900)))
    rig = Rig(Brokers(Leader([], end=0), commits=[{CALLBACKS: None, TICKS: None}]), store)
    assert await rig.read() == Recovered({CALLBACKS: None, TICKS: None}, {3: 0}, 0)
    assert (store.cleared, store.states) == (1, {})


async def test_where_commits_of_an_earlier_version_say_nothing_the_broker_s_end_is_what_there_is() -> None:
    rig = Rig(Brokers(Leader(TRUE), commits=[commits(None)]))
    assert await rig.read() == Recovered(commits(None), {3: 1131}, 1131)


async def test_a_beginning_that_was_too_low_is_gone_on_from_the_true_one() -> None:
    """The former leader still had what its successor has deleted."""
    old, true = Leader(range(10), end=10), Leader(range(50, 80), begin=50)
    rig = Rig(Brokers(old, true, commits=[commits(80)]))
    assert (await rig.read()).ends == {3: 80}
    assert rig.store.states == states_of(range(50, 80))


async def test_a_fetch_that_goes_back_to_the_beginning_is_not_applied() -> None:
    store = Store(900, {**states_of(range(900)), b"kept": b"1"})
    brokers = Brokers(Leader(TRUE), commits=[commits(1131)])
    brokers.resets_to = 0
    rig = Rig(brokers, store)
    assert await rig.read() == Recovered(commits(1131), {3: 1131}, 231)


async def test_commits_older_than_the_changelog_are_asked_for_again() -> None:
    """A coordinator that was cut off answers with old offsets: new states would be folded with them twice."""
    rig = Rig(Brokers(Leader(TRUE), commits=[commits(600), commits(600), commits(1131)]))
    assert await rig.read() == Recovered(commits(1131), {3: 1131}, 1131)
    assert "stale_broker" in rig.observer.errors


async def test_a_store_that_has_more_than_the_commits_know_has_them_asked_for_again() -> None:
    """A coordinator shows the offsets of a worker's own last transaction a moment after it has ended it."""
    store = Store(1131, states_of(TRUE))
    rig = Rig(Brokers(Leader(TRUE), commits=[commits(900), commits(900), commits(1131)]), store)
    recovered = await rig.read()
    assert (recovered.committed, recovered.ends) == (commits(1131), {3: 1131})
    assert (store.cleared, store.states) == (0, states_of(TRUE))


async def test_control_records_at_the_end_are_not_waited_for() -> None:
    rig = Rig(Brokers(Leader(range(20), end=25), commits=[commits(20)]))
    assert await rig.read() == Recovered(commits(20), {3: 25}, 20)


async def test_a_cluster_that_does_not_answer_is_asked_again() -> None:
    brokers = Brokers(Leader(TRUE), commits=[commits(1131)])
    brokers.fails = [KafkaTimeoutError(), OSError("no route")]
    rig = Rig(brokers)
    assert (await rig.read()).ends == {3: 1131}
    assert rig.waits.sentences() == ()


async def test_what_no_asking_again_will_mend_ends_the_recovery() -> None:
    brokers = Brokers(Leader(TRUE), commits=[commits(1131)])
    brokers.fails = [TopicAuthorizationFailedError("changelog")]
    with pytest.raises(TopicAuthorizationFailedError):
        await Rig(brokers).read()
