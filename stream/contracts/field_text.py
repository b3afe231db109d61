"""What a schema says of a field beside its type, and rules that many fields have."""

from __future__ import annotations

from typing import Any, NamedTuple

MISSING: Any = object()


class Field(NamedTuple):
    """What a schema says of a field beside its type.

    - `example`: MISSING where it is composed of the examples of the fields inside.
    - `known`: words of a vocabulary that may grow. They are listed for a reader; only a closed schema refuses
      others.
    - `always`: never null in what is written, though the type allows it; `optional`: may be left out.
    - `rules`: more keywords of JSON Schema.
    """

    description: str
    example: Any = MISSING
    known: tuple[str, ...] = ()
    always: bool = False
    optional: bool = False
    rules: dict[str, Any] = {}  # noqa: RUF012  a constant


def field(
    description: str,
    example: Any = MISSING,
    *,
    known: tuple[str, ...] = (),
    always: bool = False,
    optional: bool = False,
    **rules: Any,
) -> Field:
    return Field(description, example, known, always, optional, rules)


TIME: dict[str, Any] = {
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
}
ID: dict[str, Any] = {
    "format": "uuid",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
}
TEXT: dict[str, Any] = {"minLength": 1}
COUNT: dict[str, Any] = {"minimum": 0}
SIP: dict[str, Any] = {"minimum": 100, "maximum": 699}
