"""The rate limit of each account: one priority queue, a paced budget, AIMD and a circuit breaker."""
