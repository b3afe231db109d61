"""The cluster, started once for all its scenarios, and the table they fill."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stream.service.settings import load
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.scenario import Table

_TABLES: list[Table] = []


@pytest.fixture(scope="session")
def cluster_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), load(os.environ))
    try:
        cluster.open()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(cluster_of_the_run: Cluster) -> Cluster:
    """Three nodes that are well, without topics, at the start of each test."""
    cluster_of_the_run.mend()
    return cluster_of_the_run


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A line for each scenario; printed at the end of the run."""
    _TABLES.append(Table(tmp_path_factory.getbasetemp() / "cluster.jsonl"))
    return _TABLES[-1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for table in _TABLES:
        if table.lines:
            terminalreporter.section(f"three nodes: {table.file}")
            for line in table.text():
                terminalreporter.line(line)
