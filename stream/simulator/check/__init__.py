"""Compares what came out with what must come out."""
