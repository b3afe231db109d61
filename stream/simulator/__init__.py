"""The provider in a box: calls with a known truth, what is told of them, and what a network does to it."""
