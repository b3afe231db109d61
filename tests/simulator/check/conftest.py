"""A run whose outputs are without a fault, and a copy of them to be doctored."""

from __future__ import annotations

import orjson
import pytest

from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.traffic import Traffic
from tests.simulator.outputs import RUN, Outputs, outputs_of


@pytest.fixture(scope="module")
def run() -> tuple[ExpectedOutputs, bytes]:
    traffic = Traffic(RUN)
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    return traffic.expected, orjson.dumps(outputs[:])


@pytest.fixture
def expected(run: tuple[ExpectedOutputs, bytes]) -> ExpectedOutputs:
    return run[0]


@pytest.fixture
def outputs(run: tuple[ExpectedOutputs, bytes]) -> Outputs:
    """A copy to be doctored."""
    return Outputs(*orjson.loads(run[1]))
