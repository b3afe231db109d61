"""Recovery: the states of an assignment, brought up to its committed offsets from the changelog."""
