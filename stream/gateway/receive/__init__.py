"""From an HTTP request to verified records. Pure: no clock, no socket."""
