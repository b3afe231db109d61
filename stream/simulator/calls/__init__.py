"""Simulated calls: who calls whom, what happens, what the network does to the reports."""
