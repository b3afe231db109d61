"""Which troubles are said in a log: each when it begins, and when it has been over for a while.

The rule of this file: it decides and says nothing; time is an argument. Of a thousand reads of which one in
ten fails, two lines are made and not two hundred.
"""

from __future__ import annotations

from collections.abc import Hashable

CALM_S = 60.0
"""So long nothing has failed, and the trouble is over."""


class LogOnce:
    """The troubles of many things that are done again and again."""

    def __init__(self) -> None:
        self._said: dict[Hashable, set[str]] = {}
        self._failed_s: dict[Hashable, float] = {}

    def failed(self, what: Hashable, kind: str, now_s: float) -> bool:
        """It failed in this way; whether that is to be said: once for each way until the trouble is over."""
        self._failed_s[what] = now_s
        said = self._said.setdefault(what, set())
        new = kind not in said
        said.add(kind)
        return new

    def succeeded(self, what: Hashable, now_s: float) -> bool:
        """It went well; whether it is to be said that the trouble is over."""
        failed_s = self._failed_s.get(what)
        if failed_s is None or now_s - failed_s < CALM_S:
            return False
        del self._failed_s[what], self._said[what]
        return True
