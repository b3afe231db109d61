"""The image's health check: whether the role in this container is live. Exit code 0 if so, else 1.

A container runs one role, not known here: the one that answers. `/livez`, not `/readyz`: some
orchestrators restart an unhealthy container, and a restart does not bring Kafka back.
"""

from __future__ import annotations

import os
import sys
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

LISTENS = {
    "CALLSTREAM_GATEWAY_HEALTH_LISTEN": "127.0.0.1:8084",
    "CALLSTREAM_WORKER_LISTEN": "127.0.0.1:8081",
    "CALLSTREAM_POLLER_LISTEN": "127.0.0.1:8082",
    "CALLSTREAM_NOTIFY_LISTEN": "127.0.0.1:8085",
    "CALLSTREAM_ARCHIVE_LISTEN": "127.0.0.1:8086",
    "CALLSTREAM_API_HEALTH_LISTEN": "127.0.0.1:8088",
}
"""Where a role's own HTTP is, with the defaults of the settings."""

TIMEOUT_S = 3.0


def live(listen: str) -> bool | None:
    """Whether the role that listens there is live; None if none does."""
    host, _, port = listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    try:
        with urlopen(f"http://{host}:{port}/livez", timeout=TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False
    except (URLError, OSError) as error:
        refused = isinstance(getattr(error, "reason", error), ConnectionRefusedError)
        return None if refused else False


if __name__ == "__main__":
    answers = [live(os.environ.get(name, default)) for name, default in LISTENS.items()]
    sys.exit(0 if True in answers and False not in answers else 1)
