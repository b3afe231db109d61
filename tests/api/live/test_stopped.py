"""What a client is told when the role stops."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

from stream.api import service
from stream.api.server import CLOSE_S
from stream.service.settings import ApiSettings
from stream.service.tables.api_tokens import read_tokens
from tests.api.clients import ALL, TOKENS
from tests.api.live.following import following
from tests.api.live.test_feed import Topic, topic
from tests.notify.sinks.stub_sinks import until

__all__ = ["topic"]


async def test_a_live_stream_ends_at_once_and_says_why(topic: Topic, tmp_path: Path) -> None:
    topic.may_close.set()
    chosen = ApiSettings(
        kafka="127.0.0.1:9",
        data_dir=tmp_path,
        api_listen="127.0.0.1:0",
        api_health_listen="127.0.0.1:0",
        api_tokens=read_tokens("\n".join(TOKENS)),
    )
    async with AsyncExitStack() as stack:
        async with service.serving(chosen) as api:
            follower = await stack.enter_async_context(following(api.url, ALL))
            began_s = time.monotonic()
        assert time.monotonic() - began_s < CLOSE_S
        await until(lambda: bool(follower.said), "it was told", 5)
    assert follower.said == [("end", "stopping")]
