"""The errors of the Kafka client that callers outside this package handle."""

from aiokafka.errors import (
    BrokerResponseError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
)

__all__ = [
    "BROKER_AWAY",
    "KafkaConnectionError",
    "KafkaError",
    "KafkaTimeoutError",
    "OffsetOutOfRangeError",
    "reaction",
]

BROKER_AWAY = (KafkaError, OSError, TimeoutError)
"""What a request fails with where no broker answers, or not the right one: it may be tried again."""


def reaction(error: KafkaError) -> str:
    """What the broker did, for a sentence: `refuses`, or `does not answer`."""
    return "refuses" if isinstance(error, BrokerResponseError) and not error.retriable else "does not answer"
