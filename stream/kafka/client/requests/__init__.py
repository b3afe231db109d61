"""Requests of Kafka that the client library does not have, and what they tell."""
