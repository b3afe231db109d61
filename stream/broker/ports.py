"""Finds a free port, never one of the ephemeral range (from 32768 on Linux).

There a client that reconnects to a broker that is down can get the broker's own port as its local one, and
then holds it.
"""

from __future__ import annotations

import random
import socket

from stream.broker.failure import BrokerError

DEFAULT_PORT = 9092
_FROM, _TO = 20_000, 32_000


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1)
        except OSError:
            return False
    return True


def free_port(preferred: int = 0, *, but_not: int = 0) -> int:
    """`preferred` if it is free, or any other one; 0: any."""
    if preferred and is_free(preferred):
        return preferred
    for port in random.sample(range(_FROM, _TO), 200):
        if port != but_not and is_free(port):
            return port
    raise BrokerError(f"No free port between {_FROM} and {_TO} on 127.0.0.1.")
