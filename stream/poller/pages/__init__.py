"""Reading one resource page by page, and writing its rows to Kafka."""
