"""Records several times a second what the group has committed on each lane, and which nodes lead.

It asks healthy nodes only, without a client library, which might wait for a broken one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.e2e.cluster import kafka_requests
from tests.e2e.cluster.cluster import GROUPS, TRANSACTIONS, Cluster
from tests.e2e.harness import wait_until

EVERY_S = 0.15


class Look(NamedTuple):
    """`at`: monotonic seconds. `led`: everything is, by nodes that are well."""

    at: float
    lanes: tuple[int, ...]
    """Records committed of each."""
    fed: tuple[int, ...]
    """Records that are there for each."""
    led: bool


class Recovery(NamedTuple):
    """Seconds after a fault."""

    led_s: float
    """Until everything was led again."""
    at_work_s: float
    """Until each lane had committed something after that."""
    after_led_s: float
    """The longest that a lane which was led and had records waiting committed none."""


@dataclass
class ProgressWatch:
    """Of a group that reads `sources`; `totals`: how many records each lane gets. `ill`: nodes not asked."""

    cluster: Cluster
    group: str
    sources: Sequence[str]
    topics: Sequence[str]
    totals: Sequence[int]
    ill: set[int] = field(default_factory=set)
    looks: list[Look] = field(default_factory=list)

    def __enter__(self) -> ProgressWatch:
        self._places = [(topic, lane) for topic in self.sources for lane in range(len(self.totals))]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def committed(self) -> int:
        return sum(self.looks[-1].lanes) if self.looks else 0

    def share(self) -> float:
        return self.committed() / sum(self.totals)

    def wait(self, share: float, timeout_s: float = 120.0) -> float:
        """Until this share is committed. Returns the share that is."""
        wait_until(lambda: self.share() >= share, f"{share:.1%} committed", timeout_s)
        return self.share()

    def wait_went_on(self, since: float, timeout_s: float = 120.0) -> Recovery:
        """Until every lane has committed something after everything was led again."""
        found: list[Recovery] = []

        def went_on() -> bool:
            found[:] = [times] if (times := self._went_on(since)) else []
            return bool(found)

        try:
            wait_until(went_on, "every lane went on", timeout_s)
        except AssertionError:
            raise AssertionError(f"{timeout_s} s after the fault: {self.looks[-1:]}") from None
        return found[0]

    def _went_on(self, since: float) -> Recovery | None:
        after = [look for look in list(self.looks) if look.at >= since]
        begin = next((look for look in after if look.led), None)
        if begin is None:
            return None
        after = [look for look in after if look.at >= begin.at]
        latest, stood_s = begin.at, 0.0
        for lane, total in enumerate(self.totals):
            if begin.lanes[lane] >= total:
                continue  # there is nothing left to do
            waits = next((look.at for look in after if look.fed[lane] > look.lanes[lane]), None)
            at = next((look.at for look in after if look.lanes[lane] > begin.lanes[lane]), None)
            if at is None:
                return None
            latest = max(latest, at)
            stood_s = max(stood_s, at - (waits or at))
        return Recovery(begin.at - since, latest - since, stood_s)

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            try:
                self._look()
            except (OSError, StopIteration):
                continue  # a node that is going or coming: the next look asks again

    def _look(self) -> None:
        asked = self.cluster.healthy(but_not=self.ill)
        at = time.monotonic()
        found = kafka_requests.partitions(asked.client, [*self.topics, GROUPS, TRANSACTIONS])
        led = self.cluster.well_led(found, self.ill)
        none = Look(at, (0,) * len(self.totals), (0,) * len(self.totals), False)
        before = self.looks[-1] if self.looks else none
        by_lane = before.lanes
        coordinator = kafka_requests.coordinator(asked.client, self.group)
        if coordinator > 0 and coordinator not in self.ill and self.cluster.nodes[coordinator].running:
            answer = kafka_requests.committed(
                self.cluster.nodes[coordinator].client, self.group, self._places
            )
            if len(answer) == len(self._places):
                by_lane = self._by_lane(answer)
        ends: dict[kafka_requests.TopicAndPartition, int] = {}
        for number, node in self.cluster.nodes.items():
            own = [place for place in self._places if found[place].leader == number]
            if own and number not in self.ill and node.running and not node.frozen:
                ends |= kafka_requests.ends(node.client, own)
        fed = self._by_lane(ends) if len(ends) == len(self._places) else before.fed
        self.looks.append(Look(at, by_lane, fed, led))

    def _by_lane(self, by_place: Mapping[kafka_requests.TopicAndPartition, int]) -> tuple[int, ...]:
        return tuple(sum(by_place[topic, lane] for topic in self.sources) for lane in range(len(self.totals)))
