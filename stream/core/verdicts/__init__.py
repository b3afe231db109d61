"""Whose fault it was that a call did not succeed: the evidence, one table, and how the table is read."""
