"""One thing that was looked at, and what it is like.

The rule of this file: a text from elsewhere is made plain before it is shown.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

State = Literal["ok", "warning", "failed", "unknown"]

PLAIN_LIMIT = 300

_NUMBER = re.compile(r"[0-9]{7,}")


class Check(NamedTuple):
    """`says` what is so, `mend` what to do about it; both are sentences without their full stop."""

    name: str
    state: State
    says: str
    mend: str = ""


def plain(text: str) -> str:
    """One line that a terminal shows as it is, without long numbers."""
    text = _NUMBER.sub("***", "".join(letter if letter.isprintable() else "?" for letter in text))
    return text if len(text) <= PLAIN_LIMIT else text[:PLAIN_LIMIT] + "…"
