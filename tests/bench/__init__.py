"""How fast it is: the same callbacks through the worker and through what it is compared with."""
