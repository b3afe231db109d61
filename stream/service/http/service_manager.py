"""Tells systemd that a role is ready, as sd_notify(3) does: for units with `Type=notify`."""

from __future__ import annotations

import os
import socket

_ADDRESS = "NOTIFY_SOCKET"


def waits() -> bool:
    """Whether this process was started by a service manager that waits to be told."""
    return bool(os.environ.get(_ADDRESS))


def notify(state: str) -> None:
    """Send a state such as `READY=1`. Raises OSError.

    An address that begins with `@` is in Linux' abstract namespace, where the first byte is 0.
    """
    address = os.environ[_ADDRESS]
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(state.encode(), address)
