"""Delivers reports: callbacks over HTTP as the providers send them, records to Kafka."""
