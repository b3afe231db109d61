"""Simulated calls before any provider reports them, and what all reports have in common."""
