"""A signal asks, and ends nothing by itself; garbage is collected rarely."""

from __future__ import annotations

import asyncio
import gc
import os
import signal

import pytest

from stream.service.process import COLLECT_AFTER, SIGNALS, collect_rarely, stop_asked, unless


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_is_heard_and_the_handlers_are_gone_afterwards(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_asked() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), number)
        await asked.wait()
    assert signal.getsignal(number) == (before if number is signal.SIGTERM else signal.default_int_handler)


async def test_a_block_within_another_hears_the_same_signal() -> None:
    with stop_asked() as outer:
        with stop_asked() as inner:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        await outer.wait()
        assert inner is outer
    with stop_asked() as later:
        assert not later.is_set()


async def test_work_is_done_unless_we_are_asked_to_stop() -> None:
    asked = asyncio.Event()
    assert await unless(asked, asyncio.sleep(0, 7)) == 7
    with pytest.raises(ValueError, match="bad"):
        await unless(asked, failing())
    asyncio.get_running_loop().call_soon(asked.set)
    assert await unless(asked, asyncio.sleep(60, 7)) is None


async def failing() -> None:
    raise ValueError("bad")


def test_a_role_looks_for_garbage_rarely_and_keeps_what_it_began_with() -> None:
    before, known = gc.get_threshold(), gc.get_freeze_count()
    kept = [[number] for number in range(1000)]
    try:
        collect_rarely()
        assert gc.get_threshold() == COLLECT_AFTER
        assert gc.get_freeze_count() >= known + len(kept)
    finally:
        gc.set_threshold(*before)
