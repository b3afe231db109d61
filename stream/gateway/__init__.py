"""The gateway: what receives the providers' webhooks and lands them in Kafka."""
