"""Who coordinates is what most brokers say."""

from __future__ import annotations

import pytest

from stream.kafka.client.request_limits import agreed


@pytest.mark.parametrize(
    ("named", "brokers", "coordinator"),
    [
        ([1], 1, 1),
        ([2, 2, 1], 3, 2),  # 1 was cut off and names itself
        ([2, 2], 3, 2),
        ([1], 3, None),  # only the one that was cut off answers
        ([1, 2], 3, None),
        ([1, 2], 2, None),
        ([], 3, None),
        ([], 0, None),
    ],
)
def test_the_coordinator_is_whom_more_than_half_of_the_brokers_name(
    named: list[int], brokers: int, coordinator: int | None
) -> None:
    assert agreed(named, brokers) == coordinator
