"""Too many connections, idle and silent ones: which goes, and which stays. By a clock that the test moves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stream.service.http.connections import (
    FEWEST,
    PAUSE_S,
    REFUSED_AT_ONCE,
    RESERVE,
    Connections,
    connections_at_most,
)


class Transport:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Room:
    """Connections by a name each; `there`: those that were not cut."""

    def __init__(self, at_most: int = 100) -> None:
        self.known = Connections(at_most)
        self.transports: dict[str, Transport] = {}

    def comes(self, *names: str, now_s: float = 0.0) -> None:
        for name in names:
            self.transports[name] = Transport()
            self.known.connected(name, self.transports[name].abort, now_s)

    def asks(self, name: str, now_s: float, *, good: bool = False) -> None:
        self.known.request_started(name, now_s)
        self.known.request_ended(name, now_s, good=good)

    @property
    def there(self) -> list[str]:
        return [name for name, transport in self.transports.items() if not transport.aborted]


def test_where_there_is_room_nobody_goes() -> None:
    room = Room(at_most=3)
    room.comes("a", "b")
    assert room.known.make_room()
    assert room.there == ["a", "b"]
    assert len(room.known) == 2


def test_of_too_many_the_longest_idle_goes_and_not_the_youngest() -> None:
    room = Room(at_most=3)
    room.comes("a", "b", "c")
    room.asks("a", 5.0)
    assert room.known.make_room()
    assert room.there == ["a", "c"]
    room.comes("d", now_s=6.0)
    assert room.known.make_room()
    assert room.there == ["a", "d"]


def test_those_that_were_never_granted_anything_go_before_those_that_were() -> None:
    room = Room(at_most=3)
    room.comes("provider", "stranger", "guest")
    room.asks("provider", 0.0, good=True)
    room.asks("guest", 9.0)
    room.known.make_room()
    assert room.there == ["provider", "guest"]
    room.comes("newer", now_s=9.5)
    room.known.make_room()
    assert room.there == ["provider", "newer"]


def test_those_that_do_not_read_their_answers_go_first() -> None:
    room = Room(at_most=2)
    room.comes("deaf", "idle")
    room.known.request_started("deaf", 1.0)
    room.known.write_blocked("deaf")
    room.known.make_room()
    assert room.there == ["idle"]


def test_a_client_that_reads_again_is_at_work_as_before() -> None:
    room = Room(at_most=1)
    room.comes("slow")
    room.known.request_started("slow", 1.0)
    room.known.write_blocked("slow")
    room.known.write_unblocked("slow")
    assert not room.known.make_room()
    assert room.there == ["slow"]


def test_while_all_are_at_work_another_has_no_room() -> None:
    room = Room(at_most=2)
    room.comes("a", "b")
    room.known.request_started("a", 0.0)
    room.known.request_started("b", 0.0)
    assert not room.known.make_room()
    assert (room.there, room.known.cut) == (["a", "b"], 1)
    room.known.request_ended("a", 1.0, good=True)
    assert room.known.make_room()


def test_a_handshake_that_lasts_goes_before_one_that_has_ended_later() -> None:
    room = Room(at_most=3)
    room.comes("quick", "handshake")
    room.known.connected("quick", room.transports["quick"].abort, 1.0)
    room.comes("new", now_s=2.0)
    assert room.known.make_room()
    assert room.there == ["quick", "new"]


def test_a_silent_connection_is_cut_when_its_time_is_over_and_not_before() -> None:
    room = Room()
    room.comes("old")
    room.comes("young", now_s=5.0)
    room.known.enforce_limits(9.9)
    assert room.there == ["old", "young"]
    room.known.enforce_limits(10.0)
    assert (room.there, room.known.cut) == (["young"], 1)


def test_a_connection_between_two_requests_has_longer() -> None:
    room = Room()
    room.comes("a")
    room.asks("a", 1.0)
    room.known.enforce_limits(35.9)
    assert room.there == ["a"]
    room.known.enforce_limits(36.0)
    assert room.there == []


def test_a_request_that_is_not_done_or_not_read_after_half_a_minute_costs_its_connection() -> None:
    room = Room()
    room.comes("working", "deaf", "done")
    for name in room.there:
        room.known.request_started(name, 0.0)
    room.known.write_blocked("deaf")
    room.known.request_ended("done", 29.0, good=True)
    room.known.enforce_limits(30.0)
    assert room.there == ["done"]


def test_a_client_that_is_always_refused_waits_and_one_that_was_once_granted_something_does_not() -> None:
    room = Room()
    room.comes("scanner", "provider")
    room.asks("provider", 0.0, good=True)
    for name in room.there:
        for _ in range(REFUSED_AT_ONCE):
            room.known.request_started(name, 1.0)
            assert room.known.request_ended(name, 1.0, good=False) == 0.0
        room.known.request_started(name, 1.0)
    assert room.known.request_ended("scanner", 1.0, good=False) == PAUSE_S
    assert room.known.request_ended("provider", 1.0, good=False) == 0.0


def test_what_is_gone_is_forgotten() -> None:
    room = Room(at_most=1)
    room.comes("a")
    room.known.disconnected("a")
    assert len(room.known) == 0
    room.known.request_ended("a", 1.0, good=True)
    assert len(room.known) == 0


def test_shedding_cuts_so_many_idle_ones_and_none_at_work() -> None:
    room = Room()
    room.comes("a", "b", "c", "working")
    room.known.request_started("working", 0.0)
    room.known.shed(2)
    assert room.there == ["c", "working"]
    room.known.shed(9)
    assert room.there == ["working"]


@pytest.mark.parametrize(
    ("wanted", "limit", "granted"),
    [
        (4096, 1_048_576, 4096),
        (4096, 1024, 1024 - RESERVE),
        (4096, 200, 200 - RESERVE),
        (4096, 100, FEWEST),
    ],
)
def test_connections_leave_what_a_role_needs_for_itself(wanted: int, limit: int, granted: int) -> None:
    assert connections_at_most(wanted, limit) == granted


def test_the_soft_limit_becomes_the_hard_one() -> None:
    program = (
        "import json, resource\n"
        "from stream.service.http.connections import raise_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))\n"
        "print(json.dumps([raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [300, 300, 300]
