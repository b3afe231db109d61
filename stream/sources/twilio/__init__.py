"""Twilio's sources. Telnyx' TeXML callbacks have the same forms."""
