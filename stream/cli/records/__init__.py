"""Commands about single records and calls."""
