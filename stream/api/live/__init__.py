"""Live streams of events, call records and alerts: one consumer, any number of subscribers."""
