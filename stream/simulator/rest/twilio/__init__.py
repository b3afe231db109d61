"""Twilio's simulated REST API."""
