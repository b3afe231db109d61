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
