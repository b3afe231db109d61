"""What Telnyx reports of a simulated call."""
