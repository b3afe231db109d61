"""One call: its state, the fold that changes it, and what is derived from it. Pure."""
