"""Listening sockets, and how connections are accepted: never more than there is room for.

Room is made by cutting an idle connection. Where the system has no descriptor left even so, this is logged
once a minute, idle connections are cut, and the next one is accepted a second later.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from stream.service.errors import describe
from stream.service.http.connections import Connections

BACKLOG = 1024
"""How many connections may wait to be accepted. A client's system retries others after 1, 3 and 7 s, which is
longer than a provider waits for a connection.
"""
ACCEPTED_AT_ONCE = 16
"""Connections accepted in one turn of the event loop."""

HANDSHAKE_S = 5.0
TLS_GOODBYE_S = 2.0
"""Limit of TLS's closing handshake: a client that does not read would hold its descriptor longer."""

INHERITED = "fd"

RETRY_S = 1.0
LOG_EVERY_S = 60.0

_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

MORE_FILES = ": raise the limit of open files (ulimit -n, LimitNOFILE); idle connections are cut"

log = logging.getLogger("callstream.http")


class ListenError(Exception):
    """The address cannot be listened on. The message says why, and which setting to change."""


def no_address(_: str) -> bool:
    """Rejects no address."""
    return False


class Listening:
    """Accepts connections for `protocol` until it is closed. `connections` knows all that were accepted."""

    def __init__(
        self,
        sockets: list[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        connections: Connections,
        tls: ssl.SSLContext | None = None,
        rejects: Callable[[str], bool] = no_address,
    ) -> None:
        """`rejects`: whether connections of an address are not accepted now; asked for each one."""
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._protocol = protocol
        self._connections = connections
        self._rejects = rejects
        self._tls: dict[str, Any] = {}
        if tls is not None:
            self._tls = {
                "ssl": tls,
                "ssl_handshake_timeout": HANDSHAKE_S,
                "ssl_shutdown_timeout": TLS_GOODBYE_S,
            }
        self._handshakes: set[asyncio.Task[Any]] = set()
        self._logged_s = -LOG_EVERY_S
        self._closed = False
        for one in sockets:
            self._loop.add_reader(one, self._accept, one)

    @property
    def addresses(self) -> list[tuple[Any, ...]]:
        return [one.getsockname() for one in self._sockets]

    async def close(self) -> None:
        """Stop accepting. Accepted connections go on."""
        self._closed = True
        while self._sockets:
            one = self._sockets.pop()
            self._loop.remove_reader(one)
            one.close()
        if self._tls:  # a client in a TLS handshake has sent no request yet
            for task in self._handshakes:
                task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return  # none left, or one that was closed before it was accepted
            except OSError as error:
                self._pause(listening, error)
                return
            if self._rejects(peer[0]):
                accepted.close()
                self._connections.cut += 1
                continue
            crowded = self._connections.is_full()
            if crowded and not self._connections.make_room():
                accepted.close()
                continue
            self._connect(accepted)
            if crowded:
                return  # leave this one the time to send its request

    def _connect(self, accepted: socket.socket) -> None:
        """Begin the handshake. Until its end the connection is one without a request, which may be cut."""
        accepted.setblocking(False)
        protocol = self._protocol()
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(lambda: protocol, accepted, **self._tls)
        )
        self._connections.connected(protocol, task.cancel, time.monotonic())

        def ended(task: asyncio.Task[Any]) -> None:
            self._handshakes.discard(task)
            if task.cancelled() or task.exception() is not None:
                accepted.close()  # no TLS, no handshake in time, or closed again: there was no request
                self._connections.disconnected(protocol)

        self._handshakes.add(task)
        task.add_done_callback(ended)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        now_s = time.monotonic()
        if now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            count, advice = len(self._connections), MORE_FILES if error.errno in _NO_DESCRIPTOR else ""
            log.error("A connection cannot be accepted (%s) with %d open%s.", describe(error), count, advice)
        if error.errno in _NO_DESCRIPTOR:
            self._connections.shed(ACCEPTED_AT_ONCE)
        self._loop.remove_reader(listening)
        self._loop.call_later(RETRY_S, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if not self._closed:
            self._loop.add_reader(listening, self._accept, listening)


async def bound(listen: str, setting: str) -> list[socket.socket]:
    """Listening sockets at each address of `host:port`. Raises ListenError, which names `setting`.

    `fd:number` is a socket that the parent process listens on and has passed on.
    """
    host, port = address(listen, setting)
    loop = asyncio.get_running_loop()
    made: list[socket.socket] = []
    try:
        if host == INHERITED:
            made.append(socket.socket(fileno=port))
            made[0].setblocking(False)
            return made
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, *_, where in dict.fromkeys(infos):
            made.append(socket.create_server(where, family=family, backlog=BACKLOG))
            made[-1].setblocking(False)
    except OSError as error:
        for one in made:
            one.close()
        raise ListenError(_why(listen, setting, error)) from error
    return made


def address(listen: str, setting: str) -> tuple[str, int]:
    """(host, port) of `host:port` or `[v6]:port`. Raises ListenError."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ListenError(f"{setting}: {listen!r} is not host:port")
    return host, int(port)


def is_this_machine(host: str) -> bool:
    """Whether a host is `localhost` or a loopback address."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or (mapped is not None and mapped.is_loopback)


def _why(listen: str, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{listen} is in use by another program: stop it, or set {setting} to another address"
    if error.errno == errno.EACCES:
        return f"{listen} may not be used by this user: set {setting} to a port above 1023"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{listen} is not an address of this machine: set {setting} to one that is"
    return f"cannot listen on {listen} ({describe(error)}): see {setting}"
