"""Decoders of Telnyx' sources."""
