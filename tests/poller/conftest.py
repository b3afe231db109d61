"""The world in which a resource is read; whatever comes out of it is searched for credentials."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from tests.poller.pages.read_fixture import World, a_world, no_secrets_in


@pytest.fixture
async def world(caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    caplog.set_level(logging.DEBUG)
    async with a_world() as world:
        yield world
    for letter in world.beach.dead_letters:
        no_secrets_in(letter)
    for row in world.beach.rows:
        no_secrets_in(row)
    no_secrets_in(
        caplog.text, [record.__dict__ for record in caplog.records], world.told.__dict__, world.limiter.told
    )
