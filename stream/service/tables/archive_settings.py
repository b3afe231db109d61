"""Where the archive is, and what `callstream archive` runs with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stream.service import setting_kinds as kinds
from stream.service.setting_kinds import setting

_URL = re.compile(r"(sqlite:///[^?#\s]+|postgres(ql)?://[^\s#]+)?")


def database(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError("must be postgresql://user:password@host/database, or sqlite:///file")
    return value


@dataclass(frozen=True, kw_only=True)
class ArchiveAddress:
    """Where the archive is: for those who write it and those who read it."""

    archive_url: str = setting(
        "",
        "the archive's database, `postgresql://…` (extra `postgresql`) or `sqlite:///file`; empty: a SQLite "
        "file in the data directory",
        database,
        secret=True,
    )


@dataclass(frozen=True, kw_only=True)
class ArchiveFields(ArchiveAddress):
    """The settings of `callstream archive`, beside those of every role."""

    archive_listen: str = setting("127.0.0.1:8086", "where the HTTP of `archive` is", kinds.listen)
    archive_retention_days: int = setting(
        30,
        "days that the archive keeps a call; Twilio itself keeps the sensitive parts of call events for 30",
        kinds.whole(1, 3650),
    )


@dataclass(frozen=True, kw_only=True)
class PrivacyKey:
    """What hashes numbers, for those who write hashes and those who search by number."""

    privacy_key: str = setting(
        "",
        "keys the hashes of numbers: `hashed` needs it, `masked` keeps them beside the masks with it",
        kinds.text,
        secret=True,
    )
