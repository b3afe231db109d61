"""What the settings that are tables of the TOML file share: how a table is read and what is said of it.

No message repeats a value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from stream.service import setting_kinds as kinds

Table = TypeVar("Table")


def tables(value: str) -> list[dict[str, Any]]:
    """Tables from JSON, the form in which those of the TOML file arrive. Raises ValueError."""
    try:
        return msgspec.json.decode(value or "[]", type=list[dict[str, Any]])
    except msgspec.DecodeError:
        raise ValueError("must be a list of tables") from None


def converted(number: int, table: dict[str, Any], kind: type[Table]) -> Table:
    """The table as a dataclass. Raises ValueError."""
    if unknown := set(table) - set(kind.__annotations__):
        raise ValueError(f"table {number} has an unknown key {min(unknown)!r}")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        # msgspec names the key and the kind, never the value.
        raise ValueError(f"table {number}: {error}") from None


def check_url(number: int, name: str, value: str | None) -> None:
    """Raises ValueError, but not where there is none."""
    try:
        if value:
            kinds.url(value)
    except ValueError as error:
        raise ValueError(f"table {number}: {name} {error}") from None


def file_content(number: int, name: str, file: str) -> str:
    """What is in the file that the key `name` names. Raises ValueError."""
    try:
        return Path(file).expanduser().read_text().strip()
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ValueError(f"table {number}: {name} cannot be read ({type(error).__name__})") from None
