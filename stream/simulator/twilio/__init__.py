"""What Twilio reports of a simulated call."""
