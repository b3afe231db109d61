"""What is read on request: fetch requests from Kafka, queued per account, answered with results."""
