"""The rate limit of each account: one priority queue, a paced budget, AIMD and a circuit breaker.

`rate_limiter` waits and calls back; `budget` decides who may send when; the other files are its parts.
"""
