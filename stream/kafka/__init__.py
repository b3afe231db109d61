"""Kafka clients, topics, the envelope codec and the acknowledged producer."""
