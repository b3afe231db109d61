"""What is held back of a log, and what never is."""

from __future__ import annotations

import logging

from stream.cli.support.log_throttle import ClientLogThrottle


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def record(name: str, text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "file.py", 1, text, args, None)


def test_a_clients_complaint_passes_once_and_then_says_how_often_it_came() -> None:
    clock = Clock()
    repeats = ClientLogThrottle(clock)
    assert repeats.filter(record("aiokafka", "Unable to connect to node %s", 1))
    assert not any(repeats.filter(record("aiokafka", "Unable to connect to node %s", n)) for n in range(500))
    clock.now += 10
    again = record("aiokafka", "Unable to connect to node %s", 1)
    assert repeats.filter(again)
    assert again.getMessage() == "Unable to connect to node 1 (and 500 times before)"


def test_another_complaint_and_another_part_of_the_client_pass_too() -> None:
    repeats = ClientLogThrottle(Clock())
    assert repeats.filter(record("aiokafka", "one"))
    assert repeats.filter(record("aiokafka", "another"))
    assert repeats.filter(record("aiokafka.consumer.fetcher", "one"))


def test_what_callstream_says_is_never_held_back() -> None:
    repeats = ClientLogThrottle(Clock())
    assert all(repeats.filter(record("callstream.lanes", "the same")) for _ in range(3))
