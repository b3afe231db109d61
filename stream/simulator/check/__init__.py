"""Compares what came out of a run with what must come out."""
