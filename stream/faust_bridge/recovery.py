"""Faust's recovery, with the engine's reading of the changelog in its place.

Sources are read only after the changelogs of the present assignment were read as far as the committed offsets
need them, from those offsets, and both are asked for only after the former owners were fenced.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import cast

from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.types import TP
from faust.types.transports import ConsumerT

from stream.engine.group import AssignmentOver
from stream.engine.lanes import Lanes
from stream.engine.status import end_process
from stream.service.errors import describe

log = logging.getLogger("callstream.lanes")


class DirectRecovery(Recovery):
    """Faust's recovery with the engine's reading of changelogs, 7 to 20 times as fast.

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
        """Replaces Recovery._seek_offsets: `Lanes.recover` seeks."""

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Extends Recovery.on_recovery_completed: read before it, open the generation after it.

        It makes sources fetchable before it has sought, and clears the agents' queues afterwards.
        """
        lanes = cast(Lanes, self.app.lanes)
        try:
            await lanes.recover({tp.partition for tp in self.active_tps}, generation_id)
            await super().on_recovery_completed(generation_id)
            await lanes.start(generation_id)
        except RebalanceAgain:
            raise
        except AssignmentOver as error:
            raise RebalanceAgain() from error
        except Exception as error:
            if generation_id != lanes.group.generation:
                raise RebalanceAgain() from error
            log.exception("recovery failed")
            end_process(f"recovery failed: {describe(error)}")


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
