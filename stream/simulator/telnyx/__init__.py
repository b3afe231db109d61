"""What Telnyx reports of a simulated call: webhooks, the log of them, and the call that has them all."""
