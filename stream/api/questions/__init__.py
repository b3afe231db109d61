"""The routes under `/v1`: questions about calls and alerts."""
