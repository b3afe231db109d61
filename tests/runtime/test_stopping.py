"""A signal asks, and ends nothing by itself."""

from __future__ import annotations

import os
import signal

import pytest

from stream.runtime.stopping import SIGNALS, stop_asked


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_is_heard_and_the_handlers_are_gone_afterwards(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_asked() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), number)
        await asked.wait()
    assert signal.getsignal(number) == (before if number is signal.SIGTERM else signal.default_int_handler)
