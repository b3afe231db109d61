"""Which records of a topic are shown, and in which colour: by what their JSON says, as it is shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from stream.cli.support.terminal import Misuse

_RED = frozenset({"critical", "error", "failed"})
_YELLOW = frozenset({"warning", "busy", "no_answer", "canceled", "rejected"})
_TELLING = ("severity", "level", "outcome")
"""Fields that decide a line's colour, the first that is there."""


class RecordFilter:
    """Lets a record through whose key contains one of `keys`, and whose fields have the wanted values.

    - `wanted`: values by the path of a field (`rule.id`). Several of one field are alternatives.
    """

    def __init__(self, keys: Sequence[str] = (), wanted: Mapping[str, Sequence[str]] | None = None) -> None:
        self._keys = keys
        self._wanted = {tuple(path.split(".")): values for path, values in (wanted or {}).items()}

    def takes(self, key: str, text: str) -> bool:
        if self._keys and not any(part in key for part in self._keys):
            return False
        if not self._wanted:
            return True
        value = _parsed(text)
        return all(_at(value, path) in values for path, values in self._wanted.items())


def record_filter(keys: Sequence[str], conditions: Sequence[str]) -> RecordFilter:
    """`conditions`: as `NAME=VALUE`. Raises Misuse."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for condition in conditions:
        path, equals, value = condition.partition("=")
        if not path or not equals:
            raise Misuse(f"--where {condition}: it is NAME=VALUE, as in status=failed or rule.id=call.failed")
        wanted[path].append(value)
    return RecordFilter(keys, wanted)


def colour_of(text: str) -> str | None:
    """The colour of a record's line; None for an ordinary one."""
    value = _parsed(text)
    if not isinstance(value, dict) or value.get("state") == "resolved":
        return None
    told = next((value[name] for name in _TELLING if isinstance(value.get(name), str)), None)
    return "red" if told in _RED else "yellow" if told in _YELLOW else None


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _at(value: Any, path: tuple[str, ...]) -> str | None:
    """The value at a path as it is written in JSON, a text without its quotes; None if there is none."""
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value if isinstance(value, str) else orjson.dumps(value).decode()
