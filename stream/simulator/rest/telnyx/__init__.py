"""Telnyx' simulated REST API."""
