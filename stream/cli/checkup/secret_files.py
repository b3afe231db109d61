"""Who may read the files that hold secrets.

It looks at modes and reads no file. Links are followed, because Kubernetes mounts secrets as links.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from stream.cli.checkup.check import Check
from stream.service import settings
from stream.service.settings import Settings

NAME = "secret files"
MEND = "chmod 600, or 640 where a group must read it"


def secret_files(chosen: Settings) -> list[Check]:
    """One check of all files; none if no secret is in a file."""
    files = settings.secret_files()
    if chosen.kafka_key_file is not None:
        files["CALLSTREAM_KAFKA_KEY_FILE"] = chosen.kafka_key_file
    if chosen.gateway_tls:
        files["CALLSTREAM_GATEWAY_TLS"] = chosen.gateway_tls[1]
    for number, account in enumerate(chosen.poll_accounts, 1):
        if account.secret_file:
            files[f"secret_file of poll_accounts {number}"] = Path(account.secret_file).expanduser()
    return judged({name: (path, mode) for name, path in files.items() if (mode := _mode(path)) is not None})


def judged(found: Mapping[str, tuple[Path, int]]) -> list[Check]:
    """The check of the files' modes. Pure."""
    if not found:
        return []
    others = [f"{path} ({name})" for name, (path, mode) in found.items() if mode & stat.S_IROTH]
    if others:
        verb = "can be read" if len(others) == 1 else "can all be read"
        return [Check(NAME, "warning", f"{', '.join(others)} {verb} by every user of this machine", MEND)]
    groups = [f"{path} ({name})" for name, (path, mode) in found.items() if mode & stat.S_IRGRP]
    if groups:
        return [Check(NAME, "ok", f"{', '.join(groups)}: also the file's group may read it")]
    return [Check(NAME, "ok", "only their owner may read them")]


def _mode(path: Path) -> int | None:
    """None if the file does not exist, which reading the settings reports."""
    try:
        return path.stat().st_mode
    except OSError:
        return None
