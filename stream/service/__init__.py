"""What every role has: settings, HTTP server, health, logging, metrics, shutdown."""
