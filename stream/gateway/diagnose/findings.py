"""What the signature doctor found out about refused requests, kept for who asks later.

The rule of this file: a finding is what may be shown. It has no body, no header's value, no number and no
secret; it is for its owner's eyes, and there are never more than KEPT. The file is written anew and then put
in its place, so that a reader sees all of it or the one before.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import msgspec

from stream.gateway.receive.request import clean_text
from stream.service import data_dir

KEPT = 50
SHOWN_LIMIT = 100
"""Characters of a path that are shown."""

_UNSHOWN = re.compile(r"[^!-~]")
_NUMBER = re.compile(r"[0-9]{5,}")
_AGE = re.compile(r"[0-9]+ s ")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One diagnosis; `times`: how often it was made, `time`: when the newest such request came (UTC)."""

    time: str
    path: str
    provider: str
    reason: str
    sentence: str
    settings: tuple[str, ...] = ()
    times: int = 1

    @property
    def what(self) -> tuple[str, str, str, str]:
        """Equal for what would be said again: how old each request was makes no other finding."""
        return self.path, self.provider, self.reason, _AGE.sub("", self.sentence)


def file_in(data_dir: Path) -> Path:
    return data_dir / "gateway" / "refused.jsonl"


def shown_path(path: str) -> str:
    """A path as it may be shown: plain characters, and none of the numbers that somebody put into it."""
    text = _NUMBER.sub("***", _UNSHOWN.sub("?", clean_text(path)))
    return text if len(text) <= SHOWN_LIMIT else text[:SHOWN_LIMIT] + "…"


def read(file: Path) -> list[Finding]:
    """The findings, the newest last, without lines that cannot be read. Raises OSError but for no file."""
    try:
        lines = data_dir.read(file).splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines[-KEPT:]:
        try:
            found.append(msgspec.json.decode(line, type=Finding))
        except msgspec.DecodeError:  # cut short, or of another version
            continue
    return found


def add(file: Path, finding: Finding) -> None:
    """Adds one; what was found before is not said twice but counted. Raises DataDirError."""
    with data_dir.told(file.parent):
        _add(file, finding)


def _add(file: Path, finding: Finding) -> None:
    known = read(file)
    times = finding.times + sum(one.times for one in known if one.what == finding.what)
    kept = [one for one in known if one.what != finding.what]
    kept.append(msgspec.structs.replace(finding, times=times))
    if len(kept) > KEPT:
        kept.remove(_dispensable(kept))
    _write(file, b"".join(msgspec.json.encode(one) + b"\n" for one in kept[-KEPT:]))


def _dispensable(known: list[Finding]) -> Finding:
    """The oldest of the most frequent kind, which may have a sentence for each account that it names.

    So whoever is refused in many variants does not push out what was found of others.
    """
    kinds = Counter((one.path, one.provider, one.reason) for one in known)
    return max(known, key=lambda one: kinds[one.path, one.provider, one.reason])  # the first of several


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(mode=data_dir.PRIVATE, parents=True, exist_ok=True)
    for directory in (file.parent.parent, file.parent):
        data_dir.check_owner(directory)
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    fresh.replace(file)
