"""What must not leave: masking of numbers, addresses, names and secrets. Pure."""
