"""The result of one check. Text from other programs is made plain before it is shown."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

State = Literal["ok", "warning", "failed", "unknown"]

PLAIN_LIMIT = 300

_NUMBER = re.compile(r"[0-9]{7,}")


class Check(NamedTuple):
    """`says`: what was found; `mend`: what to do about it. Both are sentences without a full stop."""

    name: str
    state: State
    says: str
    mend: str = ""


def plain(text: str) -> str:
    """One printable line without long numbers."""
    text = _NUMBER.sub("***", "".join(letter if letter.isprintable() else "?" for letter in text))
    return text if len(text) <= PLAIN_LIMIT else text[:PLAIN_LIMIT] + "…"
