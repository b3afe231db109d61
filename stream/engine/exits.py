"""How the process ends when it must not go on.

The rule of this file: what could write once more after it should not is ended at once, with one clear line.
A graceful stop would send the rest of the producers' buffers.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

START_AGAIN = 75
"""EX_TEMPFAIL: nothing is lost, a supervisor may start the process again."""

DISK = 1
"""The data directory takes no writes: a person mends that, and a restart does not."""

OWN_FAULT = 70
"""EX_SOFTWARE: the same batch failed too often; starting again will most likely end here again."""

MISFIT = 78
"""EX_CONFIG: topics or group do not fit this program."""

log = logging.getLogger("callstream.lanes")


def end_process(reason: str, code: int = START_AGAIN) -> NoReturn:
    """End the process now. Open transactions are aborted by whoever takes over."""
    log.critical("ending the process (exit code %d): %s", code, reason)
    for handler in logging.getLogger().handlers + log.handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
