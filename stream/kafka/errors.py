"""The errors of the Kafka client that callers outside this package handle."""

from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
)

__all__ = [
    "BROKER_AWAY",
    "IllegalOperation",
    "InvalidProducerEpoch",
    "InvalidProducerIdMapping",
    "KafkaConnectionError",
    "KafkaError",
    "KafkaTimeoutError",
    "MessageSizeTooLargeError",
    "ProducerFenced",
    "RecordListTooLargeError",
    "UnknownProducerId",
]

BROKER_AWAY = (KafkaError, OSError, TimeoutError)
"""What a request fails with where no broker answers, or not the right one: it may be tried again."""
