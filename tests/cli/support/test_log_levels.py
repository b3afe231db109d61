"""What belongs to each start and stop is not logged as a fault, and what goes on is."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from stream.cli.support import log_levels
from stream.cli.support.log_levels import FIRST_START_S, Lowered

STARTING = "Group Coordinator Request failed: GroupCoordinatorNotAvailableError"


@pytest.fixture
def client() -> Iterator[logging.Logger]:
    logger = logging.getLogger("callstream.test_of_a_client")
    yield logger
    logger.filters.clear()
    logger.setLevel(logging.NOTSET)


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


def test_what_each_start_says_is_no_fault_and_what_goes_on_is_one(
    client: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 100.0
    client.addFilter(Lowered(STARTING, FIRST_START_S, lambda: now_s))
    client.setLevel(logging.WARNING)
    client.error("%s", STARTING)
    now_s += FIRST_START_S
    client.error("%s", STARTING)
    assert levels(caplog) == []
    client.error("Group Coordinator Request failed: GroupAuthorizationFailedError")
    now_s += 1
    client.error("%s", STARTING)
    assert levels(caplog) == ["ERROR", "ERROR"]


def test_a_log_of_more_has_it_at_its_own_level(
    client: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    client.addFilter(Lowered("Timer livelock "))
    client.setLevel(logging.INFO)
    client.warning("Timer %s is overlapping", "livelock")
    client.warning("Timer %s is overlapping", "other")
    assert levels(caplog) == ["INFO", "WARNING"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("aiokafka.consumer.group_coordinator", STARTING),
        ("mode.timers", "Timer livelock is overlapping (interval=2.5 runtime=3.0)"),
        ("asyncio", "Unclosed AIOKafkaConnection\nconn: <AIOKafkaConnection host=127.0.0.1 port=9092>"),
    ],
)
def test_what_the_libraries_say_at_starts_and_stops_is_not_logged(
    name: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger(name)
    filters, level = list(logger.filters), logger.level
    try:
        logger.setLevel(logging.WARNING)
        log_levels.lower()
        logger.error(text)
        logger.error("something else")
        assert [record.getMessage() for record in caplog.records] == ["something else"]
    finally:
        logger.filters[:] = filters
        logger.setLevel(level)
