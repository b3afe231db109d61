"""What Twilio reports of a simulated call: a file for each kind of report, and the call that has them all."""
