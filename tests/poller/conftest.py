"""The setup of a read. All of its output is searched for credentials."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from tests.poller.pages.read_fixture import ReadSetup, no_secrets_in, read_setup


@pytest.fixture
async def setup(caplog: pytest.LogCaptureFixture) -> AsyncIterator[ReadSetup]:
    caplog.set_level(logging.DEBUG)
    async with read_setup() as setup:
        yield setup
    for letter in setup.writer.dead_letters:
        no_secrets_in(letter)
    for row in setup.writer.rows:
        no_secrets_in(row)
    no_secrets_in(
        caplog.text,
        [record.__dict__ for record in caplog.records],
        setup.metrics.__dict__,
        setup.limiter.answers,
    )
