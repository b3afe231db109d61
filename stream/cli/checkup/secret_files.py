"""Who may read the files that hold secrets.

It looks at modes and reads no file. Links are followed, because Kubernetes mounts secrets as links.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from stream.cli.checkup.check import Check
from stream.service import settings
from stream.service.settings import Settings, file_settings, variable

NAME = "secret files"
TABLES = ("poll_accounts", "notify_sinks")
"""Settings whose tables may name files with their secrets."""

MEND = "chmod 600, or 640 where a group must read it"


def secret_files(chosen: Settings) -> list[Check]:
    """One check of all files; none if no secret is in a file."""
    files = named_files()
    if chosen.kafka_key_file is not None:
        files["CALLSTREAM_KAFKA_KEY_FILE"] = chosen.kafka_key_file
    if chosen.gateway_tls:
        files["CALLSTREAM_GATEWAY_TLS"] = chosen.gateway_tls[1]
    for number, account in enumerate(chosen.poll_accounts, 1):
        if account.secret_file:
            files[f"secret_file of poll_accounts {number}"] = Path(account.secret_file).expanduser()
    for number, sink in enumerate(chosen.notify_sinks, 1):
        for key, file in (("url_file", sink.url_file), ("secret_file", sink.secret_file)):
            if file:
                files[f"{key} of notify_sinks {number}"] = Path(file).expanduser()
    return judged({name: (path, mode) for name, path in files.items() if (mode := _mode(path)) is not None})


def named_files(environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """The files that contain secrets, by the setting that names them.

    These are `…_FILE`, and CALLSTREAM_CONFIG where the TOML file itself contains a secret. The files that
    tables name are in their values.
    """
    inside = file_settings(environ.get("CALLSTREAM_CONFIG", ""), [])
    secrets = {one.name: variable(one) for one in fields(Settings) if one.metadata["secret"]}
    found = {f"{secrets[name]}_FILE": file for name, file in settings.secret_files(environ).items()}
    for field, name in secrets.items():
        elsewhere = field in TABLES and not re.search('"(secret|url)":', inside.get(name, ""))
        if name in inside and name not in environ and not elsewhere:
            found["CALLSTREAM_CONFIG"] = Path(environ["CALLSTREAM_CONFIG"]).expanduser()
    return found


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
