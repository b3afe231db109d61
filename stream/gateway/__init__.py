"""The gateway: receives the providers' webhooks, verifies them, and writes them to Kafka."""
