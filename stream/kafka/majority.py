"""Which broker coordinates a group or a transaction, when one of them was cut off and does not know it.

The rule of this file: more than half of the brokers must name it. A former coordinator goes on to answer
heartbeats, and offsets as it last knew them; it takes no transaction, and does not say so.
Pure: decides, and asks nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def agreed(named: Iterable[int], brokers: int) -> int | None:
    """The coordinator that more than half of `brokers` name, None where there is none."""
    ((coordinator, votes),) = Counter(named).most_common(1) or [(-1, 0)]
    return coordinator if 2 * votes > brokers else None
