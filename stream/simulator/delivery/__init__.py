"""Sends simulated reports: as signed webhooks over HTTP, or as records to Kafka."""
