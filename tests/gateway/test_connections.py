"""Too many connections, and silent ones. What a cut client sees is the server's tests' business."""

from __future__ import annotations

from stream.gateway.connections import Connections


class Transport:
    def __init__(self) -> None:
        self.aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Connection:
    def __init__(self) -> None:
        self.transport = Transport()


def test_of_too_many_connections_the_youngest_are_cut() -> None:
    connections = Connections(at_most=3)
    there = [Connection() for _ in range(5)]
    connections.look(there, 0.0)
    assert [one.transport.aborted for one in there] == [False, False, False, True, True]
    connections.look(there, 0.1)
    assert connections.cut == 2


def test_a_silent_connection_is_cut_when_its_time_is_over_and_not_before() -> None:
    connections = Connections(first_request_s=10)
    old, young = Connection(), Connection()
    connections.look([old], 0.0)
    connections.look([old, young], 9.9)
    assert (old.transport.aborted, young.transport.aborted) == (False, False)
    connections.look([old, young], 10.0)
    assert (old.transport.aborted, young.transport.aborted) == (True, False)
