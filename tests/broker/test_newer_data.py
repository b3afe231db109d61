"""Data that a newer Kafka has written are said to be that, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.broker import BrokerError, lifetime

SAYS = (
    "java.lang.IllegalArgumentException: No MetadataVersion with feature level 30.",
    # 4.2.1 of data that 4.3.1 has written.
    "Caused by: org.apache.kafka.common.errors.UnsupportedVersionException: Can't read version 4 of Broker",
)
TRACE = "for line in $(seq 30); do echo at $line; done"


@pytest.mark.parametrize("says", SAYS)
def test_data_of_a_newer_kafka_are_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    java, libs, logs = tmp_path / "java", tmp_path / "libs", tmp_path / "broker" / "kafka"
    java.write_text(f'#!/bin/sh\necho "{says}"\n{TRACE}\nexit 1\n')
    java.chmod(0o755)
    libs.mkdir()
    (libs / "kafka_2.13-4.2.1.jar").touch()
    logs.mkdir(parents=True)
    (logs / "meta.properties").write_text("version=1\ncluster.id=abc\nnode.id=1\n")
    monkeypatch.setattr(lifetime, "java", lambda: java)
    with pytest.raises(BrokerError) as told:
        lifetime.start(logs.parent, cache=tmp_path, libs=str(libs))
    assert str(told.value) == (
        f"{logs} contains data of a newer Kafka, which this one cannot read: move it away"
        " (all topics then start empty), or set CALLSTREAM_KAFKA to a cluster that is there already"
    )
