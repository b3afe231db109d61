"""What happened to one call, from all of its sources, as one timeline."""
