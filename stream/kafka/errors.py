"""The errors of the Kafka client that callers outside this package handle."""

from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

__all__ = ["BROKER_AWAY", "KafkaConnectionError", "KafkaError", "KafkaTimeoutError"]

BROKER_AWAY = (KafkaError, OSError, TimeoutError)
"""What a request fails with where no broker answers, or not the right one: it may be tried again."""
