"""Masking of phone numbers, addresses, names and secrets. Pure."""
