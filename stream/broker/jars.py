"""Kafka's jars: from KAFKA_LIBS, from the cache, or fetched once by their Maven coordinates.

The cache holds either exactly the files that `jars.sha256` lists or nothing, so a start only checks that the
directory exists, and needs no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.broker.failure import WITHOUT_IT, BrokerError
from stream.service.data_dir import explain

KAFKA = "org.apache.kafka:kafka_2.13:4.2.1"
"""Not 4.3.1: while a partition has no leader, as on one node at each stop and start, that version takes it
for deleted and completes transactions without their markers. Their records then become visible with the same
producer's next commit, in addition to those that were written again."""

LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""Kafka's POM has the logging API without a binding: without this one the broker writes no log.
It is resolved separately, because its parent POM would downgrade Kafka's own dependencies."""

CACHED_AS = "kafka-4.2.1"
FETCHING = "fetching-"
"""How the folder begins that is fetched into."""


def class_path(libs: str, cache: Path, *, say: Callable[[str], None]) -> str:
    """The value of Java's `-cp`. `libs`: a folder of jars; empty: the cache."""
    folder = _given(Path(libs)) if libs else _cached(cache.absolute(), say)
    return os.pathsep.join(str(jar) for jar in sorted(folder.glob("*.jar")))


def _given(folder: Path) -> Path:
    if not any(folder.glob("kafka_2.1*.jar")):
        raise BrokerError(
            f"KAFKA_LIBS={folder} holds no kafka_2.13-*.jar: it is `libs` of a Kafka distribution."
        )
    return folder.absolute()


def _cached(cache: Path, say: Callable[[str], None]) -> Path:
    folder = cache / CACHED_AS
    if folder.is_dir():
        return folder
    try:
        with _fetch_lock(cache):
            if not folder.is_dir():
                for ready in cache.glob(f"{FETCHING}*/ready"):  # of a start that was killed
                    shutil.rmtree(ready.parent, ignore_errors=True)
                say(f"Fetching Apache Kafka ({KAFKA}, 43 MB, once) …")
                _fetch(folder)
    except OSError as error:
        raise BrokerError(
            f"Kafka's jars cannot be kept in {cache}: {explain(error) or error.strerror}; "
            f"correct it, or set CALLSTREAM_CACHE_DIR to another directory, {WITHOUT_IT}"
        ) from None
    return folder


@contextmanager
def _fetch_lock(directory: Path) -> Iterator[None]:
    """Let only one of several first starts fetch."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "fetch.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path) -> None:
    try:
        import jgo
    except ImportError:
        raise BrokerError(
            "The embedded broker needs jgo to fetch Kafka: pip install 'callstream[broker]', "
            f"or set KAFKA_LIBS to the `libs` folder of a Kafka 4 distribution, {WITHOUT_IT}."
        ) from None
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=FETCHING) as name:
        ready = Path(name) / "ready"
        ready.mkdir()
        found: dict[str, Path] = {}
        for coordinates in (KAFKA, LOGGING):
            try:
                environment = jgo.build(coordinates, cache_dir=Path(name) / "jgo")
            except Exception as error:  # jgo raises the errors of its HTTP client and its resolver
                raise BrokerError(
                    f"Kafka's jars are not in {folder} and could not be fetched "
                    f"({type(error).__name__}: {error}). Start once with a network, "
                    "or set KAFKA_LIBS to the `libs` folder of a Kafka 4 distribution, "
                    f"{WITHOUT_IT}."
                ) from error
            # The versions that Kafka resolves to win.
            for jar in sorted(environment.path.rglob("*.jar")):
                found.setdefault(jar.name, jar)
        for jar_name, digest in _pinned().items():
            if jar_name not in found:
                raise BrokerError(f"{KAFKA} was fetched without {jar_name}.")
            if hashlib.sha256(found[jar_name].read_bytes()).hexdigest() != digest:
                raise BrokerError(
                    f"{jar_name} is not the file it should be: remove it from ~/.m2 and try again."
                )
            shutil.copyfile(found[jar_name], ready / jar_name)
        ready.rename(folder)


def _pinned() -> dict[str, str]:
    """File name to SHA-256 of every jar that goes on the class path."""
    lines = (Path(__file__).parent / "jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}
