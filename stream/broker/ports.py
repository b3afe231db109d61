"""Finds a free port, never one of the ephemeral range (from 32768 on Linux).

There a client that reconnects to a broker that is down can get the broker's own port as its local one, and
then holds it.
"""

from __future__ import annotations

import errno
import random
import socket

from stream.broker.failure import BrokerError

DEFAULT_PORT = 9092
LOCALHOST = "127.0.0.1"
_FROM, _TO = 20_000, 32_000


def is_free(port: int, host: str = LOCALHOST) -> bool:
    """Whether one can listen there. A host that is not of this machine is not for us to refuse."""
    try:
        for family, *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            socket.create_server(where, family=family, backlog=1).close()
    except OSError as error:
        return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


def free_port(preferred: int = 0, *, but_not: int = 0, host: str = LOCALHOST) -> int:
    """`preferred` if it is free, or any other one; 0: any."""
    if preferred and is_free(preferred, host):
        return preferred
    for port in random.sample(range(_FROM, _TO), 200):
        if port != but_not and is_free(port, host):
            return port
    raise BrokerError(f"No free port between {_FROM} and {_TO} on {host}.")
