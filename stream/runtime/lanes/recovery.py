"""Reading the changelog straight into the store.

The rule of this file: sources are read only after the changelogs of the present assignment were read to their
ends, and the ends are asked for only after the former owners were fenced.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.types import TP
from faust.types.transports import ConsumerT

from stream.runtime.errors import said
from stream.runtime.lanes.exits import end_process
from stream.runtime.lanes.observer import Phase

if TYPE_CHECKING:
    from stream.runtime.lanes.app import LanesApp
    from stream.runtime.lanes.consumer import LaneConsumerThread

FETCH_WAIT_S = 0.1
"""Short, because a fetch that finds only control records goes on waiting."""

log = logging.getLogger("callstream.lanes")


class DirectRecovery(Recovery):
    """Faust's recovery with our reading of changelogs in place of its own, 7 to 20 times as fast.

    Faust waits for `end - 1` of each changelog, for ever where a control record has that offset.
    """

    logger = logging.getLogger("callstream.faust")

    async def _build_highwaters(
        self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str
    ) -> None:
        """Replaces Recovery._build_highwaters: nothing is left for Faust to recover."""
        destination.clear()

    async def _build_offsets(
        self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str
    ) -> None:
        """Replaces Recovery._build_offsets: the store knows them."""

    async def _seek_offsets(
        self, consumer: ConsumerT, tps: set[TP], offsets: Counter[TP], title: str
    ) -> None:
        """Replaces Recovery._seek_offsets: `read_changelogs` seeks."""

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Extends Recovery.on_recovery_completed: read before it, open the gate after it.

        It makes sources fetchable before it has sought, and clears the agents' queues afterwards.
        """
        app = cast("LanesApp", self.app)
        try:
            await self.read_changelogs(generation_id)
            await super().on_recovery_completed(generation_id)
            if generation_id == app.consumer_generation_id:
                await app.lanes.start(generation_id)
        except RebalanceAgain:
            raise
        except Exception as error:
            if generation_id != app.consumer_generation_id:
                raise RebalanceAgain() from error
            log.exception("recovery failed")
            end_process(f"recovery failed: {said(error)}")

    async def read_changelogs(self, generation: int) -> None:
        """Bring the states of every assigned partition up to its changelog's end."""
        app, began = cast("LanesApp", self.app), time.monotonic()
        app.lanes.enter(Phase.RECOVERING)
        thread = cast("LaneConsumerThread", cast(Any, app.consumer)._thread)
        tps = sorted(self.active_tps)
        ends, begins = (await thread.ends(tps), await thread.begins(tps)) if tps else ({}, {})
        if generation != app.consumer_generation_id:
            raise RebalanceAgain()
        at = {tp: self._start(tp, begins[tp], ends[tp]) for tp in tps}
        left = {tp for tp in tps if at[tp] < ends[tp]}
        total = 0
        if left:
            await thread.read_from({tp: at[tp] for tp in left})
        while left:
            app.lanes.observer.recovery(sum(ends[tp] - at[tp] for tp in left))
            fetched = await thread.fetch(left, FETCH_WAIT_S)
            if generation != app.consumer_generation_id or app.lanes.gate is not None:
                raise RebalanceAgain()
            app.lanes.heard(fetched.heard_ms, {})
            for atp, records in fetched.records.items():
                position = fetched.positions.get(TP(*atp), records[-1].offset + 1)
                app.states.apply(atp.partition, records, position)
                total += len(records)
            at.update((tp, fetched.positions[tp]) for tp in left if tp in fetched.positions)
            left = {tp for tp in left if at[tp] < ends[tp]}
            await asyncio.sleep(0)
        seconds = time.monotonic() - began
        app.lanes.observer.recovery(0)
        app.lanes.observer.recovered(len(tps), total, seconds)
        log.info("read %d changelog records of %d partitions in %.2f s", total, len(tps), seconds)

    def _start(self, tp: TP, begin: int, end: int) -> int:
        """Where to read from. States that the changelog does not bear out are forgotten: it is the truth."""
        states = cast("LanesApp", self.app).states
        known = states.position(tp.partition)
        if known is not None and begin <= known <= end:
            return known
        if known is not None:
            log.warning(
                "states of partition %d are of offset %d, outside its changelog's %d..%d: reading anew",
                tp.partition,
                known,
                begin,
                end,
            )
        states.clear(tp.partition)
        return begin


class LaneTableManager(TableManager):
    """Faust's table manager with our recovery."""

    logger = logging.getLogger("callstream.faust")

    @property
    def recovery(self) -> Recovery:
        """Replaces TableManager.recovery: it makes a faust.tables.recovery.Recovery."""
        if self._recovery is None:
            self._recovery: Recovery | None = DirectRecovery(
                self.app, self, beacon=self.beacon, loop=self.loop
            )
        return self._recovery
