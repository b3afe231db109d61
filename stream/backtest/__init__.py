"""Candidate alert rules on recorded calls, beside the current ones."""
