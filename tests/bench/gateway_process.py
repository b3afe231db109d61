"""Candidate: a gateway that serves until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from stream.gateway.service import serving
from stream.kafka import topics
from stream.service.settings import Settings
from tests.bench.candidate import Task, give_back, rss_mb, task
from tests.bench.http_load import TOKEN

ADDRESS = "address"
"""The file with the address that it listens on, written once it does."""


def settings_of(asked: Task) -> Settings:
    """The defaults, on the task's broker, with the load's token."""
    return Settings(
        kafka=asked.bootstrap,
        topic_prefix=asked.prefix,
        partitions=asked.partitions,
        data_dir=Path(asked.directory),
        gateway_listen="127.0.0.1:0",
        gateway_health_listen="127.0.0.1:0",
        twilio_auth_token=(TOKEN,),
    )


async def _serve(asked: Task) -> None:
    chosen = settings_of(asked)
    await topics.ensure(chosen.kafka, chosen)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(chosen) as at:
        (Path(asked.directory) / (ADDRESS + ".new")).write_text(at.webhooks)
        (Path(asked.directory) / (ADDRESS + ".new")).rename(Path(asked.directory) / ADDRESS)
        await stop.wait()


def main() -> int:
    asked = task()
    asyncio.run(_serve(asked))
    give_back({"rss_mb": rss_mb()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
